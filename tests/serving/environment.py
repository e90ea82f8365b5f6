"""A tracking server and a Ray head for the serving tests and benchmarks, on ports of their own.

It stops what it started by the recorded session, never by name.  Settings are those that the local substrate uses.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.model_service import ALIAS_POLL_S
from tests.free_ports import free_block

ROOT = Path(__file__).resolve().parents[2]
_FIRST, _LAST, _BLOCK = 23000, 23999, 200
_PORTS = (
    "gcs", "objects", "nodes", "client", "dashboard", "agent", "agent_grpc", "envs", "metrics", "tracking", "http",
    "grpc", "fallback_http", "fallback_grpc", "ha_metrics", "ha_stats", "autoscaler", "dashboard_metrics",
)  # fmt: skip
_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ports:
    """A block of ports: the head's own at its start, then ingress, then workers."""

    base: int

    def __getattr__(self, name: str) -> int:
        if name not in _PORTS:
            raise AttributeError(name)
        return self.base + _PORTS.index(name)


def wait_for(what: str, condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Return the condition's first true value; an error within it counts as not yet."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except (OSError, http.client.HTTPException, AssertionError, ValueError, KeyError) as fault:
            last = fault
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout_s} s; last: {last!r}")


def call(
    url: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] = {}, timeout_s: float = 30
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (lower-case) and body, whatever the status."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"content-type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


class Process:
    """A process in a session of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, cwd: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env={**os.environ, **environment}, cwd=cwd, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, grace_s: float = 10.0) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self.kill()

    def kill(self) -> None:
        """End the whole session at once, as a crash would."""
        wait_for("the session to end", lambda: not self._kill_session())
        self._process.wait(60)

    def _kill_session(self) -> int:
        members = [pid for pid in session_members(self.pid) if pid != os.getpid()]
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(members)


def session_members(session: int) -> list[int]:
    """Return the pids of a session's living processes."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                members.append(int(stat.parent.name))
    return members


