"""The gRPC side of this plugin: messages in, messages out."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.standins.kubernetes_plugin.provider import Provider
from tests.standins.kubernetes_plugin.settings import compare_configs
from tests.standins.kubernetes_plugin.values import from_struct, plain, to_struct
from tests.standins.plugin.engine import EngineLog, property_diff, serve, told
from tests.standins.plugin.refused import Refused

VERSION = "4.34.2"  # of the official plugin whose semantics these are


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """What the engine calls; methods that are not here answer that they are not implemented."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._provider = Provider()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    @told
    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = compare_configs(plain(from_struct(request.olds)), plain(from_struct(request.news)))
        some = provider_pb2.DiffResponse.DIFF_SOME if found.changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=found.changed, replaces=found.replaces)

    @told
    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        said = self._provider.configure(from_struct(request.args))
        self._log.info("", f"stand-in for the Kubernetes plugin ({VERSION}): {said}")
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    @told
    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        proposed = ""
        if request.HasField("autonaming"):
            if request.autonaming.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
                raise Refused("automatic naming is disabled: the resource needs `.metadata.name`")
            proposed = request.autonaming.proposed_name
        checked = self._provider.check(request.urn, from_struct(request.olds), from_struct(request.news), proposed)
        return provider_pb2.CheckResponse(inputs=to_struct(checked))

    @told
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
            detailedDiff={change.text: property_diff(change) for change in found.changes},
        )

    @told
    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        identity, state = self._provider.create(
            request.urn,
            from_struct(request.properties),
            request.timeout,
            self._log.status(request.urn),
            preview=request.preview,
        )
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(state))

    @told
    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self._provider.read(
            request.urn, request.id, from_struct(request.properties), from_struct(request.inputs)
        )
        if not found.identity:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.identity, properties=to_struct(found.state), inputs=to_struct(found.inputs)
        )

    @told
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

    @told
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._provider.delete(
            request.urn, request.id, from_struct(request.properties), request.timeout, self._log.status(request.urn)
        )
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._provider.stop.set()
        return empty_pb2.Empty()


def main(arguments: list[str]) -> None:
    """Serve until the engine is gone."""
    serve(Servicer, arguments)
