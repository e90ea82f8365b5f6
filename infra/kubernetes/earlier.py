"""What the cluster knows of earlier training runs: how often this one failed, and what makes it another than the last.

One query answers both.  It only reads; a cluster that cannot be asked has no earlier runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from components.settings import SettingError
from infra.kubernetes import failure
from infra.kubernetes.connection import shared
from infra.kubernetes.findings import OFFLINE
from infra.kubernetes.incluster.derived import SCHEDULED_LABEL
from infra.kubernetes.names import Context
from training.identity import what_changed

PART_ANNOTATION = "slipway/identity-"
"""Before the name of a part of the identity: the annotations of a RayJob."""
RUN_LABEL = "slipway/run"
"""The run that a RayJob is an attempt of."""
_JOBS = "/apis/ray.io/v1/namespaces/{namespace}/rayjobs?labelSelector={selector}"


@dataclass(frozen=True)
class Earlier:
    """What is said of a run by those before it."""

    job_name: str
    """The RayJob to ask for: an attempt that failed is never run again by KubeRay, whatever is changed about it."""
    difference: str | None
    """What makes it another run than the latest; None when it is there, or the first."""


def look(context: Context, name: str, parts: Mapping[str, str]) -> Earlier:
    """Return what the cluster says of the run `name`, whose identity is made of `parts`."""
    found = _jobs(context)
    attempts = [(job["metadata"]["name"], job.get("status")) for job in found if _run_of(job) == name]
    return Earlier(attempt_name(name, attempt_after(attempts, name)), difference(found, name, parts))


def difference(jobs: Sequence[Mapping[str, Any]], name: str, parts: Mapping[str, str]) -> str | None:
    """Say what makes the run `name` another one than the latest of `jobs`."""
    own = [job for job in jobs if job["metadata"]["labels"].get(SCHEDULED_LABEL) != "true"]
    if not own or any(_run_of(job) == name for job in own):
        return None
    latest = max(own, key=lambda job: str(job["metadata"].get("creationTimestamp")))
    annotations = latest["metadata"].get("annotations") or {}
    return what_changed({part: annotations.get(f"{PART_ANNOTATION}{part}", "") for part in parts}, parts)


def attempt_after(jobs: Sequence[tuple[str, Mapping[str, Any] | None]], name: str) -> int:
    """Return the attempt to ask for: the latest there is, or one more when that one has failed."""
    attempts = {_attempt_of(job, name): status for job, status in jobs}
    if not attempts:
        return 0
    latest = max(attempts)
    return latest + 1 if failure.failed(attempts[latest]) else latest


def attempt_name(name: str, attempt: int) -> str:
    """Return the name of a RayJob: the first attempt has the run's own."""
    return f"{name}-{attempt}" if attempt else name


def _attempt_of(job: str, name: str) -> int:
    suffix = job.removeprefix(name).removeprefix("-")
    return int(suffix) if suffix.isdigit() else 0


def _run_of(job: Mapping[str, Any]) -> str:
    return str(job["metadata"]["labels"][RUN_LABEL])


def _jobs(context: Context) -> list[dict[str, Any]]:
    """Return the RayJobs of training runs, as far as the cluster tells them; none where it must not be asked."""
    if os.environ.get(OFFLINE) == "1":
        return []
    try:
        cluster = shared(context.config.context, kubeconfig(context))
        answer = cluster.get(_JOBS.format(namespace=context.namespace, selector=quote(RUN_LABEL)))
    except SettingError:
        return []
    return list(answer.body.get("items") or []) if answer.ok else []


def kubeconfig(context: Context) -> str | None:
    """Return the kubeconfig that a context is reached by; None: where kubectl looks."""
    file = context.config.kubeconfig
    return None if file is None else str(context.place.root / Path(file).expanduser())
