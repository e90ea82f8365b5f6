"""The model into the registry: one logged model, one version per identity, passed or rejected, never an alias."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model as MlflowModel

from training import lineage
from training.gate import Verdict
from training.tracking import Tracking

Saver = Callable[[MlflowModel, Path], None]
"""Writes the model's files to `folder`/model, with the given shell as its MLmodel."""

RELEASE_TAG = "slipway.release"
OURS = ("candidate", "rejected")
"""The release states that the gate may set; every other one belongs to the release controller."""


def upload(tracking: Tracking, run_id: str, save: Saver) -> str:
    """Log the model that `save` writes as an output of the run, and return its id."""
    client = tracking.client
    logged = client.create_logged_model(
        tracking.experiment_id, "model", run_id, tags=lineage.version_tags(tracking.spec)
    )
    model_id = str(logged.model_id)
    shell = MlflowModel(artifact_path=logged.artifact_location, run_id=run_id, model_uuid=model_id, model_id=model_id)
    with tempfile.TemporaryDirectory() as folder:
        save(shell, Path(folder))
        client.log_model_artifacts(model_id, str(Path(folder) / "model"))
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    return model_id


def register(tracking: Tracking, run_id: str, model_id: str, verdict: Verdict) -> ModelVersion:
    """Create the version of this identity, with its tags in the same request."""
    name = tracking.spec.model_name
    try:
        tracking.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = lineage.version_tags(tracking.spec) | {"slipway.verdict": verdict.word, RELEASE_TAG: _release(verdict)}
    return tracking.client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id, await_creation_for=0
    )


def retag(tracking: Tracking, version: ModelVersion, verdict: Verdict) -> None:
    """Give a version another verdict; a release state that the controller has set stays."""
    changes = {"slipway.verdict": verdict.word}
    if version.tags.get(RELEASE_TAG) in (None, *OURS):
        changes[RELEASE_TAG] = _release(verdict)
    for key, value in changes.items():
        if version.tags.get(key) != value:
            tracking.client.set_model_version_tag(version.name, str(version.version), key, value)


def _release(verdict: Verdict) -> str:
    return "candidate" if verdict.passed else "rejected"
