"""MLflow's request formats: four JSON forms and CSV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving import invocations
from serving.errors import Refused
from serving.rows import Rows
from serving.signature import Column, Signature

SIGNATURE = Signature(columns=(Column("a", "double"), Column("colour", "string", required=False)))
NUMBERS = Signature(columns=(Column("a", "double"), Column("b", "double")))
PLAIN = Signature(shape=(-1, 2))


def listed(rows: Rows) -> dict[str, list[Any]]:
    assert rows.columns is not None
    return {name: values.tolist() for name, values in rows.columns.items()}


SAME = [
    {"dataframe_split": {"columns": ["colour", "a"], "data": [["red", 1.5], ["blue", 2]]}},
    {"dataframe_split": {"index": [0, 1], "data": [[1.5, "red"], [2, "blue"]]}},
    {"dataframe_records": [{"a": 1.5, "colour": "red"}, {"colour": "blue", "a": 2}]},
    {"instances": [{"a": 1.5, "colour": "red"}, {"a": 2, "colour": "blue"}]},
    {"instances": [[1.5, "red"], [2, "blue"]]},
    {"inputs": {"a": [1.5, 2], "colour": ["red", "blue"]}},
    {"inputs": {"a": [[1.5], [2]], "colour": [["red"], ["blue"]]}},
    {"inputs": [[1.5, "red"], [2, "blue"]], "params": {}},
]


@pytest.mark.parametrize("payload", SAME)
def test_every_form_says_the_same(payload: dict[str, Any]) -> None:
    assert listed(invocations.from_json(payload, SIGNATURE)) == {"a": [1.5, 2.0], "colour": ["red", "blue"]}


@pytest.mark.parametrize("data", [[[2, 1.5]], [[2, 1.0], [None, 3]], [[True, 1]]])
def test_a_table_of_numbers_is_read_in_the_signatures_order(data: list[list[Any]]) -> None:
    rows = invocations.from_json({"dataframe_split": {"columns": ["b", "a"], "data": data}}, NUMBERS)
    read = rows.matrix if rows.columns is None else np.stack([rows.columns["a"], rows.columns["b"]], axis=1)
    assert read is not None
    expected = np.array([[a, b] for b, a in data], dtype=float)
    assert np.array_equal(read.astype(float), expected, equal_nan=True)


def test_a_table_of_whole_numbers_keeps_the_rules_of_its_columns() -> None:
    signature = Signature(columns=(Column("a", "long"), Column("b", "double")))
    with pytest.raises(Refused, match=r"column a, row 1: 2.5 is not a whole number"):
        invocations.from_json({"instances": [[1, 2.0], [2.5, 1.0]]}, signature)


def test_csv_says_the_same() -> None:
    rows = invocations.from_csv('colour,a\n"red",1.5\nblue,2\n', SIGNATURE)
    assert listed(rows) == {"a": [1.5, 2.0], "colour": ["red", "blue"]}


def test_an_empty_field_is_a_missing_value() -> None:
    rows = listed(invocations.from_csv("a,colour\n,red\n2,\n", SIGNATURE))
    assert np.isnan(rows["a"][0])
    assert rows["colour"] == ["red", None]


def test_a_record_may_leave_out_an_optional_column() -> None:
    rows = invocations.from_json({"dataframe_records": [{"a": 1, "colour": "red"}, {"a": 2}]}, SIGNATURE)
    assert listed(rows)["colour"] == ["red", None]


def test_a_model_of_one_tensor_takes_rows_of_numbers() -> None:
    rows = invocations.from_json({"inputs": [[1, 2], [3, 4]]}, PLAIN)
    assert rows.matrix is not None
    assert rows.matrix.tolist() == [[1, 2], [3, 4]]


REFUSED: dict[str, tuple[Any, str]] = {
    "no form": ({}, "exactly one of dataframe_split, dataframe_records, instances, inputs"),
    "a list": ([1], "exactly one of"),
    "two forms": ({"inputs": [], "instances": []}, "exactly one of"),
    "an unknown field": ({"inputs": [[1, "x"]], "extra": 1}, "extra: unknown field"),
    "parameters": ({"inputs": [[1, "x"]], "params": {"t": 1}}, "params: the model's signature takes no parameters"),
    "a split without data": ({"dataframe_split": {"columns": ["a"]}}, "dataframe_split: an object such as"),
    "a ragged split": ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "row 0 has 2 values, 1 columns"),
    "a column twice": ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "a column was sent twice"),
    "records of lists": ({"dataframe_records": [[1]]}, "each row must be an object"),
    "a record without its column": ({"dataframe_records": [{"a": 1}, {}]}, "row 1 lacks column a"),
    "an unknown column": ({"inputs": {"a": [1], "z": [1]}}, "column z is unknown"),
    "a missing column": ({"inputs": {"colour": ["red"]}}, "column a is missing"),
    "text for a number": ({"inputs": {"a": ["1"]}}, "column a: '1' is not a number"),
    "a number for text": ({"inputs": {"a": [1], "colour": [1]}}, "column colour: 1 is not text"),
    "different lengths": ({"inputs": {"a": [1], "colour": ["x", "y"]}}, "column colour has 2 rows, column a has 1"),
    "no rows": ({"instances": []}, "a list with at least one row"),
    "lists in cells": ({"inputs": {"a": [[1, 2]]}}, "column a: one value per row is needed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_what_and_why(case: str) -> None:
    payload, words = REFUSED[case]
    with pytest.raises(Refused) as caught:
        invocations.from_json(payload, SIGNATURE)
    assert (caught.value.status, words in caught.value.message) == (400, True), caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have a header line"),
        ("a,b\n", "must have a header line"),
        ("a,b\n1\n", "line 2 of the CSV has 1 fields, the header has 2"),
        ("a,b\n1,two\n", "column b, line 2: 'two' is not a number"),
        ("a,z\n1,2\n", "column z is unknown"),
    ],
)
def test_a_broken_csv_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        invocations.from_csv(text, NUMBERS)
    assert words in caught.value.message
