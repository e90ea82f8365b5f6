"""Serves the provider to the engine over gRPC and ends with it.

The SDK's servicer does the protocol; this adds errors without tracebacks, and an end when the engine is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2_grpc

from infra.local.provider.engine_log import EngineLog
from infra.local.provider.failure import Failure
from infra.local.provider.provider import VERSION, LocalProvider

_PARENT_POLL_S = 0.5
_LARGEST_MESSAGE = 400 * 1024 * 1024  # bytes; what the engine itself accepts
_READABLE = ("Configure", "Check", "Diff", "Create", "Read", "Update", "Delete")


class Servicer(ProviderServicer):
    """The SDK's servicer, with failures told as they are."""


def _readable(name: str) -> Callable[..., Awaitable[Any]]:
    inherited = getattr(ProviderServicer, name)

    async def method(self: Servicer, request: Any, context: Any) -> Any:
        try:
            return await inherited(self, request, context)
        except Exception as error:
            # the SDK raises a new exception with a traceback in its text; the cause is ours
            if isinstance(error.__context__, Failure):
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error.__context__))
            raise

    return method


for _name in _READABLE:
    setattr(Servicer, _name, _readable(_name))


def main(arguments: list[str]) -> None:
    """Serve until the engine goes away.

    Args:
        arguments: the engine's address first, as the engine gives it.
    """
    address = next((text for text in arguments if not text.startswith("-")), None)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    # Ctrl-C may reach the whole terminal: it is the engine that tells us to stop waiting.  A handler, since an
    # ignored signal would stay ignored in every process that is started here.
    signal.signal(signal.SIGINT, lambda *_: None)
    asyncio.run(_serve(arguments, address))


async def _serve(arguments: list[str], address: str | None) -> None:
    provider = LocalProvider(EngineLog(address))
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _LARGEST_MESSAGE)])
    servicer = Servicer(arguments, VERSION, provider, engine_address=address or "")
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    try:
        await server.wait_for_termination()
    finally:
        await provider.close()


def _end_with(parent: int) -> None:
    """End at once when the engine was killed: records are on disk, and supervised processes have their own sessions."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(1)
