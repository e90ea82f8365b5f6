"""From a registered version to a model that has answered a smoke prediction.

This project's own artifacts are read over MLflow's REST interface, without importing mlflow; anything else goes
through ``mlflow.pyfunc``.  All of it blocks: call it in a thread.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from serving import invocations, lean, own_code, rows, signature
from serving.errors import ModelUnusable, Refused, RegistryUnavailable
from serving.models import Model, NativeModel, Outputs, PyfuncModel
from serving.registry import Registry
from serving.signature import Signature

FLAVOUR = "xgboost-tabular"
CONTRACT = 1


def load(registry: Registry, name: str, version: str) -> tuple[Model, Outputs]:
    """Return the version's model and what it answered to its smoke request.

    Raises:
        ModelUnusable: its artifact is incomplete or corrupt, or the smoke prediction failed.
        RegistryUnavailable: the tracking server cannot be asked now.
    """
    try:
        root = registry.artifact_root(name, version)
        manifest = _manifest(registry, root)
        model = _model(registry, name, version, root, manifest)
        return model, smoke(model, _example(registry, root, manifest))
    except RegistryUnavailable:
        raise
    except Refused as refusal:
        raise ModelUnusable(f"version {version}: its smoke request was refused: {refusal.message}") from refusal
    except ModelUnusable as fault:
        raise ModelUnusable(f"version {version}: {fault}") from fault
    except Exception as fault:
        raise ModelUnusable(f"version {version} cannot be loaded: {type(fault).__name__}: {fault}") from fault


def _manifest(registry: Registry, root: str) -> Mapping[str, Any]:
    if not root.startswith("mlflow-artifacts:"):  # a store that the tracking server does not proxy
        return {}
    manifest = yaml.safe_load(_read(registry, root, "MLmodel"))
    if not isinstance(manifest, dict):
        raise ModelUnusable("its MLmodel is not a mapping; register the model again")
    return manifest


def _model(registry: Registry, name: str, version: str, root: str, manifest: Mapping[str, Any]) -> Model:
    declared = ((manifest.get("metadata") or {}).get("slipway")) or {}
    if declared.get("flavour") != FLAVOUR:
        return _pyfunc(registry, name, version)
    if declared.get("contract") != CONTRACT:
        raise ModelUnusable(f"its artifact has contract {declared.get('contract')!r}, this code reads {CONTRACT}")
    booster = _read(registry, root, declared["booster"])
    features = _read(registry, root, declared["features"])
    lean.xgboost()
    with own_code.LOADING:
        from training.tabular import TabularModel  # noqa: PLC0415  after the lean import of xgboost

    return NativeModel(TabularModel.load(booster, features.decode()), signature.from_mlmodel(manifest))


def _pyfunc(registry: Registry, name: str, version: str) -> Model:
    lean.restore()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow  # noqa: PLC0415  two seconds and 150 MB, paid only for a foreign flavour

    mlflow.set_tracking_uri(registry.uri)
    with tempfile.TemporaryDirectory(prefix="slipway-model-") as folder:
        local = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder))
        with own_code.of_model(local / "code"):
            pyfunc = mlflow.pyfunc.load_model(str(local))
    declared = pyfunc.metadata.to_dict()
    return PyfuncModel(pyfunc, signature.from_mlmodel(declared))


def _read(registry: Registry, root: str, path: str) -> bytes:
    content = registry.read(root, path)
    if content is None:
        raise ModelUnusable(f"its artifact has no file {path}; register the model again")
    return content


def _example(registry: Registry, root: str, manifest: Mapping[str, Any]) -> Any:
    """Return the artifact's own example as an /invocations payload, or None when it has none."""
    path = (manifest.get("saved_input_example_info") or {}).get("serving_input_path")
    content = registry.read(root, path) if path else None
    return None if content is None else json.loads(content)


def smoke(model: Model, example: Any = None) -> Outputs:
    """Return what the model answers to its example, or to a row made from its signature.

    Raises:
        ModelUnusable: the answer has the wrong number of rows, or a number that is not finite.
        Refused: the example does not fit the model's own signature.
    """
    wanted = model.signature
    request = _made_up(wanted) if example is None else invocations.from_json(example, wanted)
    outputs = model.predict(model.prepare(request))
    for name, array in outputs.tensors.items():
        if len(array.shape) == 0 or len(array) != request.count:
            raise ModelUnusable(f"output {name} has shape {list(array.shape)} for {request.count} rows")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelUnusable(f"output {name} of the smoke prediction is not finite")
    return outputs


def _made_up(wanted: Signature) -> rows.Rows:
    if not wanted.columns:
        shape = [1, *(max(size, 1) for size in wanted.shape[1:])]
        return rows.Rows(1, matrix=np.zeros(shape))
    columns: dict[str, Any] = {
        c.name: np.zeros(1) if c.numeric else np.array(["1970-01-01" if c.type == "datetime" else ""], dtype=object)
        for c in wanted.columns
    }
    return rows.from_columns(columns, wanted)
