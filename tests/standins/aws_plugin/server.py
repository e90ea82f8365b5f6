"""The gRPC side of this plugin: messages in, messages out."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.standins.aws_plugin.provider import Provider
from tests.standins.aws_plugin.settings import compare_settings, parse_settings
from tests.standins.plugin.engine import EngineLog, property_diff, serve, told
from tests.standins.plugin.refused import Refused
from tests.standins.plugin.values import from_struct, plain, to_struct

VERSION = "7.51.1"  # of the official plugin whose semantics these are


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """What the engine calls; methods that are not here answer that they are not implemented."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._provider = Provider()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    @told
    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        parse_settings(plain(from_struct(request.news)))
        return provider_pb2.CheckResponse(inputs=request.news)

    @told
    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = compare_settings(plain(from_struct(request.olds)), plain(from_struct(request.news)))
        some = provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=found)

    @told
    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        said = self._provider.configure(from_struct(request.args))
        self._log.info("", f"stand-in for the AWS plugin ({VERSION}): {said}")
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @told
    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise Refused(f"the stand-in of the AWS plugin has no function {request.tok}: programs work without")

    @told
    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = from_struct(request.olds), from_struct(request.news)
        return provider_pb2.CheckResponse(
            inputs=to_struct(self._provider.check(request.urn, old, new, request.randomSeed))
        )

    @told
    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self._provider.diff(
            request.urn,
            from_struct(request.olds),
            from_struct(request.old_inputs),
            from_struct(request.news),
            list(request.ignoreChanges),
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
            request.urn, from_struct(request.properties), request.timeout, preview=request.preview
        )
        return provider_pb2.CreateResponse(id=identity, properties=to_struct(state))

    @told
    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self._provider.read(
            request.urn, request.id, from_struct(request.properties), from_struct(request.inputs), request.timeout
        )
        if not found.identity:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.identity, properties=to_struct(found.state), inputs=to_struct(found.inputs)
        )

    @told
    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        state = self._provider.update(
            request.urn,
            request.id,
            from_struct(request.olds),
            from_struct(request.old_inputs),
            from_struct(request.news),
            ignored=list(request.ignoreChanges),
            timeout_s=request.timeout,
            preview=request.preview,
        )
        return provider_pb2.UpdateResponse(properties=to_struct(state))

    @told
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._provider.delete(request.urn, request.id, from_struct(request.properties), request.timeout)
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._provider.stop.set()
        return empty_pb2.Empty()


def main(arguments: list[str]) -> None:
    """Serve until the engine is gone."""
    serve(Servicer, arguments)
