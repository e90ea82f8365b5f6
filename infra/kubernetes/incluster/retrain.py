"""Scheduled retraining: `python -m infra.kubernetes.incluster.retrain --template FILE --result NAMESPACE/CONFIGMAP`.

Looks at the data as they are now.  Where no finished run was made from them, it makes a RayJob like the stack's own,
waits for it, judges it, and writes the verdict where the stack reads it: the next `up` releases the candidate, and
nothing is released here.  Killed and started again, it attaches to the run that goes on.

What it makes is owned by its ServiceAccount: `destroy` takes that away while the operator still runs, and waits.
"""

from __future__ import annotations

import argparse
import base64
import http
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.kubernetes.incluster import derived
from infra.kubernetes.incluster.api import Api, ApiError, Named, write_result
from infra.kubernetes.incluster.derived import Document
from infra.kubernetes.incluster.ending import Failure, run, say
from infra.kubernetes.incluster.verdict import shown
from training import environment, spec
from training.console import Refused

RAY = "ray.io/v1"
KEPT = 3
"""Ended RayJobs of the schedule that stay to be looked at; their specifications go with them."""
_PATIENCE_S = 600.0
"""How long the API server may be away while a training goes on."""
_ENDED = ("Complete", "Failed", "ValidationFailed")
_POLL_S = 5.0
_LONGEST_REASON = 1500


