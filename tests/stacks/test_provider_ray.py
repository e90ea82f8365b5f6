"""The provider on a real Ray head and a real MLflow server: one story, from nothing to nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from components.seam import Place
from components.tracking_server import SERVER_ENVIRONMENT
from infra.local.layout import Layout
from infra.local.ports import BLOCK_SIZE, block_at
from infra.local.provider.procfs import command_of
from infra.local.provider.values import Properties
from infra.local.ray_node import prestart_body, ray_command, ray_environment, ray_leftovers
from tests.free_ports import free_block
from tests.stacks.provider_bench import Bench, bench, eventually, members, run
from training.identity import code_digest, digest_of

pytestmark = pytest.mark.slow
CODE = Path(__file__).with_name("provider_code")
PORTS = block_at(free_block(BLOCK_SIZE))
GATE: dict[str, Any] = {"floors": {}, "tolerance": None, "on_failure": "keep-champion"}
TRACKING = f"http://127.0.0.1:{PORTS.tracking}"
DASHBOARD = f"http://127.0.0.1:{PORTS.dashboard}"
SERVING = f"http://127.0.0.1:{PORTS.serving}"


@dataclass
class Story:
    """Inputs of the resources of one small environment."""

    it: Bench
    layout: Layout
    project: Path

    def tracking(self) -> Properties:
        folder = self.it.folder / "tracking"
        # `{state}` is what the runtime fills in
        common = {key: str(value).replace("{state}", str(folder)) for key, value in SERVER_ENVIRONMENT.items()}
        return {
            "name": "tracking",
            "command": [
                sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--host", "127.0.0.1",
                "--port", str(PORTS.tracking), "--workers", "1", "--no-access-log",
            ],
            "environment": {**common, "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.it.folder / "artifacts")},
            "working_directory": str(folder),
            "ports": {"slipway:tracking.port": PORTS.tracking},
            "ready": [
                {"url": f"{TRACKING}/health"},
                {
                    "url": f"{TRACKING}/api/2.0/mlflow/experiments/search",
                    "method": "POST",
                    "body": '{"max_results": 1}',
                },
            ],
            "start_timeout_s": 120,
            "stop_timeout_s": 10,
        }  # fmt: skip

    def ray(self) -> Properties:
        token = str(self.layout.ray_token)
        return {
            "name": "ray",
            "command": ray_command(sys.executable, self.layout, PORTS, PORTS.dashboard, 2),
            "environment": ray_environment(self.layout, PORTS),
            "working_directory": str(self.layout.state),
            "ports": {"slipway:ray.dashboard_port": PORTS.dashboard, "slipway:serving.port": PORTS.serving},
            "ready": [
                {"url": f"{DASHBOARD}/api/jobs/", "token_file": token},
                {"url": f"http://127.0.0.1:{PORTS.agent_http}/api/local_raylet_healthz"},
            ],
            "start_timeout_s": 120,
            "stop_timeout_s": 15,
            "after_ready": [
                {
                    "url": f"{DASHBOARD}/api/serve/applications/",
                    "method": "PUT",
                    "body": prestart_body(PORTS, PORTS.serving, 30),
                    "token_file": token,
                }
            ],
            "clean": ray_leftovers(self.layout),
        }

    def code(self, package: str) -> Properties:
        files = sorted(str(path.relative_to(self.project)) for path in (self.project / package).rglob("*.py"))
        return {"root": str(self.project), "files": files, "digest": code_digest(self.project, files)}

    def job(self, **params: Any) -> Properties:
        parts = {"parameters": json.dumps(params)}
        identity = digest_of(parts)
        decides = {"floors": GATE["floors"], "tolerance": GATE["tolerance"]}
        spec = {
            "identity": identity, "model_name": "default", "tracking_uri": TRACKING,
            "params": params, "gate_digest": digest_of(decides),
        }  # fmt: skip
        return {
            "name": "default", "identity": identity, "identity_parts": parts, "spec": json.dumps(spec),
            "code": self.code("training"), "python": sys.executable, "dashboard_url": DASHBOARD,
            "token_file": str(self.layout.ray_token), "tracking_uri": TRACKING, "model_name": "default",
            "run_directory": str(self.it.state / "runs" / identity), "code_directory": str(self.it.state / "code"),
            "resources": {"workers": 1, "cpus": 1, "gpus": 0}, "timeout_s": 120, "wait": True,
            "gate": json.dumps(GATE),
        }  # fmt: skip

    def service(self, head: Properties, **args: Any) -> Properties:
        args = {"tracking_uri": TRACKING, "model_name": "default", **args}
        application = {"name": "slipway", "route_prefix": "/", "import_path": "serving.app:build", "args": args}
        return {
            "name": "slipway", "dashboard_url": DASHBOARD, "token_file": str(self.layout.ray_token),
            "incarnation": head["incarnation"], "application": json.dumps(application),
            "http": {"host": "127.0.0.1", "port": PORTS.serving, "request_timeout_s": 30},
            "grpc_port": PORTS.serve_grpc, "code": self.code("serving"),
            "code_directory": str(self.it.state / "code"), "url": SERVING, "tracking_uri": TRACKING,
            "model_name": "default", "candidate": "1", "release": {"strategy": "rolling", "wait": "done"},
            "timeout_s": 120,
        }  # fmt: skip


@asynccontextmanager
async def story(folder: Path) -> AsyncIterator[Story]:
    layout = Layout(Place(project="slipway", stack="bench", root=folder))
    shutil.copytree(CODE, folder / "project")
    async with bench(folder, layout.state) as it:
        await it.create("DataFolder", {"path": str(layout.state), "secrets": ["ray-token"]})
        await it.create("DataFolder", {"path": str(layout.sockets)})
        try:
            yield Story(it, layout, folder / "project")
        finally:
            for path in (layout.state, layout.sockets):  # the first ends every process
                await it.delete("DataFolder", {"path": str(path), "retain": False, "secrets": []})


def listening() -> list[int]:
    """Return the listening ports of the block."""
    block = range(PORTS.gcs, PORTS.workers[1] + 1)
    sockets = psutil.net_connections(kind="tcp")
    return sorted(s.laddr.port for s in sockets if s.status == psutil.CONN_LISTEN and s.laddr and s.laddr.port in block)


def served_by() -> str:
    return httpx.get(f"{SERVING}/", timeout=30).text


async def training_runs_once(on: Story) -> None:
    made = await on.it.create("RayJob", on.job(depth=3))
    assert (made["status"], made["model_version"], made["candidate"]) == ("finished", "1", "1")
    steps = [line for line in on.it.heard.lines if line.startswith("step ")]
    assert steps == [f"step {number} of {made['identity'][:4]}" for number in range(30)]
    again = await on.it.create("RayJob", on.job(depth=3))
    assert again == made
    assert on.it.heard.lines[-1] == f"adopted run {made['run_id']}, nothing trained"


async def a_failing_job_shows_its_traceback(on: Story) -> None:
    for _ in range(2):  # the second time its id is known to Ray already
        said = await on.it.refused(on.it.create("RayJob", on.job(raises=True)))
        assert "failed (exit code 1)" in said
        assert "ValueError: the column 'target' is not there" in said


async def a_broken_deployment_says_why_and_a_repaired_one_serves(on: Story, head: Properties) -> Properties:
    said = await on.it.refused(on.it.create("ServeApplication", on.service(head, broken=True)))
    assert "this model cannot be loaded" in said
    made = await on.it.create("ServeApplication", on.service(head))
    assert (made["champion"], made["release_phase"], made["live"]) == ("1", "released", True)
    assert served_by().isdigit()
    return made


async def a_restarted_head_is_deployed_to_again(on: Story, head: Properties, service: Properties) -> None:
    before = served_by()
    unchanged = await on.it.update("ServeApplication", service, on.service(head))
    assert served_by() == before, "the same configuration replaces no replica"
    for pid in members(head):
        if "gcs_server" in command_of(pid):
            os.kill(pid, signal.SIGKILL)
    await eventually(lambda: head["pid"] not in members(head), "the head ends when its GCS is gone")
    seen = await on.it.read("Process", head)
    assert seen is not None
    assert seen["running"] is False
    lost = await on.it.read("ServeApplication", unchanged)
    assert lost is not None
    assert (lost["live"], lost["champion"]) == (False, "1")
    healed = await on.it.update("Process", seen, on.ray())
    assert members(head) == [], "no orphan of the old head lives beside the new one"
    await on.it.update("ServeApplication", lost, on.service(healed))
    assert served_by() != before


def test_an_environment_from_nothing_to_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with story(tmp_path) as on:
            tracking, head = await asyncio.gather(
                on.it.create("Process", on.tracking()), on.it.create("Process", on.ray())
            )
            await training_runs_once(on)
            await a_failing_job_shows_its_traceback(on)
            service = await a_broken_deployment_says_why_and_a_repaired_one_serves(on, head)
            await a_restarted_head_is_deployed_to_again(on, head, service)
            assert listening() != [], "the control: it does listen"
            await on.it.delete("ServeApplication", service)
            await on.it.delete("Process", head)
            await on.it.delete("Process", tracking)
            assert listening() == []
            assert {path.name for path in on.layout.sockets.iterdir()} == {".slipway-folder"}, (
                "only its own mark is left"
            )

    run(scenario)
