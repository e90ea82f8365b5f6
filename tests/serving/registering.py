"""Registers small models in a tracking server, with the artifact layout that training writes."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from serving.registry import Registry
from tests.serving.environment import ROOT
from training.tabular import Features, TabularModel


def example(described: Features, rows: int = 3) -> Any:
    return pd.DataFrame(
        {c.name: [c.categories[n % 3] if c.categories else n - 1.0 for n in range(rows)] for c in described.columns}
    )


def register(
    tracking_uri: str, name: str, model: TabularModel, *, tags: Mapping[str, str] = {}, booster: bytes | None = None
) -> str:
    """Register a native model; ``booster`` replaces its bytes, for corrupt artifacts. Return the version."""
    described = model.features
    kinds = {"int64": DataType.long, "float64": DataType.double, "bool": DataType.boolean, "string": DataType.string}
    answers = {str: DataType.string, int: DataType.long, bool: DataType.boolean, float: DataType.double}
    answer = DataType.double if described.classes is None else answers[type(described.classes[0])]
    signature = ModelSignature(
        inputs=Schema([ColSpec(kinds[c.dtype], c.name, required=not c.optional) for c in described.columns]),
        outputs=Schema([ColSpec(answer, "predict")]),
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "tabular"
        home.mkdir()
        model.write(home)
        if booster is not None:
            (home / "model.ubj").write_bytes(booster)
        return _log(
            tracking_uri, name, tags, python_model=str(ROOT / "training" / "pyfunc_model.py"),
            artifacts={"tabular": str(home)}, signature=signature, input_example=example(described),
            metadata={"slipway": {"flavour": "xgboost-tabular", "contract": 1, "booster": "artifacts/tabular/model.ubj",
                                  "features": "artifacts/tabular/features.json"}},
        )  # fmt: skip


def register_pyfunc(tracking_uri: str, name: str, code: str, frame: Any, answer: Any) -> str:
    """Register a pyfunc given as source code (models-from-code); return the version."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "custom_model.py"
        path.write_text(code)
        signature = mlflow.models.infer_signature(frame, answer)
        return _log(tracking_uri, name, {}, python_model=str(path), signature=signature, input_example=frame)


def _log(tracking_uri: str, name: str, tags: Mapping[str, str], **model: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(tracking_uri)
        client = mlflow.MlflowClient(tracking_uri)
        with mlflow.start_run():
            info = mlflow.pyfunc.log_model(
                name="model", registered_model_name=name, pip_requirements=["mlflow"], **model
            )
        version = str(info.registered_model_version)
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
    return version


def state_of(tracking_uri: str, name: str) -> dict[str, Any]:
    """Return the release state in the registered model's tag, or an empty dict."""
    model = Registry(tracking_uri).model(name)
    return (
        dict(json.loads(model.tags["slipway.release.state"]))
        if model and model.tags.get("slipway.release.state")
        else {}
    )
