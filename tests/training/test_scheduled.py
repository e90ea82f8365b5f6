"""Scheduled retraining with a real tracking server, a real S3 protocol server and the real training job.

Only the cluster is played: what its RayJob would run is run here as a process.
"""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from infra.kubernetes.incluster import retrain, verdict
from tests.training.conftest import BUCKET, Workshop
from tests.unit.scheduled_objects import CONFIG_MAPS, DONE, RESULT, SPACE, TEMPLATE, Objects

pytestmark = pytest.mark.slow
KEY = "scheduled/rows.csv"


def put(store: fs.S3FileSystem, count: int) -> None:
    """Put a table that a model learns easily; more rows are more of the same."""
    chance, text = random.Random(5), io.StringIO()  # noqa: S311 - no secret
    table = csv.writer(text)
    table.writerow(["length", "width", "kind"])
    for _ in range(count):
        kind = chance.choice(("small", "large"))
        size = 2.0 if kind == "small" else 6.0
        table.writerow([round(chance.gauss(size, 0.6), 3), round(chance.gauss(size, 0.9), 3), kind])
    with store.open_output_stream(f"{BUCKET}/{KEY}") as stream:
        stream.write(text.getvalue().encode())


class Played(Objects):
    """A cluster whose RayJobs end as the training job does that they run."""

    def __init__(self, folder: Path, workshop: Workshop) -> None:
        super().__init__(folder)
        self.kept[f"{CONFIG_MAPS}/{RESULT}"] = {"metadata": {"name": RESULT}}
        self.happens = self.runs
        self._workshop = workshop

    def runs(self, job: dict[str, Any]) -> None:
        text = self.kept[f"{CONFIG_MAPS}/{job['metadata']['name']}"]["data"]["spec.json"]
        done = self._workshop.run(json.loads(text))
        failed = {"jobDeploymentStatus": "Failed", "message": done.log}
        job["status"] = DONE if done.status == 0 else failed

    def look(self, stack: dict[str, Any]) -> dict[str, Any]:
        retrain.retrain(retrain.Scheduled(self, TEMPLATE, lambda _: None), stack, f"{SPACE}/{RESULT}")
        found = self.result()
        assert found is not None
        return found


def test_newer_rows_become_a_version_that_another_gate_does_not_go_back_behind(
    workshop: Workshop, store: fs.S3FileSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, 200)
    stack = workshop.spec({"uri": f"s3://{BUCKET}/{KEY}", "target": "kind"})
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(stack))
    cluster = Played(tmp_path, workshop)
    assert workshop.run(stack).status == 0
    assert verdict.judge(file, '{"floors": {"accuracy": 0.6}}')["model_version"] == "1", "the control: none is newer"
    assert cluster.look(stack)["model_version"] == "1"
    assert cluster.jobs() == [], "the stack's own run was made from these rows"

    put(store, 260)
    result = cluster.look(stack)
    assert (result["model_version"], result["candidate"], result["verdict"]) == ("2", "2", "passed")
    (run,) = [run for run in workshop.runs() if run.info.run_id == result["run_id"]]
    assert run.data.tags["slipway.scheduled"] == "true"
    assert run.data.tags["slipway.identity.stack"] == stack["identity"] != run.data.tags["slipway.identity"]
    assert run.data.tags["slipway.data.sha256"] in run.data.tags["slipway.identity.data"]
    assert [version.tags.get("slipway.scheduled") for version in workshop.versions()] == [None, "true"]

    capsys.readouterr()
    assert cluster.look(stack) == result
    assert "nothing new: version 2" in capsys.readouterr().out
    assert len(cluster.jobs()) == 1
    judged = verdict.judge(file, '{"floors": {"accuracy": 1.01}}')
    assert (judged["model_version"], judged["verdict"]) == ("2", "rejected")
