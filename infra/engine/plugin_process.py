"""Runs a Python plugin (the local provider) as a child of the language host and streams its output to the engine.

Owns the child's start, its two output streams and its end; which plugin it is and what it does is the plugin's affair.
"""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from pulumi.runtime.proto import language_pb2

CHUNK = 65536
GRACE_S = 2.0
LAUNCHER = Path(__file__).with_name("run_plugin.py")


def plugin_python(info: Any) -> str:
    """The interpreter of the plugin's `virtualenv` option, or this one.

    Raises:
        FileNotFoundError: the named virtualenv has no interpreter.
    """
    wanted = dict(info.options).get("virtualenv")
    if not wanted:
        return sys.executable
    folder = Path(os.path.normpath(Path(info.root_directory) / str(wanted)))
    python = folder / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(
            f"{info.root_directory}/PulumiPlugin.yaml names the virtualenv {folder}, which has no bin/python: "
            "run `./pulumiw setup`"
        )
    return str(python)


def stream_plugin(request: Any, context: Any) -> Iterator[Any]:
    """Start the plugin of a RunPluginRequest; yield its output as it comes, and last its exit status.

    The engine ends a plugin by cancelling the call.
    """
    program = Path(request.info.program_directory) / (request.info.entry_point or ".")
    environment = dict(entry.partition("=")[::2] for entry in request.env)
    child = subprocess.Popen(
        [plugin_python(request.info), str(LAUNCHER), str(os.getpid()), str(program), *request.args],
        cwd=request.pwd or None,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    context.add_callback(lambda: threading.Thread(target=_end, args=(child,), daemon=True).start())
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    readers = [
        _reader(child.stdout, lambda chunk: language_pb2.RunPluginResponse(stdout=chunk), messages),
        _reader(child.stderr, lambda chunk: language_pb2.RunPluginResponse(stderr=chunk), messages),
    ]
    for _ in readers:
        while (message := messages.get()) is not None:
            yield message
    yield language_pb2.RunPluginResponse(exitcode=child.wait())


def _reader(
    stream: IO[bytes] | None, wrap: Callable[[bytes], Any], messages: "queue.SimpleQueue[Any]"
) -> threading.Thread:
    def read() -> None:
        assert stream is not None  # noqa: S101  opened as a pipe above
        while chunk := os.read(stream.fileno(), CHUNK):
            messages.put(wrap(chunk))
        messages.put(None)

    thread = threading.Thread(target=read, name="plugin-output", daemon=True)
    thread.start()
    return thread


def _end(child: subprocess.Popen[bytes]) -> None:
    """Terminate, then kill. Harmless when the plugin has ended by itself."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
