"""The tabular model: what training writes and serving reads.

It owns the encoding of named columns into the matrix that XGBoost sees, and the way back from scores to labels, so
that a row means the same in training, in MLflow's pyfunc and in the server.  It needs numpy and xgboost alone and is
shipped with serving without the rest of this package: it must import nothing else from the project.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

CONTRACT = 1
FLAVOUR = "xgboost-tabular"

Task = Literal["binary", "multiclass", "regression"]
Label = str | int | float | bool
Matrix = npt.NDArray[np.float32]
Values = npt.NDArray[Any] | Sequence[Any]


@dataclass(frozen=True)
class Column:
    """One feature.

    A categorical column holds strings; its code is the position in `categories`.  `optional` says that training saw
    missing values, so a request may leave them out.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    dtype: Literal["int64", "float64", "bool", "string"]
    categories: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Features:
    """What a model was trained on: its columns in order, its target, and for classifiers the labels in order."""

    task: Task
    target: str
    classes: tuple[Label, ...] | None
    columns: tuple[Column, ...]
    contract: int = CONTRACT

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Features:
        """Read what `to_json` wrote.

        Raises:
            ValueError: not JSON, not a description of features, or of another contract.
        """
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.get("contract") != CONTRACT:
            found = raw.get("contract") if isinstance(raw, dict) else type(raw).__name__
            raise ValueError(f"features.json is of contract {found}, this code reads {CONTRACT}: train the model again")
        try:
            columns = tuple(_column(item) for item in raw["columns"])
            classes = None if raw["classes"] is None else tuple(raw["classes"])
            return cls(raw["task"], raw["target"], classes, columns)
        except (KeyError, TypeError) as error:
            raise ValueError(f"features.json is malformed: {error!r}") from error


def _column(item: dict[str, Any]) -> Column:
    categories = tuple(item.get("categories") or ())
    return Column(item["name"], item["kind"], item["dtype"], categories, bool(item.get("optional", False)))


@dataclass(frozen=True)
class TabularModel:
    """A booster and the columns it understands; immutable and safe to share between threads."""

    features: Features
    booster: Any = field(repr=False)

    @classmethod
    def load(cls, booster_bytes: bytes, features_json: str) -> TabularModel:
        """Load a model from the content of model.ubj and features.json.

        Raises:
            ValueError: one of them is corrupt, or they do not belong together.
        """
        import xgboost as xgb  # noqa: PLC0415  a second of start-up that encoding alone does not need

        features = Features.from_json(features_json)
        booster = xgb.Booster()
        try:
            booster.load_model(bytearray(booster_bytes))
        except xgb.core.XGBoostError as error:
            raise ValueError(
                "model.ubj is no XGBoost model: the artifact is corrupt, register the model again"
            ) from error
        if booster.num_features() != len(features.columns):
            raise ValueError(
                f"model.ubj has {booster.num_features()} features, features.json {len(features.columns)}: "
                "they are not of one model"
            )
        booster.set_param({"nthread": 1})
        return cls(features, booster)

    @classmethod
    def read(cls, folder: Path) -> TabularModel:
        """Load the model that `write` put into `folder`."""
        return cls.load((folder / "model.ubj").read_bytes(), (folder / "features.json").read_text())

    def write(self, folder: Path) -> None:
        """Write model.ubj and features.json into `folder`."""
        (folder / "model.ubj").write_bytes(bytes(self.booster.save_raw("ubj")))
        (folder / "features.json").write_text(self.features.to_json())

    def encode(self, columns: Mapping[str, Values]) -> Matrix:
        """Return float32 [rows, features] from one array per column; extra columns are ignored.

        Missing is NaN or None, in a categorical column also "" (or empty bytes); a category that training never saw
        counts as missing, and so does an optional column that is not given.

        Raises:
            ValueError: no such column, columns of different length, a value that is no number, or one beyond float32.
        """
        return encode(self.features, columns, self._lookups)

    def scores(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """Return probabilities [rows, classes] in the order of `features.classes`, or values [rows] for regression."""
        raw: npt.NDArray[np.float32] = self.booster.inplace_predict(matrix, validate_features=False)
        if self.features.task == "binary":
            return np.stack([1 - raw, raw], axis=1)
        return raw

    def labels(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return the most probable class label per row (strings as objects), or the float64 values for regression."""
        if self.features.task == "regression":
            return scores.astype(np.float64)
        labels: npt.NDArray[Any] = self._labels[scores.argmax(axis=1)]
        return labels

    def predict(self, columns: Mapping[str, Values]) -> npt.NDArray[Any]:
        """Return labels from named columns: `encode`, `scores`, `labels`."""
        return self.labels(self.scores(self.encode(columns)))

    @cached_property
    def _labels(self) -> npt.NDArray[Any]:
        return label_array(self.features.classes or ())

    @cached_property
    def _lookups(self) -> tuple[Lookup | None, ...]:
        return lookups(self.features)


Lookup = Callable[[Any], float]


def lookups(features: Features) -> tuple[Lookup | None, ...]:
    """Return, per column, the function from category to code; None for numeric columns."""
    return tuple(_lookup(column) if column.kind == "categorical" else None for column in features.columns)


def _lookup(column: Column) -> Lookup:
    codes: dict[Any, float] = {category: float(code) for code, category in enumerate(column.categories)}
    codes.update({category.encode(): code for category, code in list(codes.items())})
    nan = float("nan")
    return lambda value: codes.get(value, nan)


def encode(features: Features, columns: Mapping[str, Values], by_column: Sequence[Lookup | None]) -> Matrix:
    """Do what `TabularModel.encode` says, for features that have no model yet."""
    absent = [column.name for column in features.columns if column.name not in columns and not column.optional]
    if absent:
        raise ValueError(f"columns {absent} are missing; the model needs {features.names}")
    rows = max((len(columns[name]) for name in features.names if name in columns), default=0)
    matrix = np.full((rows, len(features.columns)), np.nan, dtype=np.float32)
    for position, (column, lookup) in enumerate(zip(features.columns, by_column, strict=True)):
        values = columns.get(column.name)
        if values is None:
            continue
        if len(values) != rows:
            raise ValueError(f"column {column.name!r} has {len(values)} rows, another one {rows}")
        matrix[:, position] = _numbers(column, values) if lookup is None else _codes(column, values, lookup)
    if np.isinf(matrix).any():
        wrong = [name for position, name in enumerate(features.names) if np.isinf(matrix[:, position]).any()]
        raise ValueError(f"columns {wrong} hold values beyond float32 (3.4e38) or infinities: send NaN for missing")
    return matrix


def _numbers(column: Column, values: Values) -> npt.NDArray[Any]:
    """Return the values as floats; what overflows float32 becomes infinite without a warning, and is refused later."""
    try:
        with np.errstate(over="ignore"):
            return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {column.name!r} must hold numbers: {error}") from error


def _codes(column: Column, values: Values, lookup: Lookup) -> list[float]:
    try:
        return [lookup(value) for value in values]
    except TypeError as error:  # unhashable: a list or an object where a string belongs
        raise ValueError(f"column {column.name!r} must hold strings: {error}") from error


def label_array(classes: Sequence[Label]) -> npt.NDArray[Any]:
    """Return labels as an array; strings as objects, so that they stay Python strings on their way into JSON."""
    return np.array(classes, dtype=object if any(isinstance(label, str) for label in classes) else None)
