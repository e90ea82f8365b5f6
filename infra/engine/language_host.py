"""The Python language host: what `pulumi-language-python` is, for an engine that was built without it.

Owns the gRPC service by which the engine runs Python programs and Python plugins: it prints its port, runs the program
in its own process (one interpreter start instead of two) and each plugin in a child. It installs nothing, downloads
nothing and reports no plugins of its own accord. Used only where the official host is missing.
"""
# ruff: noqa: N802, ARG002  the service's names and signatures are gRPC's

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started by path: the folder above is the package
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import grpc
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from infra.engine.orphan import end_with_parent
from infra.engine.plugin_process import stream_plugin
from infra.engine.preload import PACK, preload
from infra.engine.program import run_program

RUN_THREADS = 64  # every running plugin holds one


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """LanguageRuntime for Python. `on_main` runs a callable on the main thread, where programs expect to be."""

    def __init__(self, engine_address: str, on_main: Callable[[Callable[[], Any]], Any]) -> None:
        self._engine_address = engine_address
        self._on_main = on_main

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def About(self, request: Any, context: Any) -> Any:
        return language_pb2.AboutResponse(
            executable=sys.executable,
            version=".".join(str(part) for part in sys.version_info[:3]),
            metadata={"host": "slipway"},
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()  # plugins are loaded when a resource asks for one

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPluginsResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        pulumi_packages = [
            language_pb2.DependencyInfo(name=found.name, version=found.version)
            for found in metadata.distributions()
            if request.transitiveDependencies or found.name.lower().startswith("pulumi")
        ]
        return language_pb2.GetProgramDependenciesResponse(dependencies=pulumi_packages)

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        note = "dependencies are installed by `./pulumiw setup`\n"
        yield language_pb2.InstallDependenciesResponse(stdout=note.encode())

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def Run(self, request: Any, context: Any) -> Any:
        return self._on_main(lambda: run_program(request, self._engine_address))

    def RunPlugin(self, request: Any, context: Any) -> Any:
        if request.kind == PACK:
            threading.Thread(target=lambda: self._on_main(preload), daemon=True).start()
        return stream_plugin(request, context)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()  # the engine lets resources in flight finish, then ends this process


def serve(engine_address: str) -> None:
    """Serve until the engine ends this process; programs run on the calling (main) thread."""
    tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()

    def on_main(call: Callable[[], Any]) -> Any:
        answer: Future[Any] = Future()
        tasks.put((call, answer))
        return answer.result()

    server = grpc.server(ThreadPoolExecutor(RUN_THREADS), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine_address, on_main), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while True:
        call, answer = tasks.get()
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001  the waiting RPC reports it
            answer.set_exception(error)


def main() -> None:
    end_with_parent(os.getppid())
    # The engine ends its hosts by SIGINT and waits 5 s for it; a Ctrl-C of the terminal reaches the engine only, whose
    # children have a process group of their own. No handler: it must work while the main thread is inside a program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(sys.argv[-1] if len(sys.argv) > 1 else "")


if __name__ == "__main__":
    main()
