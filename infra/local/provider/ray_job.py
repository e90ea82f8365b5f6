"""slipway:local:RayJob: a training run, made once per identity.

Its promise: a finished run is adopted, a running one is attached to, and only otherwise is one submitted.  It never
deletes runs or versions, and never moves an alias.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from infra.local.provider import rules, snapshot
from infra.local.provider.difference import Difference, difference
from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable
from infra.local.provider.job_follow import Job, follow
from infra.local.provider.machine import Work
from infra.local.provider.mlflow_client import Tracking
from infra.local.provider.patience import patiently
from infra.local.provider.ray_client import Ray
from infra.local.provider.resource_type import ResourceType
from infra.local.provider.rules import Rule
from infra.local.provider.values import UNKNOWN, Properties, has_unknown
from training.identity import digest_of, what_changed

_RESULTS = ("run_id", "model_version", "verdict", "metrics", "reasons", "candidate")
_SHORT = 16
_LARGEST_SPEC = 4_000
"""Characters; it is stored twice, and the state of a run stays below 16 kB."""
_CAUSES = {"identity", "gate"}
_FOLLOWING = {"spec", "code", "run_directory"}
"""Inputs that change whenever a cause does; a preview that listed them would bury the cause."""


def _is_code(value: Any) -> bool:
    return isinstance(value, dict) and rules.is_path(value.get("root")) and rules.is_texts(value.get("files"))


def _is_spec(value: Any) -> bool:
    return rules.is_json_object(value) and len(value) <= _LARGEST_SPEC


class RayJobType(ResourceType):
    """Ensures, re-gates, looks at and cancels training runs."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "name": rules.TEXT,
        "identity": rules.TEXT,
        "identity_parts": rules.TEXT_MAP,
        "spec": Rule(accepts=_is_spec, says=f"a JSON object of at most {_LARGEST_SPEC} characters: fewer parameters"),
        "code": Rule(accepts=_is_code, says="a map with `root`, `files`, `digest` and `lock`"),
        "python": rules.PATH,
        "dashboard_url": rules.URL,
        "token_file": rules.PATH,
        "tracking_uri": rules.URL,
        "model_name": rules.TEXT,
        "run_directory": rules.PATH,
        "code_directory": rules.PATH,
        "resources": Rule(accepts=rules.is_map, says="a map with `workers`, `cpus` and `gpus`"),
        "timeout_s": rules.SECONDS,
        "wait": rules.FLAG,
        "gate": rules.JSON_OBJECT,
    }

    def defaults(self, inputs: Properties) -> Properties:
        return {"resources": {}, "wait": True, **inputs}

    def difference(self, old: Properties, new: Properties) -> Difference:
        """Only another identity is another run; a run that is awaited, or that failed unseen, is drift."""
        status = old.get("status")
        awaited = status == "failed" or (status == "running" and new.get("wait") is True)
        drift = ["status"] if awaited else []
        found = difference(self.rules, old, new, replacing=["identity", "identity_parts"], drift=drift)
        return found.without(_FOLLOWING) if found.names & _CAUSES else found

    def reason(self, old: Properties, new: Properties) -> str | None:
        """Name the parts of the identity that changed, from what to what."""
        before, after = old.get("identity_parts") or {}, new.get("identity_parts") or {}
        return None if has_unknown(after) else what_changed(before, after)

    def preview(self, old: Properties | None, new: Properties) -> Properties:
        """A run that will be made, awaited or gated again has results that are not known."""
        if old is None or old.get("status") != "finished":
            return {**new, "status": UNKNOWN, **dict.fromkeys(_RESULTS, UNKNOWN)}
        same = {name: old.get(name) for name in ("status", *_RESULTS)}
        if has_unknown(new.get("gate")) or gate_digest(old) != gate_digest(new):
            same |= dict.fromkeys(("verdict", "reasons", "candidate"), UNKNOWN)
        return {**new, **same}

    def id_of(self, inputs: Properties) -> str:
        return str(inputs["identity"])

    async def create(self, work: Work, inputs: Properties) -> Properties:
        """Ensure the run of this identity, gated as asked."""
        return await _ensure(work, inputs)

    async def update(self, work: Work, old: Properties, new: Properties) -> Properties:
        """Ensure it again when the gate changed or there is no result yet; else only take over the new inputs."""
        if old.get("status") == "finished" and gate_digest(old) == gate_digest(new):
            return {**new, **{name: old.get(name) for name in ("status", *_RESULTS)}}
        return await _ensure(work, new)

    async def read(self, work: Work, state: Properties) -> Properties | None:
        """Return results as recorded; only a run that is definitely deleted is missing."""
        tracking = Tracking(work.machine.http, state["tracking_uri"])
        try:
            if state.get("run_id"):
                if not await tracking.run_exists(state["run_id"]):
                    return None
                result = await tracking.result(state["run_id"])
                return {**state, **_finished(result)} if result else state
            result = await tracking.finished_run(state["model_name"], state["identity"])
            if result:
                return {**state, **_finished(result)}
            _, job = await _ray(work, state).latest(state["identity"])
        except Unreachable as error:
            await work.status(f"kept as stored: {error}")
            return state
        return {**state, "status": "running" if job else "failed"}

    async def delete(self, work: Work, state: Properties) -> None:
        """Stop the job when it still runs; runs, versions and artifacts stay."""
        ray = _ray(work, state)
        try:
            submission_id, job = await ray.latest(state["identity"])
            if job:
                await ray.stop_job(submission_id)
                await work.say(f"stopped the training run {state['identity'][:_SHORT]}")
        except Unreachable:
            return  # without its Ray head no job runs


