"""The model as an MLflow artifact: files, signature, example, requirements and metadata.

It builds the folder and nothing else; registering it is `training.register`'s business.  Requirements are named, not
inferred: inference loads the model in a subprocess and takes seconds.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import Model as MlflowModel
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from training.contracts import TrainingData
from training.dataset import missing
from training.lineage import ROOT
from training.tabular import CONTRACT, FLAVOUR, Features, TabularModel

_TYPES = {"int64": "long", "float64": "double", "bool": "boolean", "string": "string"}
_REQUIRED = ("mlflow", "numpy", "pandas", "xgboost")
_EXAMPLE_ROWS = 3
_SHIPPED = ("training/__init__.py", "training/tabular.py")


def signature(features: Features) -> ModelSignature:
    """Return one input per feature (`required: false` where training saw missing values) and the output `predict`."""
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(_TYPES[one.dtype], one.name, required=not one.optional) for one in features.columns
    ]
    return ModelSignature(Schema(inputs), Schema([ColSpec(_output(features), "predict")]))


def _output(features: Features) -> str:
    if features.classes is None:
        return "double"
    first = features.classes[0]
    return "boolean" if isinstance(first, bool) else {str: "string", int: "long", float: "double"}[type(first)]


def example(data: TrainingData) -> pd.DataFrame:
    """Return a few rows as a client would send them, with as few missing values as there are."""
    gaps = np.sum([missing(values) for values in data.columns.values()], axis=0)
    rows = np.sort(np.argsort(gaps, kind="stable")[:_EXAMPLE_ROWS])
    return data.take(rows).frame


def metadata(features: Features, split: dict[str, Any]) -> dict[str, Any]:
    """Return what any model of ours says of itself; `split` lets a later run find the rows it never saw."""
    return {"contract": CONTRACT, "task": features.task, "target": features.target, "split": split}


def save_tabular(
    model: TabularModel, data: TrainingData, split: dict[str, Any], shell: MlflowModel, folder: Path
) -> None:
    """Write a tabular model to `folder`/model; `shell` carries the ids that MLflow wants in it."""
    files = folder / "tabular"
    files.mkdir()
    model.write(files)
    stored = "artifacts/tabular"
    shell.metadata = {
        "slipway": metadata(model.features, split)
        | {"flavour": FLAVOUR, "booster": f"{stored}/model.ubj", "features": f"{stored}/features.json"}
    }
    _save(
        folder,
        shell,
        data,
        python_model=str(ROOT / "training" / "pyfunc_model.py"),
        artifacts={"tabular": str(files)},
        code_paths=_staged(folder, _SHIPPED),
        pip_requirements=_pinned(_REQUIRED),
    )


def save_foreign(
    model: Any, data: TrainingData, split: dict[str, Any], shell: MlflowModel, folder: Path, files: Sequence[str]
) -> None:
    """Write any object with `predict(DataFrame)`: pickled, with all the code it may need."""
    from training.foreign import ForeignPyfunc  # noqa: PLC0415  rarely needed

    shell.metadata = {"slipway": metadata(data.features, split) | {"flavour": "pyfunc"}}
    _save(
        folder,
        shell,
        data,
        python_model=ForeignPyfunc(model),
        code_paths=_staged(folder, files),
        pip_requirements=_pinned((*_REQUIRED, "cloudpickle", "scikit-learn")),
    )


def _save(folder: Path, shell: MlflowModel, data: TrainingData, **what: Any) -> None:
    with warnings.catch_warnings():
        # about integer columns that might have missing values one day, and type hints: the signature here is explicit
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            path=str(folder / "model"),
            mlflow_model=shell,
            signature=signature(data.features),
            input_example=example(data),
            **what,
        )


def _staged(folder: Path, files: Sequence[str]) -> list[str]:
    """Copy files of the code into `folder` and return the top-level names, as `code_paths` wants them."""
    for name in files:
        (folder / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "code" / name)
    return sorted(str(path) for path in (folder / "code").iterdir())


def _pinned(packages: Sequence[str]) -> list[str]:
    return [f"{package}=={version(package)}" for package in packages]
