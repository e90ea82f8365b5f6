"""Scheduled retraining on a real cluster: new rows in a bucket, a newer model, released by the next `up`.

The date is not waited for: the CronJob's Job is made at once, as `kubectl create job --from` does for a person.
It takes minutes: `make test-cluster` runs it, `make test` does not.
"""

from __future__ import annotations

import csv
import io
import json
import random
import sys
import time
from typing import Any

import pytest

from tests.cluster.node.cluster import Cluster
from tests.cluster.node.layout import ADDRESS
from tests.cluster.project import BUCKET, STORE_PORT, TRAINING, ClusterProject

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900, func_only=True)]
KEY = "rows/flowers.csv"
_NEVER = "0 0 29 2 *"


@pytest.fixture(scope="module")
def scheduled(environment: ClusterProject) -> ClusterProject:
    """The shared environment with another model, whose data lie in a bucket, unpinned."""
    assert environment.cluster is not None
    put(environment.cluster, rows(200))
    environment.configure(
        data={"uri": f"s3://{BUCKET}/{KEY}", "target": "kind"},
        training={**TRAINING, "model_name": "flowers", "schedule": _NEVER},
    )
    environment.up().must_succeed()
    return environment


def rows(count: int) -> str:
    """Return a table that a model learns easily; more rows are more of the same."""
    chance, text = random.Random(5), io.StringIO()  # noqa: S311 - no secret
    table = csv.writer(text)
    table.writerow(["length", "width", "kind"])
    for _ in range(count):
        kind = chance.choice(("small", "large"))
        size = 2.0 if kind == "small" else 6.0
        table.writerow([round(chance.gauss(size, 0.6), 3), round(chance.gauss(size, 0.9), 3), kind])
    return text.getvalue()


def put(cluster: Cluster, content: str) -> None:
    """Put the data into the bucket, as whoever collects them would."""
    program = f"""
import sys, boto3
access = dict(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
store = boto3.client("s3", endpoint_url="http://{ADDRESS}:{STORE_PORT}", **access)
store.put_object(Bucket={BUCKET!r}, Key={KEY!r}, Body=sys.stdin.read().encode())
"""
    done = cluster.run([sys.executable, "-c", program], stdin=content)
    assert done.returncode == 0, done.stderr


def look(project: ClusterProject, name: str) -> str:
    """Run the CronJob's Job now, and return what it said."""
    assert project.cluster is not None
    space = ("-n", project.namespace)
    project.cluster.kubectl("create", "job", "--from=cronjob/retraining", name, *space)
    end = time.monotonic() + 300
    while not (status := ended(project, name)):
        assert time.monotonic() < end, project.cluster.kubectl("describe", f"job/{name}", *space)
        time.sleep(1)
    said = project.cluster.kubectl("logs", f"job/{name}", *space)
    assert status == "succeeded", said
    return said


def ended(project: ClusterProject, name: str) -> str | None:
    """Return how the Job ended, None while it goes on."""
    (job,) = project.objects("jobs", "--field-selector", f"metadata.name={name}")
    return next((word for word in ("succeeded", "failed") if job.get("status", {}).get(word)), None)


def result(project: ClusterProject) -> dict[str, object]:
    (found,) = [
        item for item in project.objects("configmaps") if item["metadata"]["name"].startswith("training-result-")
    ]
    document: dict[str, object] = json.loads(found["data"]["result.json"])
    return document


def scheduled_jobs(project: ClusterProject) -> list[dict[str, Any]]:
    return project.objects("rayjobs", "-l", "slipway/scheduled=true")


def test_the_data_that_the_stack_was_trained_on_are_nothing_new(scheduled: ClusterProject) -> None:
    (cron,) = scheduled.objects("cronjobs")
    assert (cron["spec"]["schedule"], cron["spec"]["timeZone"]) == (_NEVER, "Etc/UTC")
    assert "nothing new: version 1" in look(scheduled, "look-first")
    assert scheduled_jobs(scheduled) == []


def test_changed_data_are_trained_on_and_released_by_the_next_up(scheduled: ClusterProject) -> None:
    assert scheduled.cluster is not None
    before = scheduled.outputs()["training"]
    put(scheduled.cluster, rows(260))
    said = look(scheduled, "look-second")
    assert "the data are new" in said
    assert "version 2: passed" in said
    assert result(scheduled)["candidate"] == "2"
    assert scheduled.outputs()["serving"]["champion"] == "1", "nothing is released without an `up`"
    jobs = len(scheduled.objects("rayjobs"))
    scheduled.up().must_succeed()
    outputs = scheduled.outputs()
    assert (outputs["serving"]["champion"], outputs["training"]["model_version"]) == ("2", "2")
    assert outputs["training"]["identity"] == before["identity"], "the stack wants what it wanted"
    assert outputs["training"]["run_id"] != before["run_id"]
    assert len(scheduled.objects("rayjobs")) == jobs, "it was trained once"
    scheduled.up("--expect-no-changes").must_succeed()


def test_the_same_data_again_are_nothing_new(scheduled: ClusterProject) -> None:
    assert "nothing new: version 2" in look(scheduled, "look-third")
    (job,) = scheduled_jobs(scheduled)
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ServiceAccount", "schedule")
