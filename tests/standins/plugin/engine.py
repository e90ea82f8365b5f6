"""The gRPC side of a plugin: the engine's log, errors as the engine understands them. Ends with the engine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import grpc
from google.protobuf import any_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

from tests.standins.plugin.paths import Change
from tests.standins.plugin.refused import InitFailed, Refused
from tests.standins.plugin.values import to_struct

_MESSAGE_BYTES = 400 * 1024 * 1024
_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class EngineLog:
    """The engine's log; silent without an engine."""

    def __init__(self, address: str) -> None:
        self._stub: Any = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address)) if address else None

    def info(self, urn: str, message: str) -> None:
        self._send(urn=urn, message=message, severity=engine_pb2.INFO)

    def status(self, urn: str) -> Callable[[str], None]:
        """Return what shows a message until the next one."""
        return lambda message: self._send(urn=urn, message=message, severity=engine_pb2.INFO, ephemeral=True)

    def _send(self, **fields: Any) -> None:
        if self._stub is not None:
            try:
                self._stub.Log(engine_pb2.LogRequest(**fields), timeout=5)
            except grpc.RpcError:
                self._stub = None  # the engine is going away; nobody reads


def told(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a plugin's errors into the engine's."""

    def wrapped(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except InitFailed as error:
            detail = provider_pb2.ErrorResourceInitFailed(
                id=error.identity,
                properties=to_struct(error.state),
                reasons=error.reasons,
                inputs=None if error.inputs is None else to_struct(error.inputs),
            )
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Refused as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return wrapped


def property_diff(change: Change) -> Any:
    """Return the engine's form of a difference."""
    return provider_pb2.PropertyDiff(kind=_KINDS[change.how, change.replaces], inputDiff=change.how == "delete")


class _Farewell(grpc.ServerInterceptor):  # type: ignore[misc]
    """Notes the engine's Cancel. The SIGINT after it ends the plugin, which the engine else waits for 5 s each."""

    def __init__(self) -> None:
        self._said = False

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        self._said = self._said or details.method.endswith("/Cancel")
        return continuation(details)

    def interrupted(self, _number: int, _frame: FrameType | None) -> None:
        if self._said:
            os._exit(0)


def serve(servicer: Callable[[EngineLog], Any], arguments: list[str]) -> None:
    """Serve until the engine is gone.

    Args:
        servicer: makes what answers, given the engine's log.
        arguments: the engine's address first, as the engine gives it.
    """
    address = next((text for text in arguments if not text.startswith("-")), "")
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    farewell = _Farewell()
    signal.signal(signal.SIGINT, farewell.interrupted)
    server = grpc.server(ThreadPoolExecutor(max_workers=256), options=options, interceptors=[farewell])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer(EngineLog(address)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    parent = os.getppid()
    threading.Thread(target=server.wait_for_termination, daemon=True).start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        time.sleep(0.5)
