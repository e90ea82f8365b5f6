"""Waiting for what the release controller makes of a candidate, and for the service to answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from infra.local.provider.deployment import Deployed
from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable
from infra.local.provider.machine import Work
from infra.local.provider.mlflow_client import Model, Tracking
from infra.local.provider.readiness import answers
from infra.local.provider.values import Properties
from serving.errors import UNUSABLE

READY_PATH = "/v2/health/ready"
_POLL_S = 0.15
_STALE_S = 5.0
"""A failure that was recorded before this deployment counts once the controller has had this long to try again."""
_HOPELESS_S = 15.0
"""A broken champion is given up after this long: the replica has then looked at its artifact twice."""


async def wait_for_release(
    work: Work, inputs: Properties, tracking: Tracking, deployed: Deployed, before: Model
) -> Model:
    """Wait until the candidate's release has ended and the service answers; with `wait: started`, not at all.

    Raises:
        Failure: the candidate failed, or time is up.
    """
    if inputs["release"]["wait"] == "started":
        return await _model(tracking, inputs) or before
    begin = time.monotonic()
    last, broken_since = "nothing yet", None
    while time.monotonic() < deployed.deadline:
        model = await _model(tracking, inputs)
        fresh = model is not None and (model.release != before.release or time.monotonic() - begin > _STALE_S)
        if model is not None and await _decided(work, inputs, model.release, fresh=fresh):
            last = await answers(work.machine.http, {"url": inputs["url"] + READY_PATH}, 5) or ""
            if not last:
                return model
            broken = f"version {model.champion}, {UNUSABLE}" in last
            broken_since = (broken_since or time.monotonic()) if broken else None
            if broken_since and time.monotonic() - broken_since > _HOPELESS_S:
                raise Failure(
                    f"the model {inputs['model_name']} is not served: {last}. Restore the artifacts of that version, "
                    "train another one, or give a sound version the alias `champion`; tracking and Ray stay up."
                )
        elif model is not None:
            last = f"the release is {model.release.get('phase', 'not begun')}"
        await work.status(
            f"releasing version {inputs.get('candidate') or 'champion'} ... {time.monotonic() - begin:.0f} s"
        )
        await asyncio.sleep(_POLL_S)
    raise Failure(f"{inputs['url']}{READY_PATH} was not ready within {inputs['timeout_s']:g} s: {last}")


async def _model(tracking: Tracking, inputs: Properties) -> Model | None:
    try:
        return await tracking.model(inputs["model_name"])
    except Unreachable:
        return None


async def _decided(work: Work, inputs: Properties, state: dict[str, Any], *, fresh: bool) -> bool:
    """Tell whether the candidate's release has come to a good end; raise when to a bad one."""
    candidate = inputs.get("candidate")
    if candidate is None:
        return True  # nothing was asked for
    if state.get("candidate") != candidate or state.get("phase") not in ("released", "failed", "refused"):
        return False
    if state["phase"] == "released":
        return True
    if not fresh:
        return False
    serving = f"version {state['champion']} stays champion" if state.get("champion") else "nothing is served"
    message = f"version {candidate} was not released ({state['phase']}): {state.get('reason')}; {serving}"
    if state["phase"] == "failed" or not state.get("champion"):
        raise Failure(f"{message}. Train another version, or give a version the alias `champion`.")
    await work.warn(message)
    return True
