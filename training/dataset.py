"""From a table to typed columns: which columns are features, of which kind, and which are left out and why.

It owns what a column type means.  Problems are collected, not raised, so that a person sees all of them at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from training.console import names
from training.contracts import TrainingData
from training.spec import Data
from training.tabular import Column, Features, Label, Task

Array = npt.NDArray[Any]

FEW_CATEGORIES = 20
"""A text column with at most so many different values is a category however few rows there are."""
MOST_CATEGORIES = 1_000
"""A text column with more is an identifier or free text."""
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+(\.[0-9]{3})*,[0-9]+$")
_ID_NAME = re.compile(r"(?i)^(|(.*[_ ])?(id|uuid|guid|index|row|row_?number)|unnamed.*|__index_level_\d+__)$")


@dataclass(frozen=True)
class Problem:
    """Something in the data that a person must change before a model can be trained on it."""

    column: str
    rule: str
    fix: str

    def __str__(self) -> str:
        return f"column {self.column!r}: {self.rule}. {self.fix}." if self.column else f"{self.rule}. {self.fix}."


@dataclass
class Findings:
    """What is wrong (`problems` refuse the run) and what is worth knowing (`notes` are printed)."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, column: str, rule: str, fix: str) -> None:
        self.problems.append(Problem(column, rule, fix))


@dataclass(frozen=True)
class Rows:
    """The whole data set in columns.

    `everything` are all columns but the target as read, for telling rows apart; `columns` are the ones that a model
    may use.  Arrays are [rows]: bool, int64, float64 with NaN, or str objects with None.
    """

    everything: Mapping[str, Array]
    columns: Mapping[str, Array]
    target_name: str
    target: Array
    key: str | None = None

    @property
    def count(self) -> int:
        return len(self.target)


def read(table: pa.Table, data: Data, found: Findings) -> Rows:
    """Return the typed columns of a table; what does not fit goes into `found`."""
    for role, name in (("target", data.target), ("key", data.key)):
        if name is not None and name not in table.column_names:
            nearest = difflib.get_close_matches(name, table.column_names, 1, cutoff=0.5)
            guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
            there = names([repr(column) for column in table.column_names], 20)
            found.problem(
                name, f"there is no such column; there are {there}.{guess}", f"Set slipway:data.{role} to one"
            )
    everything = {}
    for name in table.column_names:
        values = _array(name, table.column(name), found, required=name in (data.target, data.key))
        if values is not None:
            everything[name] = values
    target = everything.pop(data.target, np.empty(0))
    candidates = {name: values for name, values in everything.items() if name != data.key}
    columns = {name: values for name, values in candidates.items() if _usable(name, values, found)}
    return Rows(everything, columns, data.target, target, data.key)


def _array(name: str, column: pa.ChunkedArray, found: Findings, *, required: bool) -> Array | None:
    """Return a column as a numpy array, or None after noting why it has no place in a model."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_null(kind):
        if required:
            found.problem(name, "is empty", "Fill it, or name another column")
        found.notes.append(f"column {name!r} is left out: it is empty")
        return None
    if pa.types.is_temporal(kind):
        fix = "Turn it into numbers that carry over to new rows (month, weekday, days since an event), or remove it"
        found.problem(name, f"holds points in time ({kind}), which a model would learn by heart", fix)
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        values = np.array([value or None for value in column.to_pylist()], dtype=object)  # "" is missing
        _commas(name, {value for value in values.tolist() if value is not None}, found)
        return values
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        return _numbers(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        found.problem(name, "holds bytes that are no text in UTF-8", "Save the file as UTF-8, or remove the column")
    else:
        found.problem(name, f"is of type {kind}, which is no number and no text", "Convert or remove it")
    return None


def _commas(name: str, different: set[str], found: Findings) -> None:
    """Refuse numbers with a decimal comma: read as text they would be categories, or be left out as identifiers."""
    commas = sorted(value for value in different if _DECIMAL_COMMA.match(value))
    if len(different) <= FEW_CATEGORIES or len(commas) < len(different) / 2:
        return
    if all(_is_number(value) for value in different.difference(commas)):
        rule = f"holds numbers with a decimal comma, such as {names(list(map(repr, commas)), 2)}"
        found.problem(name, rule, "Write them with a point")


def _numbers(column: pa.ChunkedArray) -> Array:
    """Return bool or int64 where every value is there; everything else as float64, missing as NaN."""
    whole = column.null_count == 0 and column.type != pa.uint64()
    if whole and pa.types.is_boolean(column.type):
        return np.asarray(column.to_numpy())
    if whole and pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())


def missing(values: Array) -> npt.NDArray[np.bool_]:
    """Return a mask of the missing values."""
    if values.dtype == object:
        return np.fromiter((value is None for value in values), dtype=bool, count=len(values))
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def _usable(name: str, values: Array, found: Findings) -> bool:
    """Say whether a column can help a model; note why not."""
    gone = missing(values)
    present = values[~gone]
    different = len(set(present.tolist())) if values.dtype == object else len(np.unique(present))
    why = ""
    if different == 0:
        why = "it is empty"
    elif different == 1 and not gone.any():
        why = f"it is always {present[0]!s}"
    elif values.dtype == object and _identifies(different, len(present)):
        return _text(name, present, different, found)
    elif values.dtype.kind == "i" and different == len(values) and _ID_NAME.match(name):
        why = "it numbers the rows"
    if why:
        found.notes.append(f"column {name!r} is left out: {why}")
    return not why


def _identifies(different: int, rows: int) -> bool:
    return different > MOST_CATEGORIES or (different > FEW_CATEGORIES and different > rows / 2)


def _text(name: str, present: Array, different: int, found: Findings) -> bool:
    """Tell an identifier or free text (left out) from numbers spoilt by a few words (refused)."""
    wrong = [value for value in present.tolist() if not _is_number(value)]
    if len(wrong) <= len(present) / 10:
        shown = names(sorted({repr(value) for value in wrong}), 3)
        rule = f"holds numbers, but {len(wrong):,} of {len(present):,} values are none, such as {shown}"
        found.problem(name, rule, "Correct them, or leave missing values empty")
    else:
        rule = f"{different:,} different texts in {len(present):,} rows identify rows and do not describe them"
        found.notes.append(f"column {name!r} is left out: {rule}")
    return False


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def describe(rows: Rows, task: Task, classes: tuple[Label, ...] | None, train: Array) -> Features:
    """Return the features as the rows in `train` (a mask) show them; held-out rows tell nothing about categories."""
    columns = tuple(_column(name, values, train) for name, values in rows.columns.items())
    return Features(task, rows.target_name, classes, columns)


def _column(name: str, values: Array, train: Array) -> Column:
    optional = bool(missing(values).any())
    if values.dtype == object:
        categories = tuple(sorted({value for value in values[train].tolist() if value is not None}))
        return Column(name, "categorical", "string", categories, optional)
    dtypes = {"b": "bool", "i": "int64", "f": "float64"}
    return Column(name, "numeric", dtypes[values.dtype.kind], (), optional)  # type: ignore[arg-type]


def encoded(rows: Rows, features: Features) -> TrainingData:
    """Return all rows with the target as class index or value."""
    if features.classes is None:
        return TrainingData(features, rows.columns, rows.target.astype(np.float64))
    index = {label: position for position, label in enumerate(features.classes)}
    target = np.array([index[label] for label in rows.target.tolist()], dtype=np.int64)
    return TrainingData(features, rows.columns, target)
