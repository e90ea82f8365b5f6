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
from infra.local.provider.values import Properties
from serving.errors import UNUSABLE

READY_PATH = "/v2/health/ready"
_POLL_S = 0.15
_STALE_S = 5.0
"""A failure that was recorded before this deployment counts once the controller has had this long to try again."""
_HOPELESS_S = 15.0
"""A broken champion is given up after this long: the replica has then looked at its artifact twice."""

_SWAP_S = 60.0
"""Replicas that answer still have another version are left behind with a warning after this long."""
_BEHIND = "still answers with version"
_VERSION_HEADER = "X-Slipway-Model-Version"


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
    last, stuck_since = "nothing yet", None
    while time.monotonic() < deployed.deadline:
        model = await _model(tracking, inputs)
        fresh = model is not None and (model.release != before.release or time.monotonic() - begin > _STALE_S)
        if model is not None and await _decided(work, inputs, model.release, fresh=fresh):
            last = await _amiss(work, inputs, model)
            if not last:
                return model
            stuck = _BEHIND in last or f"version {model.champion}, {UNUSABLE}" in last
            stuck_since = (stuck_since or time.monotonic()) if stuck else None
            if stuck_since and time.monotonic() - stuck_since > (_SWAP_S if _BEHIND in last else _HOPELESS_S):
                return await _stuck(work, inputs, model, last)
        elif model is not None:
            last = f"the release is {model.release.get('phase', 'not begun')}"
        await work.status(
            f"releasing version {inputs.get('candidate') or 'champion'} ... {time.monotonic() - begin:.0f} s"
        )
        await asyncio.sleep(_POLL_S)
    raise Failure(f"{inputs['url']}{READY_PATH} was not ready within {inputs['timeout_s']:g} s: {last}")


async def _amiss(work: Work, inputs: Properties, model: Model) -> str:
    """Return what is amiss with the service; empty when it is ready and answers with the champion."""
    try:
        answer = await work.machine.http.request("GET", inputs["url"] + READY_PATH, timeout_s=5)
    except Unreachable as error:
        return str(error)
    if not answer.ok:
        return f"status {answer.status}: {answer.text}"
    served = answer.headers.get(_VERSION_HEADER, model.champion)
    return "" if served == model.champion else f"{_BEHIND} {served}, and version {model.champion} is champion"


async def _stuck(work: Work, inputs: Properties, model: Model, amiss: str) -> Model:
    """Fail because the champion is broken; say it where another version is served meanwhile."""
    if _BEHIND not in amiss:
        raise Failure(
            f"the model {inputs['model_name']} is not served: {amiss}. Restore the artifacts of that version, "
            "train another one, or give a sound version the alias `champion`; tracking and Ray stay up."
        )
    await work.warn(
        f"after {_SWAP_S:g} s {inputs['url']} {amiss}: see {inputs['url']}/v2/models/{inputs['model_name']}"
    )
    return model


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
