"""Stand-ins for Ray's and MLflow's REST interfaces, as far as the provider uses them, with every answer scriptable.

Used where a test needs a state that the real ones reach only by chance; `test_provider_ray.py` runs on the real ones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.provider.serve_state import marker_of
from infra.local.provider.values import Properties
from tests.stacks.provider_bench import Bench, bench
from training.identity import code_digest, digest_of

TOKEN = "0123456789abcdef"
GATE = {"floors": {"accuracy": 0.9}, "tolerance": None, "on_failure": "keep-champion"}
IDENTITY = digest_of("run")


def tags(values: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {"key": key, "value": value if isinstance(value, str) else json.dumps(value)} for key, value in values.items()
    ]


@dataclass
class Tracking:
    """An MLflow server with one experiment and one model."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    model: dict[str, Any] | None = None
    url: str = ""
    down: bool = False

    def finish(
        self, run_id: str = "r1", *, identity: str = IDENTITY, gate: dict[str, Any] = GATE, **result: Any
    ) -> None:
        """Record a finished run with its result."""
        verdict = {"floors": gate["floors"], "tolerance": gate["tolerance"]}
        whole = {
            "contract": 1, "identity": identity, "run_id": run_id, "model_name": "default", "model_version": "1",
            "verdict": "passed", "metrics": {"accuracy": 0.95}, "reasons": [], "champion": None, "evidence": "e",
            "gate": digest_of(verdict), **result,
        }  # fmt: skip
        self.runs[run_id] = {
            "info": {"run_id": run_id, "status": "FINISHED", "lifecycle_stage": "active"},
            "data": {"tags": tags({"slipway.identity": identity, "slipway.result": whole})},
        }

    def release(
        self, phase: str, candidate: str | None, *, champion: str | None = None, reason: str | None = None
    ) -> None:
        """Record what the release controller would."""
        state = {"contract": 1, "phase": phase, "candidate": candidate, "champion": champion, "reason": reason}
        aliases = [{"alias": "champion", "version": champion}] if champion else []
        self.model = {"name": "default", "aliases": aliases, "tags": tags({"slipway.release.state": state})}

    def application(self) -> web.Application:
        made = web.Application(middlewares=[self._maybe_down])
        api = "/api/2.0/mlflow"
        made.router.add_get(f"{api}/experiments/get-by-name", self._experiment)
        made.router.add_post(f"{api}/runs/search", self._search)
        made.router.add_get(f"{api}/runs/get", self._run)
        made.router.add_get(f"{api}/registered-models/get", self._model)
        return made

    @web.middleware
    async def _maybe_down(self, request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        if self.down:
            raise web.HTTPServiceUnavailable
        response: web.StreamResponse = await handler(request)
        return response

    async def _experiment(self, request: web.Request) -> web.Response:
        if request.query["experiment_name"] != "slipway/default" or not self.runs:
            raise web.HTTPNotFound
        return web.json_response({"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}})

    async def _search(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        assert wanted["experiment_ids"] == ["7"]
        found = [
            run
            for run in self.runs.values()
            if run["info"]["status"] == "FINISHED"
            and any(f"'{tag['value']}'" in wanted["filter"] for tag in run["data"]["tags"] if "identity" in tag["key"])
        ]
        return web.json_response({"runs": found})

    async def _run(self, request: web.Request) -> web.Response:
        if request.query["run_id"] not in self.runs:
            raise web.HTTPNotFound
        return web.json_response({"run": self.runs[request.query["run_id"]]})

    async def _model(self, request: web.Request) -> web.Response:
        if self.model is None:
            raise web.HTTPNotFound
        return web.json_response({"registered_model": self.model})


@dataclass
class Ray:
    """A Ray head: jobs that do what the test says, and one Serve application."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    puts: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""
    on_submit: Callable[[dict[str, Any]], None] = lambda _: None
    on_put: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    serving: dict[str, Any] = field(default_factory=dict)
    answers_with: dict[str, str] = field(default_factory=dict)
    """Headers of the served model."""
    said: str = ""
    """What the served model says of its readiness."""
    drop_connections: int = 0
    """How many log connections break off after half of the log."""
    url: str = ""

    def end(self, submission_id: str, status: str = "SUCCEEDED", **more: Any) -> None:
        self.jobs[submission_id] = {**self.jobs.get(submission_id, {}), "status": status, **more}

    def application(self) -> web.Application:
        made = web.Application(middlewares=[self._authorised])
        made.router.add_post("/api/jobs/", self._submit)
        made.router.add_get("/api/jobs/{id}", self._job)
        made.router.add_post("/api/jobs/{id}/stop", self._stop)
        made.router.add_get("/api/jobs/{id}/logs", self._logs)
        made.router.add_get("/api/jobs/{id}/logs/tail", self._tail)
        made.router.add_get("/api/serve/applications/", self._serve)
        made.router.add_put("/api/serve/applications/", self._put)
        made.router.add_delete("/api/serve/applications/", self._remove)
        made.router.add_get("/v2/health/ready", self._ready)
        return made

    @web.middleware
    async def _authorised(self, request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
        if request.path.startswith("/api") and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise web.HTTPUnauthorized
        response: web.StreamResponse = await handler(request)
        return response

    async def _submit(self, request: web.Request) -> web.Response:
        job = await request.json()
        if job["submission_id"] in self.jobs:
            return web.Response(status=500, text="already exists")
        self.submitted.append(job)
        self.jobs[job["submission_id"]] = {"status": "RUNNING", "message": "running"}
        self.on_submit(job)
        return web.json_response({"submission_id": job["submission_id"]})

    def _known(self, request: web.Request) -> str:
        if request.match_info["id"] not in self.jobs:
            raise web.HTTPNotFound
        return request.match_info["id"]

    async def _job(self, request: web.Request) -> web.Response:
        return web.json_response(self.jobs[self._known(request)])

    async def _stop(self, request: web.Request) -> web.Response:
        self.stopped.append(self._known(request))
        self.end(request.match_info["id"], "STOPPED")
        return web.json_response({"stopped": True})

    async def _logs(self, request: web.Request) -> web.Response:
        self._known(request)
        return web.json_response({"logs": self.log})

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        identity = self._known(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.drop_connections:
            self.drop_connections -= 1
            await socket.send_str(self.log[: len(self.log) // 2])
            if request.transport:
                request.transport.abort()
            return socket
        await socket.send_str(self.log)
        while self.jobs.get(identity, {}).get("status") == "RUNNING":  # noqa: ASYNC110  set by the test
            await asyncio.sleep(0.02)
        await socket.close()
        return socket

    async def _serve(self, request: web.Request) -> web.Response:
        return web.json_response({"applications": self.serving})

    async def _put(self, request: web.Request) -> web.Response:
        config = await request.json()
        self.puts.append(config)
        for application in config["applications"]:
            live = self.on_put(application) if self.on_put else up(application)
            self.serving[application["name"]] = {**live, "deployed_app_config": application}
        return web.Response()

    async def _remove(self, request: web.Request) -> web.Response:
        self.serving = {}
        return web.Response()

    async def _ready(self, request: web.Request) -> web.Response:
        running = not self.said and any(found["status"] == "RUNNING" for found in self.serving.values())
        return web.Response(status=200 if running else 503, text=self.said, headers=self.answers_with)


def up(_: dict[str, Any]) -> dict[str, Any]:
    return {"status": "RUNNING", "message": "", "deployments": {}}


def failed(_: dict[str, Any]) -> dict[str, Any]:
    deployment = {
        "status": "DEPLOY_FAILED",
        "message": "ValueError: no such model",
        "replicas": [],
        "target_num_replicas": 1,
    }
    return {"status": "DEPLOY_FAILED", "message": "", "deployments": {"Model": deployment}}


def attempt(put: dict[str, Any]) -> str:
    """Return the marker that a PUT deployed with."""
    return marker_of({"deployed_app_config": put["applications"][0]})


@dataclass
class Ground:
    """A provider with a Ray head and a tracking server that are stand-ins."""

    it: Bench
    ray: Ray
    tracking: Tracking
    folder: Path

    def code(self) -> Properties:
        root = self.folder / "project"
        root.mkdir(exist_ok=True)
        (root / "step.py").write_text("VALUE = 1\n")
        (root / "lock.txt").write_text("a==1\n")
        return {"root": str(root), "files": ["step.py"], "digest": code_digest(root, ["step.py"]), "lock": "lock.txt"}

    def job(self, **changes: Any) -> Properties:
        """Inputs of a RayJob."""
        inputs: Properties = {
            "name": "default", "identity": IDENTITY, "identity_parts": {"seed": "7"}, "spec": '{"contract": 1}',
            "code": self.code(), "python": "/usr/bin/python3", "dashboard_url": self.ray.url,
            "token_file": str(self.folder / "token"), "tracking_uri": self.tracking.url, "model_name": "default",
            "run_directory": str(self.folder / "run" / IDENTITY), "code_directory": str(self.folder / "code"),
            "resources": {"workers": 1, "cpus": 1, "gpus": 0}, "timeout_s": 60, "wait": True, "gate": json.dumps(GATE),
        }  # fmt: skip
        return {**inputs, **changes}

    def service(self, **changes: Any) -> Properties:
        """Inputs of a ServeApplication."""
        application = {"name": "slipway", "route_prefix": "/", "import_path": "serving.app:build", "args": {}}
        inputs: Properties = {
            "name": "slipway", "dashboard_url": self.ray.url, "token_file": str(self.folder / "token"),
            "incarnation": "1-1-b", "application": json.dumps(application), "grpc_port": 9000,
            "http": {"host": "127.0.0.1", "port": 8000, "request_timeout_s": 30}, "code": self.code(),
            "code_directory": str(self.folder / "code"), "url": self.ray.url, "tracking_uri": self.tracking.url,
            "model_name": "default", "candidate": "1", "release": {"strategy": "rolling", "wait": "done"},
            "timeout_s": 30,
        }  # fmt: skip
        return {**inputs, **changes}


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """A provider on stand-ins."""
    (folder / "token").write_text(TOKEN)
    ray, tracking = Ray(), Tracking()
    async with bench(folder) as it, TestServer(ray.application()) as head, TestServer(tracking.application()) as server:
        ray.url, tracking.url = f"http://127.0.0.1:{head.port}", f"http://127.0.0.1:{server.port}"
        yield Ground(it, ray, tracking, folder)
