"""Runs in MLflow: finding the run of an identity, opening one, and closing it with its result.

The one rule here: a run is finished when its status is FINISHED and it carries `slipway.result`, and that tag is
written last.  Whatever a killed job left behind is told from that.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from training import lineage
from training.spec import RunSpec

EVIDENCE = "evidence/evaluation.json"
VERDICT = "evidence/verdict.json"
CARD = "evidence/model-card.md"
RESULT_TAG = "slipway.result"
DATA_TAG = "slipway.data.sha256"
_LONGEST_VALUE = 5_000


class Tracking:
    """The tracking server and registry, as one identity of one model sees them."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        mlflow.set_tracking_uri(spec.tracking_uri)  # loading a champion asks the global one
        self.client = MlflowClient(tracking_uri=spec.tracking_uri, registry_uri=spec.tracking_uri)
        self.experiment_id = self._experiment(f"slipway/{spec.model_name}")

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException:
            raced = self.client.get_experiment_by_name(name)  # another job was faster
            if raced is None:
                raise
            return str(raced.experiment_id)

    def runs(self) -> list[Run]:
        """Return the runs of this identity, newest first."""
        wanted = f"tags.`slipway.identity` = '{self.spec.identity}'"
        return list(self.client.search_runs([self.experiment_id], wanted, order_by=["attributes.start_time DESC"]))

    def version(self) -> ModelVersion | None:
        """Return the newest registered version of this identity."""
        wanted = f"name = '{self.spec.model_name}' and tags.`slipway.identity` = '{self.spec.identity}'"
        found = list(self.client.search_model_versions(wanted))
        return max(found, key=lambda version: int(version.version), default=None)

    def open(self) -> str:
        """Start a run of this identity and return its id."""
        tags = lineage.tags(self.spec)
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"{self.spec.identity[:12]}")
        return str(run.info.run_id)

    def record(self, run_id: str, metrics: Mapping[str, float], params: Mapping[str, Any], model_id: str) -> None:
        """Log metrics and parameters in one request."""
        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0, model_id=model_id) for name, value in metrics.items()],
            params=[Param(name, str(value)[:_LONGEST_VALUE]) for name, value in params.items()],
        )

    def record_data(self, run_id: str, digest: str, profile: Mapping[str, Any]) -> None:
        """Log which data the run was made from."""
        data = self.spec.data
        source = json.dumps({"uri": data.uri, "version": data.version})
        name = data.uri.rsplit("/", 1)[-1]
        entry = Dataset(name, digest[:36], "slipway", source, profile=json.dumps(profile))
        self.client.log_inputs(run_id, [DatasetInput(entry, [InputTag("mlflow.data.context", "training")])])
        self.client.set_tag(run_id, DATA_TAG, digest)

    def save(self, run_id: str, texts: Mapping[str, str]) -> None:
        """Store texts as artifacts of the run."""
        for path, text in texts.items():
            self.client.log_text(run_id, text, path)

    def evidence(self, run_id: str) -> dict[str, Any]:
        """Return the evidence that a run recorded.

        Raises:
            MlflowException: there is none.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = self.client.download_artifacts(run_id, EVIDENCE, folder)
            found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        return found

    def conclude(self, run_id: str, result: Mapping[str, Any]) -> None:
        """Write the verdict and the result on a run, all tags in one request."""
        tags = {
            "slipway.verdict": result["verdict"],
            "slipway.model_version": result["model_version"],
            RESULT_TAG: json.dumps(result),
        }
        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def finish(self, run_id: str, result: Mapping[str, Any]) -> None:
        """Close a run: the result, then the status."""
        self.conclude(run_id, result)
        self.client.set_terminated(run_id, "FINISHED")

    def abandon(self, run_id: str, status: str, reason: str) -> None:
        """Close a run that has no result, as FAILED or KILLED."""
        self.client.set_tag(run_id, "slipway.error", reason[:_LONGEST_VALUE])
        self.client.set_terminated(run_id, status)


def as_json(value: Any) -> str:
    """Return a value as readable JSON; NaN and infinities are refused, since not every reader takes them."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)


def result_of(run: Run) -> dict[str, Any] | None:
    """Return the result of a finished run, None for any other."""
    text = run.data.tags.get(RESULT_TAG)
    if run.info.status != "FINISHED" or text is None:
        return None
    found: dict[str, Any] = json.loads(text)
    return found
