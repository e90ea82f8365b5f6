"""What can be served: the native XGBoost model and any other MLflow flavour, behind one small interface.

A model is given rows that already fit its signature.  It must not speak HTTP, nor know who else is served.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from serving.errors import Refused, bad_request
from serving.rows import Rows
from serving.signature import Signature
from serving.tensors import Array, datatype_of

if TYPE_CHECKING:
    from training.tabular import TabularModel


@dataclass(frozen=True, slots=True)
class Outputs:
    """A prediction: tensors by output name, each with one entry per row."""

    tensors: Mapping[str, Array]
    raw: Any = None
    """What /invocations answers, where that is not the plain list of ``predict``; a JSON value."""

    def predictions(self) -> Any:
        """Return what the model's own pyfunc ``predict`` answers, as a JSON value."""
        return self.tensors["predict"].tolist() if self.raw is None else self.raw

    def part(self, rows: slice) -> Outputs:
        """Return the prediction for some of the rows."""
        return Outputs({name: array[rows] for name, array in self.tensors.items()})

    def describe(self) -> list[dict[str, Any]]:
        """Return the outputs as model metadata shows them."""
        return [
            {"name": name, "datatype": datatype_of(array), "shape": [-1, *array.shape[1:]]}
            for name, array in self.tensors.items()
        ]


class Model(Protocol):
    """One loaded version."""

    platform: str
    native: bool
    """Fast enough for the event loop, and batchable: `prepare` gives matrices that may be concatenated."""
    signature: Signature

    def prepare(self, rows: Rows) -> Any:
        """Return the rows in the form that `predict` takes."""

    def predict(self, prepared: Any) -> Outputs:
        """Return the prediction for prepared rows."""


class NativeModel:
    """A booster of this project's training, predicted without mlflow or pandas."""

    platform = "xgboost-tabular"
    native = True

    def __init__(self, tabular: TabularModel, signature: Signature) -> None:
        self.signature = signature
        self._tabular = tabular
        self._classifies = tabular.features.classes is not None

    def prepare(self, rows: Rows) -> Array:
        """Return a float32 matrix [rows, features] with NaN for what is missing."""
        if rows.matrix is not None:
            return np.ascontiguousarray(rows.matrix, dtype=np.float32)
        columns = dict(rows.columns or {})
        for column in self.signature.columns:
            if column.name not in columns:
                columns[column.name] = np.full(rows.count, np.nan if column.numeric else None)
        return self._tabular.encode(columns)

    def predict(self, prepared: Array) -> Outputs:
        """Return labels or values, and for a classifier the probability of each class."""
        scores = self._tabular.scores(prepared)
        labels = self._tabular.labels(scores)
        return Outputs({"predict": labels, "probabilities": scores} if self._classifies else {"predict": labels})


class PyfuncModel:
    """Any MLflow model, through its pyfunc; slow or blocking, so never to be called on the event loop."""

    platform = "mlflow-pyfunc"
    native = False

    def __init__(self, pyfunc: Any, signature: Signature) -> None:
        self.signature = signature
        self._pyfunc = pyfunc

    def prepare(self, rows: Rows) -> Any:
        """Return a DataFrame with the signature's types, or the plain tensor that the model takes."""
        if not self.signature.columns:
            return rows.matrix
        import pandas as pd  # noqa: PLC0415  only this path pays for it

        columns = rows.columns
        if rows.matrix is not None:
            columns = dict(zip(self.signature.names, rows.matrix.T, strict=True))
        present = [column for column in self.signature.columns if column.name in (columns or {})]
        return pd.DataFrame({c.name: _typed((columns or {})[c.name], c.type) for c in present})

    def predict(self, prepared: Any) -> Outputs:
        """Return what the model answers, as tensors.

        Raises:
            Refused: 400 when MLflow's own check refuses the rows, 500 when the model raises.
        """
        try:
            answer = self._pyfunc.predict(prepared)
        except Exception as fault:
            message = f"the model raised {type(fault).__name__}: {fault}"
            if type(fault).__name__ == "MlflowException" and "schema" in str(fault):
                raise bad_request(f"inputs: {message}") from fault
            raise Refused(500, message) from fault
        return _outputs(answer)


def _typed(array: Array, kind: str) -> Any:
    """Return a column with the type the signature names; a missing value keeps it floating, or None."""
    if kind == "string":
        return array
    if kind == "datetime":
        import pandas as pd  # noqa: PLC0415  only this path pays for it

        return pd.to_datetime(pd.Series(array))
    dtype = {"boolean": "?", "integer": "i4", "long": "i8", "float": "f4", "double": "f8"}[kind]
    holes = array.dtype.kind == "f" and bool(np.isnan(array).any())
    return array if holes and kind not in {"float", "double"} else array.astype(dtype)


def _outputs(answer: Any) -> Outputs:
    if hasattr(answer, "to_frame"):  # a Series: MLflow answers it as a one-column frame
        return Outputs({"predict": answer.to_numpy()}, raw=_records(answer.to_frame()))
    if hasattr(answer, "columns"):  # a DataFrame: one output per column
        return Outputs({str(n): answer[n].to_numpy() for n in answer.columns}, raw=_records(answer))
    if isinstance(answer, Mapping):
        tensors = {str(name): np.asarray(value) for name, value in answer.items()}
        return Outputs(tensors, raw={name: array.tolist() for name, array in tensors.items()})
    array = np.asarray(answer)
    return Outputs({"predict": array}, raw=array.tolist())


def _records(frame: Any) -> Any:
    return json.loads(frame.to_json(orient="records"))
