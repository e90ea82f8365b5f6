"""The training job as a Ray job: on a real head, in the driver and on two workers."""

from __future__ import annotations

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.free_ports import free_ports
from tests.training.conftest import DEADLINE_S, Workshop

pytestmark = pytest.mark.slow

_PORTS = ("port", "object-manager-port", "node-manager-port", "ray-client-server-port", "dashboard-port")
_AGENT_PORTS = (
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
)


@dataclass(frozen=True)
class Head:
    """A running head: its dashboard, its agent and the token that the dashboard wants."""

    dashboard: str
    agent: str
    token: str

    def ask(self, path: str, body: dict[str, Any] | None = None, base: str | None = None) -> bytes:
        request = urllib.request.Request(
            f"{base or self.dashboard}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def job(self, workshop: Workshop, spec: dict[str, Any]) -> tuple[str, str]:
        """Run the training job and return its status and its log."""
        path = workshop.root / "spec.json"
        path.write_text(json.dumps(spec))
        name = f"{spec['identity'][:12]}-{secrets.token_hex(4)}"
        body = {
            "entrypoint": f"{sys.executable} -P -m training --spec {path}",
            "submission_id": name,
            "runtime_env": {"env_vars": {"PYTHONPATH": str(workshop.root)}},
        }
        self.ask("/api/jobs/", body)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            status = json.loads(self.ask(f"/api/jobs/{name}"))["status"]
            if status in {"SUCCEEDED", "FAILED", "STOPPED"}:
                return status, json.loads(self.ask(f"/api/jobs/{name}/logs"))["logs"]
            time.sleep(0.2)
        raise AssertionError(f"job {name} did not end in {DEADLINE_S} s")


def session_members(leader: int) -> list[psutil.Process]:
    """Those that still run; any of them may end at any moment."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return members


def end_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill all processes of the leader's session: Ray's workers have groups of their own."""
    while members := session_members(leader.pid):
        for process in members:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        if leader.poll() is None:
            leader.wait(DEADLINE_S)


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    folder = Path(tempfile.mkdtemp(prefix="slipway-"))  # short: socket paths go below it
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    names = (*_PORTS, *_AGENT_PORTS)
    *found_ports, autoscaler, metrics = free_ports(len(names) + 2)
    ports = dict(zip(names, found_ports, strict=True))
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "AUTOSCALER_METRIC_PORT": str(autoscaler),
        "DASHBOARD_METRIC_PORT": str(metrics),
    }
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus", "2"]
    command += ["--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1", "--disable-usage-stats"]
    command += ["--object-store-memory", "100000000", "--temp-dir", str(folder / "ray")]
    command += [part for name, port in ports.items() for part in (f"--{name}", str(port))]
    found = Head(
        f"http://127.0.0.1:{ports['dashboard-port']}",
        f"http://127.0.0.1:{ports['dashboard-agent-listen-port']}",
        token.read_text(),
    )
    with (folder / "log").open("wb") as log:
        leader = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(found, leader, folder / "log")
            yield found
        finally:
            end_session(leader)
            shutil.rmtree(folder, ignore_errors=True)


def wait_for(head: Head, leader: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and leader.poll() is None:
        try:
            head.ask("/api/jobs/")
            head.ask("/api/local_raylet_healthz", base=head.agent)
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"Ray did not start:\n{log.read_text()[-3000:]}")


def test_a_job_trains_in_its_driver_and_on_two_workers_with_a_shard_each(head: Head, workshop: Workshop) -> None:
    alone = workshop.spec()
    status, log = head.job(workshop, alone)
    assert status == "SUCCEEDED", log
    assert workshop.result(alone)["verdict"] == "passed"

    shared = workshop.spec(training={"rounds": 11, "resources": {"workers": 2, "cpus": 0.5, "gpus": 0}})
    status, log = head.job(workshop, shared)
    assert status == "SUCCEEDED", log
    assert "2 workers with 0.5 CPU" in log
    assert workshop.result(shared)["metrics"]["accuracy"] > 0.8

    (workshop.root / "mine.py").write_text("def train(data, settings):\n    raise ValueError('the oven is cold')\n")
    status, log = head.job(workshop, workshop.spec(training={"entrypoint": "mine:train"}))
    assert status == "FAILED"
    assert log.strip().endswith("ValueError: the oven is cold")
