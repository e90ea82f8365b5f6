"""The gRPC side: messages in, messages out, errors as the engine understands them. Ends with the engine."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from tests.standins.kubernetes_plugin.difference import Change
from tests.standins.kubernetes_plugin.provider import InitFailed, Provider
from tests.standins.kubernetes_plugin.refused import Refused
from tests.standins.kubernetes_plugin.settings import compare_configs
from tests.standins.kubernetes_plugin.values import from_struct, plain, to_struct

VERSION = "4.34.2"  # of the official plugin whose semantics these are
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


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn this plugin's errors into the engine's."""

    def wrapped(self: Servicer, request: Any, context: grpc.ServicerContext) -> Any:
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


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """What the engine calls; methods that are not here answer that they are not implemented."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._provider = Provider()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    @_told
    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = compare_configs(plain(from_struct(request.olds)), plain(from_struct(request.news)))
        some = provider_pb2.DiffResponse.DIFF_SOME if found.changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=found.changed, replaces=found.replaces)

    @_told
    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        said = self._provider.configure(from_struct(request.args))
        self._log.info("", f"stand-in for the Kubernetes plugin ({VERSION}): {said}")
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    @_told
    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        proposed = ""
        if request.HasField("autonaming"):
            if request.autonaming.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
                raise Refused("automatic naming is disabled: the resource needs `.metadata.name`")
            proposed = request.autonaming.proposed_name
        checked = self._provider.check(request.urn, from_struct(request.olds), from_struct(request.news), proposed)
        return provider_pb2.CheckResponse(inputs=to_struct(checked))

    @_told
    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self._provider.diff(
            request.urn, from_struct(request.olds), from_struct(request.news), list(request.ignoreChanges)
        )
        some = provider_pb2.DiffResponse.DIFF_SOME if found.changes else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some,
            replaces=found.replaces,
            deleteBeforeReplace=found.delete_first,
            hasDetailedDiff=True,
            detailedDiff={change.text: _property_diff(change) for change in found.changes},
        )

    @_told
    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        identity, state = self._provider.create(
            request.urn,
            from_struct(request.properties),
            request.timeout,
            self._log.status(request.urn),
            preview=request.preview,
        )
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(state))

    @_told
    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self._provider.read(
            request.urn, request.id, from_struct(request.properties), from_struct(request.inputs)
        )
        if not found.identity:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.identity, properties=to_struct(found.state), inputs=to_struct(found.inputs)
        )

    @_told
    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        state = self._provider.update(
            from_struct(request.olds),
            from_struct(request.news),
            list(request.ignoreChanges),
            request.timeout,
            self._log.status(request.urn),
            preview=request.preview,
        )
        return provider_pb2.UpdateResponse(properties=to_struct(state))

    @_told
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._provider.delete(
            request.urn, request.id, from_struct(request.properties), request.timeout, self._log.status(request.urn)
        )
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._provider.stop.set()
        return empty_pb2.Empty()


def _property_diff(change: Change) -> Any:
    return provider_pb2.PropertyDiff(kind=_KINDS[change.how, change.replaces], inputDiff=change.how == "delete")


def main(arguments: list[str]) -> None:
    """Serve until the engine is gone.

    Args:
        arguments: the engine's address first, as the engine gives it.
    """
    address = next((text for text in arguments if not text.startswith("-")), "")
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=256), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(EngineLog(address)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    parent = os.getppid()
    threading.Thread(target=server.wait_for_termination, daemon=True).start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        time.sleep(0.5)
