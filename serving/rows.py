"""The rows of a request, held against a model's signature: what every model is given to predict on.

Both protocols end here, so that a rule about columns is written, and worded, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.errors import Refused, bad_request
from serving.signature import Column, Signature
from serving.tensors import Array, Tensor, numbers, texts

_MATRIX = 2
_FLOATS = frozenset({"FP32", "FP64"})


@dataclass(frozen=True, slots=True)
class Rows:
    """``count`` rows, as one numeric ``matrix`` [count, columns] in the signature's order or as ``columns``.

    Columns are flat arrays by name: numbers with NaN, or objects (``str``) with "" or None, where a value is
    missing; an optional column may be absent. For a model of one plain tensor, ``matrix`` is that tensor.
    """

    count: int
    matrix: Array | None = None
    columns: Mapping[str, Array] | None = None


def from_tensors(tensors: Sequence[Tensor], signature: Signature) -> Rows:
    """Return the rows in the tensors of an inference request.

    Raises:
        Refused: 400, they are not what the signature asks for.
    """
    if not tensors:
        raise bad_request("inputs: at least one tensor is needed")
    if not signature.columns:
        return _plain(tensors, signature)
    first = tensors[0]
    if len(tensors) == 1 and first.array.ndim == _MATRIX and first.name not in signature.by_name:
        return _matrix(first, signature)
    columns: dict[str, Array] = {}
    for tensor in tensors:
        column = _known(tensor.name, signature, columns)
        columns[column.name] = _column(tensor, column)
    return from_columns(columns, signature)


def from_json_tensors(inputs: Sequence[Any], signature: Signature) -> Rows | None:
    """Return the rows of plainly correct numeric column tensors in one step, or None to look at each by name.

    One array for all columns instead of one for each: with 30 columns this is most of the cost of a request.
    """
    if len(inputs) != len(signature.columns) or len(inputs) < _MATRIX or not signature.all_numeric:
        return None
    try:
        sent = {entry["name"]: entry for entry in inputs}
        ordered = [sent[name] for name in signature.names]
        shape = ordered[0]["shape"]
        if len(shape) != 1 or any(e["shape"] != shape or e["datatype"] not in _FLOATS for e in ordered):
            return None
        matrix = np.array([entry["data"] for entry in ordered])
    except (KeyError, TypeError, ValueError):
        return None
    if matrix.dtype.kind != "f" or matrix.shape != (len(inputs), shape[0]):
        return None
    return _finite(Rows(shape[0], matrix=matrix.T), signature)


def from_table(names: Sequence[str], table: Sequence[Sequence[Any]], signature: Signature) -> Rows:
    """Return the rows in a JSON table whose rows all have one value for each of the (different) ``names``.

    Raises:
        Refused: 400, they are not what the signature asks for.
    """
    if signature.all_numeric and len(names) == len(signature.columns) and signature.by_name.keys() == set(names):
        with contextlib.suppress(ValueError):  # a list in a cell: looked at column by column
            matrix = np.array(table)
            if matrix.dtype.kind in "fi" and matrix.ndim == _MATRIX:
                order = None if tuple(names) == signature.names else [names.index(name) for name in signature.names]
                return _finite(Rows(len(matrix), matrix=matrix if order is None else matrix[:, order]), signature)
    values = zip(*table, strict=True) if table else [()] * len(names)
    return from_lists(dict(zip(names, values, strict=True)), signature)


def from_lists(values: Mapping[str, Sequence[Any]], signature: Signature) -> Rows:
    """Return the rows in JSON columns: equally long lists by column name.

    Raises:
        Refused: 400, they are not what the signature asks for.
    """
    columns: dict[str, Array] = {}
    for name, data in values.items():
        column = _known(name, signature, columns)
        what = f"column {name}"
        columns[name] = numbers(what, list(data)) if column.numeric else texts(what, list(data))
        if columns[name].ndim != 1:
            raise bad_request(f"{what}: one value per row is needed, not lists")
    return from_columns(columns, signature)


def from_columns(columns: Mapping[str, Array], signature: Signature) -> Rows:
    """Return rows of typed columns after the checks that concern all of them together.

    Raises:
        Refused: 400, a required column is missing, lengths differ, or a value does not fit its column.
    """
    missing = [c.name for c in signature.columns if c.required and c.name not in columns]
    if missing:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")  # noqa: PLR2004
        raise bad_request(f"inputs: column {named} is missing; the model's signature requires it")
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        (name, length), *others = lengths.items()
        other, different = next((n, size) for n, size in others if size != length)
        raise bad_request(f"column {other} has {different} rows, column {name} has {length}; send equally many")
    return _finite(Rows(next(iter(lengths.values()), 0), columns=columns), signature)


def _known(name: str, signature: Signature, seen: Mapping[str, Array]) -> Column:
    column = signature.by_name.get(name)
    if column is None:
        raise bad_request(f"column {name} is unknown; the model takes {_names(signature)}")
    if name in seen:
        raise bad_request(f"column {name} was sent twice; send it once")
    return column


def _column(tensor: Tensor, column: Column) -> Array:
    if tensor.numeric != column.numeric:
        wanted = "a numeric datatype such as FP64" if column.numeric else "BYTES"
        raise bad_request(f"input {column.name}: datatype {tensor.datatype} does not fit, the column takes {wanted}")
    array = tensor.array
    if array.ndim == _MATRIX and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise bad_request(f"input {column.name}: shape {list(tensor.array.shape)} does not fit, use [n] or [n, 1]")
    if not column.numeric:
        array = array.copy()
        array[array == ""] = None  # no bytes: a missing value
    return array


def _matrix(tensor: Tensor, signature: Signature) -> Rows:
    count, width = tensor.array.shape
    if not signature.all_numeric:
        named = next(column.name for column in signature.columns if not column.numeric)
        raise bad_request(f"input {tensor.name}: column {named} is text, so send one tensor per column by its name")
    if not tensor.numeric:
        raise bad_request(f"input {tensor.name}: datatype BYTES does not fit, the model takes numbers such as FP64")
    if width != len(signature.columns):
        raise bad_request(
            f"input {tensor.name}: shape [{count}, {width}] does not fit, the model takes"
            f" [n, {len(signature.columns)}]: {_names(signature)}"
        )
    return _finite(Rows(count, matrix=tensor.array), signature)


def _plain(tensors: Sequence[Tensor], signature: Signature) -> Rows:
    tensor = tensors[0]
    if len(tensors) > 1:
        raise bad_request(f"inputs: {len(tensors)} tensors were sent, the model takes one, {signature.tensor}")
    if tensor.numeric != (signature.datatype != "BYTES"):
        raise bad_request(f"input {tensor.name}: datatype {tensor.datatype}, the model takes {signature.datatype}")
    shape = tensor.array.shape
    if len(shape) != len(signature.shape) or any(
        want not in (-1, size) for size, want in zip(shape, signature.shape, strict=True)
    ):
        raise bad_request(f"input {tensor.name}: shape {list(shape)}, the model takes {list(signature.shape)}")
    return Rows(shape[0], matrix=tensor.array)


def _finite(rows: Rows, signature: Signature) -> Rows:
    """Return the rows unchanged; refuse what a column's type excludes: no rows, infinity, fractions."""
    if rows.count == 0:
        raise bad_request("inputs: there are no rows; send at least one")
    if rows.matrix is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            finite = not np.isinf(rows.matrix.astype(np.float32, copy=False)).any()
        for column, array in zip(signature.columns, rows.matrix.T, strict=True):
            if not finite or column.datatype not in _FLOATS:
                _check(column, array)
        return rows
    columns = rows.columns or {}
    for column in signature.columns:
        if column.numeric and column.name in columns:
            _check(column, columns[column.name])
    return rows


def _check(column: Column, array: Array) -> None:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            infinite = np.isinf(array.astype(np.float32, copy=False))
        if infinite.any():
            raise _fault(column, array, infinite, "is beyond the range of 32-bit floats; send a finite number")
        if column.datatype.startswith("INT"):
            broken = (array != np.floor(array)) & ~np.isnan(array)
            if broken.any():
                raise _fault(column, array, broken, "is not a whole number, and the column takes whole numbers")
    if column.datatype == "BOOL":
        broken = (array != 0) & (array != 1) & ~np.isnan(array.astype(np.float64))
        if broken.any():
            raise _fault(column, array, broken, "is neither true nor false (1 nor 0)")


def _fault(column: Column, array: Array, broken: Array, rule: str) -> Refused:
    row = int(np.flatnonzero(broken)[0])
    return bad_request(f"column {column.name}, row {row}: {array[row].item()} {rule}")


def _names(signature: Signature) -> str:
    shown = ", ".join(signature.names[:8])
    return shown if len(signature.names) <= 8 else f"{shown} and {len(signature.names) - 8} more"  # noqa: PLR2004
