"""Putting the application onto Serve and waiting until its replicas are up."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.provider import snapshot
from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable
from infra.local.provider.machine import Work
from infra.local.provider.patience import patiently
from infra.local.provider.ray_client import Ray
from infra.local.provider.serve_state import MARKER, failure_text, marker_of, next_marker, progress_text, settled
from infra.local.provider.supervisor import tail
from infra.local.provider.values import Properties
from training.identity import digest_of

CONTROLLER = "ReleaseController"
_POLL_S = 0.15
_ABSENT_S = 3.0
_PUT_PATIENCE_S = 30.0
_LOG_LINES = 40


@dataclass(frozen=True)
class Deployed:
    """A deployment that came up."""

    deadline: float
    """Monotonic seconds at which waiting for anything more ends."""


async def deploy(work: Work, inputs: Properties) -> Deployed:
    """State the configuration and wait for the replicas.

    Raises:
        Failure: Serve refuses it, the deployment fails, or it is not up within `timeout_s`.
    """
    ray = Ray(work.machine.http, inputs["dashboard_url"], inputs["token_file"])
    deadline = time.monotonic() + inputs["timeout_s"]
    folder = await asyncio.to_thread(snapshot.take, inputs["code"], inputs["code_directory"])
    name = json.loads(inputs["application"])["name"]
    since = await _put(work, ray, inputs, name, folder)
    absent_since = time.monotonic()
    while True:
        application = await _live(ray, name)
        if application is None:
            if time.monotonic() - absent_since > _ABSENT_S:
                since = await _put(work, ray, inputs, name, folder)
                absent_since = time.monotonic()
        else:
            absent_since = time.monotonic()
            if settled(application, since=since):
                return Deployed(deadline)
            await _refuse_failed(work, application)
            await work.status(f"serving: {progress_text(application)}")
        if time.monotonic() > deadline:
            said = failure_text(application) if application else "Serve does not know the application"
            raise Failure(f"{name} was not up within {inputs['timeout_s']:g} s: {said}")
        await asyncio.sleep(_POLL_S)


async def _put(work: Work, ray: Ray, inputs: Properties, name: str, folder: Path) -> float | None:
    """Send the configuration; returns when, in epoch seconds, if replicas are to be replaced, else None."""
    async with work.machine.serve_lock(inputs["dashboard_url"]):
        live = await patiently(lambda: _known(ray, name), f"Ray at {ray.url}")
        application = _application(inputs, folder, live)
        since = time.time() if marker_of({"deployed_app_config": application}) != marker_of(live) else None
        config = {
            "proxy_location": "HeadOnly",
            "http_options": inputs["http"],
            "grpc_options": {"port": inputs["grpc_port"]},
            "applications": [application],
        }
        await patiently(lambda: ray.put_serve(config), f"Ray at {ray.url}", patience_s=_PUT_PATIENCE_S)
    return since


def _application(inputs: Properties, folder: Path, live: dict[str, Any] | None) -> dict[str, Any]:
    application: dict[str, Any] = json.loads(inputs["application"])
    runtime = application.get("runtime_env", {})
    variables = {**runtime.get("env_vars", {}), "PYTHONPATH": str(folder)}
    digest = digest_of({"application": application, "code": inputs["code"]["digest"], "at": str(folder)})[:16]
    application["runtime_env"] = {**runtime, "env_vars": {**variables, MARKER: next_marker(live, digest)}}
    release = {"strategy": inputs["release"]["strategy"]}
    handed = {"name": CONTROLLER, "user_config": {"candidate": inputs.get("candidate"), "release": release}}
    application["deployments"] = [*application.get("deployments", []), handed]
    return application


async def _known(ray: Ray, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await ray.serve()).get("applications", {}).get(name)
    return found


async def _live(ray: Ray, name: str) -> dict[str, Any] | None:
    try:
        return await _known(ray, name)
    except Unreachable:
        return None


async def _refuse_failed(work: Work, application: dict[str, Any]) -> None:
    if application["status"] != "DEPLOY_FAILED":
        return
    log = _newest_log(work.machine.settings.serve_logs, application)
    shown = f"\nThe end of {log}:\n{tail(str(log), _LOG_LINES)}" if log else ""
    raise Failure(f"the serving application could not be deployed:\n{failure_text(application)}{shown}")


def _newest_log(folder: Path, application: dict[str, Any]) -> Path | None:
    """Return the log of the replica that was written to last, among deployments that are not healthy."""
    unwell = [name for name, found in application["deployments"].items() if found["status"] != "HEALTHY"]
    logs = [log for name in unwell for log in folder.glob(f"replica_*_{name}_*.log")]
    return max(logs, key=lambda log: log.stat().st_mtime, default=None)
