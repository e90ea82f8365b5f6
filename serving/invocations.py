"""MLflow's own request formats on ``POST /invocations``: four JSON forms and CSV, to rows; no pandas.

It must not predict, and leaves every rule about columns to `serving.rows`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from serving import rows
from serving.errors import bad_request
from serving.signature import Signature
from serving.tensors import numbers

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def from_json(payload: Any, signature: Signature) -> rows.Rows:
    """Return the rows in a parsed JSON body.

    Raises:
        Refused: 400, the form is unknown or the rows do not fit the signature.
    """
    named = [key for key in FORMATS if key in payload] if isinstance(payload, dict) else []
    if len(named) != 1:
        raise bad_request(f"the body must be an object with exactly one of {', '.join(FORMATS)}")
    key = named[0]
    extra = sorted(set(payload) - {key, "params"})
    if extra:
        raise bad_request(f"{extra[0]}: unknown field; beside {key} only params may stand")
    if payload.get("params"):
        raise bad_request("params: the model's signature takes no parameters; leave them out")
    value = payload[key]
    if key == "dataframe_split":
        return _split(value, signature)
    if not signature.columns and isinstance(value, list):
        return _plain(key, value, signature)
    if isinstance(value, dict) and key == "inputs":
        return rows.from_lists({str(name): _listed(data) for name, data in value.items()}, signature)
    if not isinstance(value, list) or not value:
        raise bad_request(f"{key}: a list with at least one row is needed")
    if isinstance(value[0], dict):
        return _records(key, value, signature)
    if key == "dataframe_records":
        raise bad_request("dataframe_records: each row must be an object with one value per column")
    return _table(key, list(signature.names), value, signature)


def from_csv(text: str, signature: Signature) -> rows.Rows:
    """Return the rows in a CSV with a header line; an empty field is a missing value.

    Raises:
        Refused: 400, a row is ragged, a number is none, or the rows do not fit the signature.
    """
    header, *lines = list(csv.reader(io.StringIO(text))) or [[]]
    if not header or not lines:
        raise bad_request("the CSV must have a header line with the column names and at least one row")
    values: dict[str, list[Any]] = {name: [] for name in header}
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise bad_request(f"line {number} of the CSV has {len(line)} fields, the header has {len(header)}")
        for name, field in zip(header, line, strict=True):
            column = signature.by_name.get(name)
            values[name].append(_number(name, number, field) if column and column.numeric else field or None)
    return rows.from_lists(values, signature)


def _number(name: str, line: int, field: str) -> float | None:
    words = {"": None, "nan": None, "true": 1.0, "false": 0.0}
    if field.strip().lower() in words:
        return words[field.strip().lower()]
    try:
        return float(field)
    except ValueError:
        raise bad_request(f"column {name}, line {line}: {field[:40]!r} is not a number") from None


def _split(value: Any, signature: Signature) -> rows.Rows:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise bad_request('dataframe_split: an object such as {"columns": [...], "data": [[...], ...]} is needed')
    names = value.get("columns", list(signature.names))
    if not isinstance(names, list):
        raise bad_request("dataframe_split.columns: a list of column names is needed")
    if not signature.columns:
        return _plain("dataframe_split", value["data"], signature)
    return _table("dataframe_split", [str(name) for name in names], value["data"], signature)


def _table(key: str, names: list[str], data: list[Any], signature: Signature) -> rows.Rows:
    if len(set(names)) != len(names):
        raise bad_request(f"{key}: a column was sent twice; send each once")
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(names):
            size = f"{len(row)} values" if isinstance(row, list) else "no list"
            raise bad_request(f"{key}: row {number} has {size}, {len(names)} columns are named")
    return rows.from_table(names, data, signature)


def _records(key: str, records: Sequence[Any], signature: Signature) -> rows.Rows:
    names = list(dict.fromkeys(name for record in records if isinstance(record, dict) for name in record))
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise bad_request(f"{key}: row {number} is no object; make all rows alike")
        for column in signature.columns:
            if column.required and column.name not in record:
                raise bad_request(f"{key}: row {number} lacks column {column.name}; the model's signature requires it")
    return rows.from_lists({name: [record.get(name) for record in records] for name in names}, signature)


def _plain(key: str, data: list[Any], signature: Signature) -> rows.Rows:
    array = numbers(key, data)
    wanted = signature.shape
    if array.ndim != len(wanted) or any(w not in (-1, s) for s, w in zip(array.shape, wanted, strict=True)):
        raise bad_request(f"{key}: shape {list(array.shape)} does not fit, the model takes {list(wanted)}")
    return rows.Rows(len(array), matrix=array)


def _listed(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]