def gate_digest(inputs: Properties) -> str:
    """Return the digest of what decides a verdict; `on_failure` is the program's affair."""
    gate = json.loads(inputs["gate"])
    return digest_of({name: gate.get(name) for name in ("floors", "tolerance")})


def _ray(work: Work, inputs: Properties) -> Ray:
    return Ray(work.machine.http, inputs["dashboard_url"], inputs["token_file"])


async def _ensure(work: Work, inputs: Properties) -> Properties:
    tracking = Tracking(work.machine.http, inputs["tracking_uri"])
    result = await _result(tracking, inputs)
    if result:
        await work.say(f"adopted run {result['run_id']}, nothing trained")
    else:
        ended = await _run(work, inputs, Job(inputs["identity"], "spec.json", ()))
        if not ended:
            return {**inputs, "status": "running", **dict.fromkeys(_RESULTS)}
        result = await _recorded(tracking, inputs)
    if result.get("gate") != gate_digest(inputs):
        await work.say(f"the gate has changed: judging run {result['run_id']} again, nothing trained")
        name = f"{inputs['identity'][:_SHORT]}-gate-{gate_digest(inputs)[:_SHORT]}"
        await _run(work, {**inputs, "wait": True}, Job(name, f"{name}.json", ("--regate",)))
        result = await _recorded(tracking, inputs)
    return {**inputs, **_finished(result)}


async def _result(tracking: Tracking, inputs: Properties) -> dict[str, Any] | None:
    return await patiently(
        lambda: tracking.finished_run(inputs["model_name"], inputs["identity"]), f"the tracking server {tracking.url}"
    )


async def _recorded(tracking: Tracking, inputs: Properties) -> dict[str, Any]:
    result = await _result(tracking, inputs)
    if result is None:
        raise Failure(
            f"the job of training run {inputs['identity'][:_SHORT]} succeeded without recording a result in "
            f"{tracking.url}: see {inputs['run_directory']}"
        )
    return result


async def _run(work: Work, inputs: Properties, job: Job) -> bool:
    """Attach to the job or submit it; returns whether it has ended (False only without `wait`)."""
    ray = _ray(work, inputs)
    submission_id, active = await patiently(lambda: ray.latest(job.name), f"Ray at {ray.url}")
    if active:
        await work.say(f"attached to the job {submission_id}, which runs already")
    else:
        await ray.submit(await asyncio.to_thread(_prepared, work, inputs, job, submission_id))
    if not inputs["wait"]:
        await work.say("submitted; the result enters with the next `up --refresh`")
        return False
    await follow(work, ray, inputs, job, submission_id)
    return True


def _prepared(work: Work, inputs: Properties, job: Job, submission_id: str) -> dict[str, Any]:
    """Write the snapshot and the spec; returns the request that submits the job."""
    code, folder = inputs["code"], snapshot.take(inputs["code"], inputs["code_directory"])
    spec = {
        "lineage": snapshot.lineage(code),
        **json.loads(inputs["spec"]),
        "code": {"root": str(folder), "files": code["files"], "lock": code.get("lock")},
        "gate": json.loads(inputs["gate"]),
    }
    file = Path(inputs["run_directory"]) / job.spec_name
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    settings = work.machine.settings
    metadata = {"slipway.identity": inputs["identity"], "slipway.stack": settings.stack}
    return {
        "submission_id": submission_id,
        "entrypoint": job.entrypoint(inputs["python"], file),
        "runtime_env": {"env_vars": {"PYTHONPATH": str(folder)}},
        "metadata": {**metadata, "slipway.project": settings.project},
        **_entrypoint_resources(inputs["resources"]),
    }


def _entrypoint_resources(resources: Properties) -> dict[str, float]:
    """One worker without a GPU trains in the job's own process; several workers reserve for themselves."""
    if resources.get("workers", 1) > 1 or resources.get("gpus", 0) > 0:
        return {}
    return {"entrypoint_num_cpus": resources.get("cpus", 1)}


def _finished(result: dict[str, Any]) -> Properties:
    version = result.get("model_version")
    found = {name: result.get(name) for name in _RESULTS}
    candidate = version if result.get("verdict") == "passed" else None
    return {**found, "model_version": version, "candidate": candidate, "status": "finished"}
