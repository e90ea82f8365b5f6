"""Waiting for a job: its log to the user, its end, its failure in words, its time limit."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable
from infra.local.provider.job_log import JobLog, of_the_job
from infra.local.provider.machine import Work
from infra.local.provider.ray_client import Ray
from infra.local.provider.supervisor import disk_hint
from infra.local.provider.values import Properties

_POLL_S = 0.3
_LOST_S = 20.0
_TAIL_LINES = 60
_SLOW_PENDING_S = 15.0


@dataclass(frozen=True)
class Job:
    """One job of a training run: the training itself, or a new judgement."""

    name: str
    """Of which Ray's submission ids are made."""
    spec_name: str
    """The file of the spec in the run's folder."""
    arguments: tuple[str, ...]

    def entrypoint(self, python: str, spec: Path) -> str:
        """Return the command; `-P` keeps the working directory from shadowing the snapshot."""
        return shlex.join([python, "-P", "-m", "training", "--spec", str(spec), *self.arguments])


async def follow(work: Work, ray: Ray, inputs: Properties, job: Job, submission_id: str) -> None:
    """Wait until a job has done its work, showing its log.

    Raises:
        Failure: it failed (with the end of its log), ran too long (and was stopped), or its Ray head went away.
    """
    log_file = Path(inputs["run_directory"]) / f"{Path(job.spec_name).stem}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = JobLog(work, ray, submission_id, log_file)
    try:
        ended = await _until_ended(work, ray, inputs, submission_id)
        text = await log.finish()
    finally:
        await log.stop()
    if ended["status"] != "SUCCEEDED":
        raise Failure(_failure(inputs, ended, text, log_file))


async def _until_ended(work: Work, ray: Ray, inputs: Properties, submission_id: str) -> dict[str, Any]:
    begin = seen = time.monotonic()
    warned = False
    while True:
        found = None
        with contextlib.suppress(Unreachable):
            found = await ray.job(submission_id)
        now = time.monotonic()
        if found is None:
            if now - seen > _LOST_S:
                raise Failure(f"Ray at {ray.url} went away while the training ran: `pulumi up --refresh` heals it")
        else:
            seen = now
            if found["status"] not in ("PENDING", "RUNNING"):
                return found
            if found["status"] == "PENDING" and now - begin > _SLOW_PENDING_S and not warned:
                warned = True
                await work.warn(f"the job waits for resources: {found.get('message')}")
            await _refuse_overtime(ray, inputs, submission_id, found)
            await work.status(f"training: {found['status'].lower()} ... {now - begin:.0f} s")
        await asyncio.sleep(_POLL_S)


async def _refuse_overtime(ray: Ray, inputs: Properties, submission_id: str, found: dict[str, Any]) -> None:
    begin = (found.get("start_time") or time.time() * 1000) / 1000
    if time.time() - begin <= inputs["timeout_s"]:
        return
    with contextlib.suppress(Unreachable):
        await ray.stop_job(submission_id)
    raise Failure(
        f"the training run {inputs['identity'][:16]} did not end within {inputs['timeout_s']:g} s and was stopped: "
        "raise slipway:training.timeout, or make the training smaller"
    )


def _failure(inputs: Properties, ended: dict[str, Any], text: str, log_file: Path) -> str:
    text = text or str(ended.get("message") or "")
    code = ended.get("driver_exit_code")
    how = "was stopped" if ended["status"] == "STOPPED" else f"failed{'' if code is None else f' (exit code {code})'}"
    last = "\n".join(of_the_job(text.splitlines())[-_TAIL_LINES:]) or ended.get("error_type") or "(no log)"
    lines = [f"the training run {inputs['identity'][:16]} {how}.", *filter(None, [disk_hint(str(log_file))])]
    return "\n".join([*lines, "The end of its log:", last, f"log: {log_file}"])
