"""Says things to the user through the engine, under the resource they are about.

Nothing here may fail an operation: when the engine is gone, nobody reads.
"""

from __future__ import annotations

import itertools
from typing import Any

import grpc.aio
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

_STREAMS = itertools.count(1)


class EngineLog:
    """The engine's log; silent without an engine."""

    def __init__(self, address: str | None) -> None:
        self._channel = grpc.aio.insecure_channel(address) if address else None
        self._stub: Any = engine_pb2_grpc.EngineStub(self._channel) if self._channel else None

    async def info(self, urn: str, message: str, *, stream: int = 0) -> None:
        """Print lines that stay."""
        await self._send(urn=urn, message=message, severity=engine_pb2.INFO, streamId=stream)

    async def warning(self, urn: str, message: str) -> None:
        """Print a warning that stays."""
        await self._send(urn=urn, message=message, severity=engine_pb2.WARNING)

    async def status(self, urn: str, message: str) -> None:
        """Show what is being waited for; the next status takes its place."""
        await self._send(urn=urn, message=message, severity=engine_pb2.INFO, ephemeral=True)

    async def close(self) -> None:
        if self._channel:
            await self._channel.close()

    async def _send(self, **fields: Any) -> None:
        if self._stub is None:
            return
        try:
            await self._stub.Log(engine_pb2.LogRequest(**fields), timeout=5)
        except grpc.aio.AioRpcError:
            return


def new_stream() -> int:
    """Return an id that ties the messages of one long output together."""
    return next(_STREAMS)
