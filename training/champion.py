"""The champion, scored on the rows that this run holds out.

It answers two questions: can the two models be compared fairly, and how do they differ per row.  A champion that
cannot be compared does not stop a better model, unless it answers another question altogether.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from training import metrics
from training.console import names
from training.contracts import TrainingData
from training.dataset import Rows
from training.evaluate import Foreign, Model, Native
from training.metrics import Array, Scored
from training.split import held_out
from training.tabular import FLAVOUR, Column, Features, TabularModel

ALIAS = "champion"
FEWEST_ROWS = 20
"""Fewer rows held out from both models cannot tell them apart."""


@dataclass(frozen=True)
class Champion:
    """A loaded champion, with what it says of itself."""

    model: Model
    features: tuple[str, ...]
    slipway: Mapping[str, Any]
    """The `slipway` part of its MLmodel's metadata; empty for a model made elsewhere."""


def version(client: MlflowClient, model_name: str) -> ModelVersion | None:
    """Return the version that the alias names; None when there is no champion yet."""
    try:
        return client.get_model_version_by_alias(model_name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def compare(found: ModelVersion, rows: Rows, held: Array, data: TrainingData, candidate: Scored) -> dict[str, Any]:
    """Return the evidence about the champion; `data` and `candidate` are the rows in the mask `held`."""
    evidence: dict[str, Any] = {
        "version": str(found.version),
        "measure": metrics.primary(data.features.task),
        "comparable": False,
        "blocking": False,
    }
    try:
        champion = load(found)
        other = _other_question(champion.slipway, data.features)
        if other:
            return evidence | {"blocking": True, "note": other}
        both = held & _held_out_there(rows, champion.slipway.get("split"))
        if both.sum() < FEWEST_ROWS:
            note = f"only {int(both.sum())} rows are held out from both (the split changed), {FEWEST_ROWS} are needed"
            return evidence | {"note": note}
        inside = both[held]
        return (
            evidence | {"comparable": True} | _paired(champion, rows, both, data.take(inside), candidate.take(inside))
        )
    except Exception as error:  # noqa: BLE001  whatever a stored model raises, it is evidence and not this run's failure
        return evidence | {"note": f"it cannot be loaded or scored here: {type(error).__name__}: {error}"[:500]}


def load(found: ModelVersion) -> Champion:
    """Load a registered version: natively where training wrote it, through pyfunc otherwise."""
    uri = f"models:/{found.name}/{found.version}"
    with tempfile.TemporaryDirectory() as folder:
        described = yaml.safe_load(_fetch(f"{uri}/MLmodel", folder).read_text(encoding="utf-8"))
        slipway = (described.get("metadata") or {}).get("slipway", {})
        if slipway.get("flavour") == FLAVOUR:
            booster = _fetch(f"{uri}/{slipway['booster']}", folder).read_bytes()
            features = _fetch(f"{uri}/{slipway['features']}", folder).read_text(encoding="utf-8")
            native = TabularModel.load(booster, features)
            return Champion(Native(native), tuple(native.features.names), slipway)
    pyfunc = mlflow.pyfunc.load_model(uri)
    signature = pyfunc.metadata.signature
    return Champion(Foreign(pyfunc), tuple(signature.inputs.input_names()) if signature else (), slipway)


def _fetch(uri: str, folder: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))


def _other_question(slipway: Mapping[str, Any], features: Features) -> str:
    """Say that the champion predicts something else; empty when it does not, or does not say."""
    if not slipway:
        return ""
    theirs, ours = slipway.get("target"), features.target
    kinds = (slipway.get("task") == "regression", features.task == "regression")
    if theirs == ours and kinds[0] == kinds[1]:
        return ""
    return (
        f"it predicts {theirs!r} ({slipway.get('task')}) and this one {ours!r} ({features.task}): "
        "register it under another slipway:training.model_name"
    )


def _held_out_there(rows: Rows, split: Mapping[str, Any] | None) -> Array:
    """Return the mask of rows that the champion's own split holds out; all of them for a model made elsewhere."""
    if split is None:
        return np.ones(rows.count, dtype=bool)
    wanted = [split["key"]] if split["key"] else split["columns"]
    absent = [name for name in wanted if name not in rows.everything]
    if absent:
        raise ValueError(f"its split needs the columns {names(absent)}, which are gone")
    there = replace(rows, everything={name: rows.everything[name] for name in wanted}, key=split["key"])
    return held_out(there, split["seed"], split["test_fraction"])


def _paired(champion: Champion, rows: Rows, both: Array, data: TrainingData, candidate: Scored) -> dict[str, Any]:
    """Return both models' metrics and their paired difference; `data` and `candidate` are the rows in `both`."""
    features, truth = data.features, data.target
    asked = champion.features or tuple(features.names)
    columns = {name: rows.everything[name][both] for name in asked if name in rows.everything}
    # the champion is asked by its own columns (only their names matter here); target and classes are those of the data
    described = replace(features, columns=tuple(Column(name, "numeric", "float64") for name in columns))
    scored = champion.model.score(TrainingData(described, columns, truth))
    count = len(features.classes or ())
    losses = (metrics.row_losses(features.task, truth, one) for one in (candidate, scored))
    return {
        "note": "",
        "rows": int(both.sum()),
        "champion_metrics": metrics.measure(features.task, truth, scored, count),
        "candidate_metrics": metrics.measure(features.task, truth, candidate, count),
        **metrics.paired(*losses),
    }