def main(arguments: Sequence[str]) -> None:
    """Look, and train if there is something new."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.kubernetes.incluster.retrain", description="train again when the data have changed"
    )
    parser.add_argument("--template", type=Path, required=True, help="the stack's run: its spec and its RayJob")
    parser.add_argument("--result", required=True, metavar="NAMESPACE/CONFIGMAP", help="where the stack reads it")
    given = parser.parse_args(arguments)
    template = json.loads(given.template.read_text(encoding="utf-8"))
    environment.prepare()
    try:
        retrain(Scheduled(Api.of_this_pod(patience_s=_PATIENCE_S), template["rayjob"]), template["spec"], given.result)
    except Refused as refused:
        raise Failure(str(refused)) from refused


def retrain(jobs: Scheduled, stack: Document, target: str) -> None:
    """Make the result the one of the data as they are now.

    Raises:
        Failure: the training failed, or the stack wants another run by now.
        Refused: the data cannot be read, or the image holds other code.
    """
    from training import job, source, tracking  # noqa: PLC0415  imports MLflow, which reads the environment

    before = _read_result(jobs.api, target)
    digest = source.content_digest(spec.parse(stack).data)
    own = derived.finished(stack)
    if own is None:
        say(f"nothing to do yet: the stack's own run {stack['identity'][:12]} has not finished")
        return
    wanted = stack if own.get(tracking.DATA_TAG) == digest else derived.document(stack, digest)
    if derived.finished(wanted) is None:
        say(f"the data are new (sha256 {digest[:12]}): training identity {wanted['identity'][:12]}")
        try:
            jobs.train(wanted)
        finally:
            jobs.prune()
    result = shown(job.judge(spec.parse(wanted)))
    if result == before:
        say(f"nothing new: version {result['model_version']} was trained on these data (sha256 {digest[:12]})")
        return
    _write(jobs.api, target, result)
    say(f"version {result['model_version']}: {result['verdict']}; the next `up` reads it and releases a candidate")


def _read_result(api: Api, target: str) -> dict[str, Any] | None:
    namespace, _, name = target.partition("/")
    try:
        found = api.get(Named("configmaps", namespace, name))
    except ApiError as error:
        raise _replaced(error) from error
    text = (found.get("data") or {}).get("result.json")
    return json.loads(text) if text else None


def _write(api: Api, target: str, result: Mapping[str, Any]) -> None:
    try:
        write_result(api, target, result)
    except ApiError as error:
        raise _replaced(error) from error


def _replaced(error: ApiError) -> Failure:
    if error.status not in (http.HTTPStatus.FORBIDDEN, http.HTTPStatus.NOT_FOUND):
        return error
    return Failure(f"the stack wants another run by now, so nothing is written: its result is another object ({error})")


@dataclass(frozen=True)
class Scheduled:
    """The RayJobs that the schedule makes."""

    api: Api
    template: Mapping[str, Any]
    sleep: Callable[[float], None] = time.sleep

    def train(self, wanted: Document) -> None:
        """Attach to the run that goes on, or make one, and wait for its end.

        Raises:
            Failure: it ended badly, or was deleted.
        """
        what = self._ensure(wanted)
        status = self._wait(what)
        if status.get("jobDeploymentStatus") != "Complete" or status.get("jobStatus") != "SUCCEEDED":
            reason = f"{status.get('reason') or status.get('jobStatus')}: {status.get('message') or 'no message'}"
            raise Failure(f"the training {what.name} failed: {reason[-_LONGEST_REASON:]}; the next date tries again")

    def _ensure(self, wanted: Document) -> Named:
        base = derived.run_name(wanted)
        attempts = {_attempt(job, base): job for job in self.api.select(self._named(""), f"{derived.RUN_LABEL}={base}")}
        latest = max(attempts, default=-1)
        going = latest in attempts and not _ended(attempts[latest])
        number = latest if going else latest + 1
        what = self._named(f"{base}-{number}" if number else base)
        say(f"{'attaching to' if going else 'making'} the RayJob {what.name}")
        job = derived.ray_job(self.template, wanted, what.name)
        job["metadata"]["ownerReferences"] = [owner(self.api.token)]
        made = attempts[latest] if going else self.api.create(what, job)
        if derived.needs_file(self.template):  # also when attaching: the one before may have ended in between
            self._specify(what, made, wanted)
        return what

    def _specify(self, what: Named, made: Mapping[str, Any], wanted: Document) -> None:
        """Make the file that the RayJob's pods wait for; it goes when the RayJob goes."""
        metadata = {
            "name": what.name,
            "labels": made["metadata"].get("labels", {}),
            "ownerReferences": [
                {"apiVersion": RAY, "kind": "RayJob", "name": what.name, "uid": made["metadata"]["uid"]}
            ],
        }
        text = json.dumps(wanted, sort_keys=True)
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"spec.json": text},
            "immutable": True,
        }
        self.api.create(Named("configmaps", what.namespace, what.name), manifest)

    def _wait(self, what: Named) -> Mapping[str, Any]:
        said = None
        while True:
            found = self.api.get(what)
            status: Mapping[str, Any] = found.get("status") or {}
            if _ended(found):
                return status
            state = status.get("jobDeploymentStatus") or "not begun"
            if state != said:
                say(f"{what.name}: {state}")
                said = state
            self.sleep(_POLL_S)

    def prune(self) -> None:
        """Remove what has ended, but for the newest."""
        jobs = self.api.select(self._named(""), f"{derived.SCHEDULED_LABEL}=true")
        ended = sorted((job for job in jobs if _ended(job)), key=lambda job: job["metadata"]["creationTimestamp"])
        for job in ended[:-KEPT]:
            say(f"removing the RayJob {job['metadata']['name']}, which ended long ago")
            self.api.delete(self._named(job["metadata"]["name"]))

    def _named(self, name: str) -> Named:
        return Named("rayjobs", self.template["metadata"]["namespace"], name, RAY)


def _ended(job: Mapping[str, Any]) -> bool:
    return (job.get("status") or {}).get("jobDeploymentStatus") in _ENDED


def _attempt(job: Mapping[str, Any], base: str) -> int:
    suffix = str(job["metadata"]["name"]).removeprefix(base).removeprefix("-")
    return int(suffix) if suffix.isdigit() else 0


def owner(token: str) -> dict[str, Any]:
    """Return the ServiceAccount of a token as an owner that is not gone before what it owns; the token names it.

    Raises:
        Failure: it is no token of a ServiceAccount.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        account = claims["kubernetes.io"]["serviceaccount"]
        name, uid = account["name"], account["uid"]
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"the mounted token names no ServiceAccount: {type(error).__name__}: {error}") from None
    return {"apiVersion": "v1", "kind": "ServiceAccount", "name": name, "uid": uid, "blockOwnerDeletion": True}


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
