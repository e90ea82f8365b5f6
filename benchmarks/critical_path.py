"""How long the parts of an environment take to start alone: Ray, MLflow, an empty Ray job, Serve with a constant model.

They are started by the very commands and environment that the local runtime uses, without engine and provider.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from components.seam import Place
from components.tracking_server import SERVER_ARGUMENTS, SERVER_ENVIRONMENT
from infra.local.layout import Layout
from infra.local.ports import block_at
from infra.local.ray_node import ray_command, ray_environment, serve_config
from tests.stacks.project import Project, environment

_PORTS = block_at(31_000)
_DEADLINE_S = 120
_CONSTANT = """
from ray import serve

@serve.deployment
class Constant:
    async def __call__(self, request):
        return 1

app = Constant.bind()
"""


def measure_starts(project: Project) -> dict[str, float]:
    """Return seconds until ready of each part, one after the other on an otherwise idle machine."""
    layout = Layout(Place(project="slipway", stack="critical-path", root=project.root))
    layout.state.mkdir(parents=True, exist_ok=True)
    taken = {"mlflow": _mlflow(layout)}
    with _ray(layout, taken) as ask:
        begin = time.monotonic()
        ask("POST", "/api/jobs/", {"entrypoint": f"{sys.executable} -c pass", "submission_id": "empty"})
        _until(lambda: ask("GET", "/api/jobs/empty")["status"] == "SUCCEEDED", "the empty job succeeded")
        taken["empty job"] = time.monotonic() - begin
        begin = time.monotonic()
        ask("PUT", "/api/serve/applications/", _constant_application(layout))
        _until(lambda: _answers(f"http://127.0.0.1:{_PORTS.serving}/"), "the constant model answered")
        taken["serve constant model"] = time.monotonic() - begin
    shutil.rmtree(layout.home)
    shutil.rmtree(layout.sockets, ignore_errors=True)
    return taken


def _mlflow(layout: Layout) -> float:
    fill = {"{host}": "127.0.0.1", "{port}": str(_PORTS.tracking), "{state}": str(layout.state)}
    values = {**SERVER_ENVIRONMENT, "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(layout.artifacts)}
    command = [sys.executable, "-m", "uvicorn", *(fill.get(text, text) for text in SERVER_ARGUMENTS)]
    variables = {name: value.replace("{state}", str(layout.state)) for name, value in values.items()}
    with _running(command, variables, layout):
        begin = time.monotonic()
        _until(lambda: _answers(f"http://127.0.0.1:{_PORTS.tracking}/health"), "MLflow answered")
        _send("POST", f"http://127.0.0.1:{_PORTS.tracking}/api/2.0/mlflow/experiments/search", {"max_results": 1}, {})
        return time.monotonic() - begin


@contextlib.contextmanager
def _ray(layout: Layout, taken: dict[str, float]) -> Iterator[Callable[..., Any]]:
    layout.sockets.mkdir(mode=0o700, exist_ok=True)
    layout.ray_token.parent.mkdir(exist_ok=True)
    token = secrets.token_hex(32)
    layout.ray_token.write_text(token)
    layout.ray_token.chmod(0o600)
    url, header = f"http://127.0.0.1:{_PORTS.dashboard}", {"Authorization": f"Bearer {token}"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        return _send(method, url + path, body, header)

    command = ray_command(sys.executable, layout, _PORTS, _PORTS.dashboard, os.cpu_count() or 1)
    variables = {**ray_environment(layout, _PORTS), "PYTHONPATH": str(layout.state)}
    with _running(command, variables, layout):
        begin = time.monotonic()
        _until(lambda: ask("GET", "/api/jobs/") is not None, "Ray's job API answered")
        _until(
            lambda: _answers(f"http://127.0.0.1:{_PORTS.agent_http}/api/local_raylet_healthz"), "the node is healthy"
        )
        taken["ray"] = time.monotonic() - begin
        yield ask


def _constant_application(layout: Layout) -> dict[str, Any]:
    (layout.state / "constant_model.py").write_text(_CONSTANT)
    application = {"name": "constant", "route_prefix": "/", "import_path": "constant_model:app"}
    return {**serve_config(_PORTS, _PORTS.serving, 30), "applications": [application]}


@contextlib.contextmanager
def _running(command: list[str], variables: dict[str, str], layout: Layout) -> Iterator[None]:
    """Run a command in a session of its own and end that session afterwards."""
    with (layout.state / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**environment(), **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=layout.state,
        )
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        _end_session(process.pid)
        process.wait()


def _end_session(leader: int) -> None:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) == leader:
                os.kill(int(entry.name), signal.SIGKILL)


def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _DEADLINE_S
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return
        if time.monotonic() > end:
            raise TimeoutError(f"not within {_DEADLINE_S} s: {what}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
        return bool(response.status == 200)  # noqa: PLR2004
    return False


def _send(method: str, url: str, body: Any, headers: dict[str, str]) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        raise OSError(f"{method} {url} answered {error.code}: {error.read()[:500]!r}") from None
    return json.loads(text) if text.strip() else {}