class Environment:
    """One tracking server and one Ray head."""

    def __init__(self, folder: Path, extra: Mapping[str, str] = {}) -> None:
        self.folder, self.ports = folder, Ports(free_block(_BLOCK, _FIRST, _LAST))
        self.runtime = Path(tempfile.mkdtemp(prefix="slipway-", dir="/tmp"))
        self.token = folder / "ray-token"
        self.token.write_text(secrets.token_hex(32))
        self.token.chmod(0o600)
        self.extra = extra
        self.tracking_uri = f"http://127.0.0.1:{self.ports.tracking}"
        self.url = f"http://127.0.0.1:{self.ports.http}"
        self.dashboard = f"http://127.0.0.1:{self.ports.dashboard}"
        self.tracking: Process | None = None
        self.ray: Process | None = None

    def start_tracking(self) -> None:
        environment = {
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{self.folder}/mlflow.db",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.folder / "artifacts"),
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--host", "127.0.0.1",
                   "--port", str(self.ports.tracking), "--workers", "1", "--no-access-log"]  # fmt: skip
        self.tracking = Process(command, environment, self.folder / "tracking.log", self.folder)

    def wait_tracking(self) -> None:
        search = f"{self.tracking_uri}/api/2.0/mlflow/experiments/search"
        wait_for("tracking", lambda: call(search, method="POST", body={"max_results": 1})[0] == 200, 90)

    def start_ray(self) -> None:
        p, ha = self.ports, self.runtime / "ha"
        ha.mkdir(exist_ok=True)
        command = [str(_BIN / "ray"), "start", "--head", "--block", "--node-ip-address", "127.0.0.1",
            "--port", p.gcs, "--object-manager-port", p.objects, "--node-manager-port", p.nodes,
            "--ray-client-server-port", p.client, "--dashboard-host", "127.0.0.1", "--dashboard-port", p.dashboard,
            "--dashboard-agent-listen-port", p.agent, "--dashboard-agent-grpc-port", p.agent_grpc,
            "--runtime-env-agent-port", p.envs, "--metrics-export-port", p.metrics,
            "--min-worker-port", p.base + 100, "--max-worker-port", p.base + 199, "--num-cpus", 2,
            "--object-store-memory", 100_000_000, "--temp-dir", self.runtime / "ray", "--disable-usage-stats",
            "--log-style", "record", "--log-color", "false"]  # fmt: skip
        self.ray = Process(
            [str(part) for part in command], {**serve_environment(p, ha), "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token), "PYTHONPATH": str(ROOT), **self.extra},
            self.folder / "ray.log", self.folder,
        )  # fmt: skip

    def wait_ray(self) -> None:
        agent = f"http://127.0.0.1:{self.ports.agent}/api/local_raylet_healthz"
        wait_for("dashboard", lambda: self.ask("/api/jobs/")[0] == 200, 90)
        wait_for("raylet", lambda: call(agent)[0] == 200, 60)

    def ask(self, path: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
        """Call the dashboard with the token."""
        return call(self.dashboard + path, headers={"authorization": f"Bearer {self.token.read_text()}"}, **more)

    def serve(
        self, model_name: str, candidate: str | None, *, code: str = "code", limits: Any = None, **more: Any
    ) -> None:
        """Put the application, as the provider does."""
        args = {"contract": 1, "project": "slipway", "stack": "test", "model_name": model_name, "code_digest": code,
                "tracking_uri": self.tracking_uri, "poll_s": ALIAS_POLL_S, "replicas": {"min": 1, "max": 1},
                "limits": limits or {}, **more}  # fmt: skip
        wish = {"candidate": candidate, "release": {"strategy": "rolling"}}
        application = {
            "name": "slipway", "route_prefix": "/", "import_path": "serving.app:build", "args": args,
            "runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT)}},
            "deployments": [{"name": "ReleaseController", "user_config": wish}],
        }  # fmt: skip
        timeout_s = float((limits or {}).get("request_timeout_s", 30))
        self.put([application], timeout_s + 5)

    def put(self, applications: list[dict[str, Any]], timeout_s: float = 35) -> None:
        config = {
            "proxy_location": "HeadOnly",
            "http_options": {"host": "127.0.0.1", "port": self.ports.http, "request_timeout_s": timeout_s},
            "grpc_options": {"port": self.ports.grpc, "grpc_servicer_functions": []},
            "applications": applications,
        }
        status, _, body = self.ask("/api/serve/applications/", method="PUT", body=config, timeout_s=120)
        assert status == 200, body

    def clear(self) -> None:
        """Remove the application and wait until nothing of it answers."""
        self.put([])
        wait_for("no application", lambda: not json.loads(self.ask("/api/serve/applications/")[2])["applications"])
        wait_for("no answer", lambda: call(self.url + "/v2/health/live")[0] != 200)

    def stop(self) -> None:
        for process in (self.ray, self.tracking):
            if process is not None:
                process.stop()
        shutil.rmtree(self.runtime, ignore_errors=True)


def serve_environment(p: Ports, ha: Path) -> dict[str, str]:
    """The environment of the Ray head: fast Serve, everything on its own ports and files."""
    values: dict[str, Any] = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": 0,  # otherwise 127.0.0.1 is replaced and all listens on all interfaces
        "RAY_USAGE_STATS_ENABLED": 0,
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": 0,
        "RAY_metric_cardinality_level": "low",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": 1,
        "AUTOSCALER_METRIC_PORT": p.autoscaler,
        "DASHBOARD_METRIC_PORT": p.dashboard_metrics,
        "RAY_SERVE_ENABLE_HA_PROXY": 1,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": 1,
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": 0,  # one parsed log line per request; the replicas count as well
        "RAY_SERVE_HAPROXY_METRICS_PORT": p.ha_metrics,
        "RAY_SERVE_HAPROXY_STATS_PORT": p.ha_stats,
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": p.base + 60,
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": p.base + 79,
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": p.base + 80,
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": p.base + 99,
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": p.fallback_http,
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": p.fallback_grpc,
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": ha / "haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": ha / "admin.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": ha,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": ha / "server-state",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": ha / "metrics.sock",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": 1,
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": 1,
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": 2,
        "PYTHONDONTWRITEBYTECODE": "",
    }
    return {key: str(value) for key, value in values.items()}


@contextlib.contextmanager
def running(folder: Path, extra: Mapping[str, str] = {}) -> Iterator[Environment]:
    """A started tracking server and Ray head with Serve prestarted; both are gone afterwards."""
    environment = Environment(folder, extra)
    try:
        environment.start_tracking()
        environment.start_ray()
        environment.wait_tracking()
        environment.wait_ray()
        environment.put([])
        yield environment
    finally:
        environment.stop()
