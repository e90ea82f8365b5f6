"""Reading and validating data."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from training import dataset, source, split, validate
from training.console import Refused
from training.dataset import Findings, Rows
from training.spec import Data


def good(rows: int = 60) -> dict[str, list[Any]]:
    """Return clean columns: a number, a category, and a target that neither gives away."""
    chance = random.Random(1)  # noqa: S311  not for secrets
    return {
        "age": [round(chance.uniform(20, 80), 3) for _ in range(rows)],
        "colour": [chance.choice(["red", "green", "blue"]) for _ in range(rows)],
        "target": [chance.randrange(2) for _ in range(rows)],
    }


def looked_at(columns: dict[str, Any], task: str = "auto", **data: Any) -> tuple[Rows, Findings]:
    found = Findings()
    wanted = Data(uri="x.csv", **{"target": "target", **data})
    rows = dataset.read(pa.table(columns), wanted, found)
    if rows.count:
        kind, _ = validate.target(rows, task, found)
        validate.rows(rows, kind, found)
    return rows, found


def problems(columns: dict[str, Any], task: str = "auto", **data: Any) -> str:
    return "\n".join(map(str, looked_at(columns, task, **data)[1].problems))


def test_clean_data_has_no_problems() -> None:
    assert problems(good()) == ""


@pytest.mark.parametrize(
    ("change", "column", "rule", "fix"),
    [
        (
            {"target": [None, *good()["target"][1:]]},
            "target",
            "is missing in 1 row (first: row 1)",
            "remove those rows",
        ),
        ({"target": [1] * 60}, "target", "has one class only (1)", "another class"),
        ({"target": [0] * 57 + [1] * 3}, "target", "fewer than 5 rows: 1 (3)", "merge classes"),
        ({"target": [f"row {n}" for n in range(60)]}, "target", "60 classes in 60 rows", "regression"),
        ({"age": [f"{n},5" for n in range(50)] + ["7"] * 10}, "age", "a decimal comma, such as '0,5'", "with a point"),
        ({"target": [f"1.{n:03},25" for n in range(60)]}, "target", "a decimal comma", "with a point"),
        ({"colour": [b"gr\xfcn"] * 60}, "colour", "no text in UTF-8", "Save the file as UTF-8"),
        ({"age": [float("inf"), *good()["age"][1:]]}, "age", "infinite or beyond 3.4e38 (first: row 1)", "rescale"),
        ({"age": [1e300, *good()["age"][1:]]}, "age", "infinite or beyond", "rescale"),
        ({"copy": good()["target"]}, "copy", "is the target 'target' under another name", "Remove the column"),
        ({"code": ["no" if t else "yes" for t in good()["target"]]}, "code", "(leakage)", "Remove the column"),
        ({"age": ["?", *map(str, range(100, 159))]}, "age", "1 of 60 values are none, such as '?'", "leave missing"),
        ({"when": pa.array(range(60), pa.timestamp("s"))}, "when", "points in time", "month, weekday"),
        ({"tags": [["a"]] * 60}, "tags", "list<item: string>", "Convert or remove"),
    ],
)
def test_what_is_wrong_is_named_with_rule_and_fix(change: dict[str, Any], column: str, rule: str, fix: str) -> None:
    text = problems({**good(), **change})
    assert f"column '{column}'" in text
    assert rule in text
    assert fix in text


def test_all_problems_are_reported_at_once() -> None:
    infinite = [float("inf"), *good()["age"][1:]]
    broken = {**good(), "age": infinite, "target": [*good()["target"][:-1], None]}
    _, found = looked_at(broken)
    assert {problem.column for problem in found.problems} == {"age", "target"}
    _, found = looked_at({**good(), "age": infinite, "copy": good()["target"]})
    assert {problem.column for problem in found.problems} == {"age", "copy"}


def test_a_missing_target_names_the_columns_there_are_and_the_nearest() -> None:
    text = problems(good(), target="tarket")
    assert "there are 'age', 'colour', 'target'" in text
    assert "Did you mean 'target'?" in text
    assert "Set slipway:data.target to one" in text


def test_a_missing_key_is_named_too() -> None:
    assert "Set slipway:data.key to one" in problems(good(), key="customer")


def test_too_few_rows_are_refused() -> None:
    assert "there are 12 rows, and 20 are the least" in problems(good(12))


def test_text_cannot_be_regressed() -> None:
    assert "regression needs numbers" in problems({**good(), "target": ["a", "b"] * 30}, task="regression")


def test_three_classes_are_no_binary_task() -> None:
    assert "a binary task needs two" in problems({**good(), "target": [0, 1, 2] * 20}, task="binary")


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        ([0, 1] * 30, "binary", (0, 1)),
        ([True, False] * 30, "binary", (False, True)),
        (["no", "yes"] * 30, "binary", ("no", "yes")),
        (["a", "b", "c"] * 20, "multiclass", ("a", "b", "c")),
        ([3, 5, 9] * 20, "multiclass", (3, 5, 9)),
        (list(range(60)), "regression", None),
        ([n / 7 for n in range(60)], "regression", None),
    ],
)
def test_the_task_is_told_from_the_target(target: list[Any], task: str, classes: tuple[Any, ...] | None) -> None:
    found = Findings()
    rows = dataset.read(pa.table({**good(), "target": target}), Data(uri="x", target="target"), found)
    assert validate.target(rows, "auto", found) == (task, classes)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("customer", [f"C-{n}" for n in range(60)], "identify rows"),
        ("id", list(range(60)), "numbers the rows"),
        ("version", [3] * 60, "always 3"),
        ("remark", [None] * 60, "is empty"),
    ],
)
def test_columns_that_cannot_help_are_left_out_with_the_reason(name: str, values: list[Any], why: str) -> None:
    rows, found = looked_at({**good(), name: values})
    assert name not in rows.columns
    assert not found.problems
    assert any(name in note and why in note for note in found.notes), found.notes


def test_texts_with_commas_are_no_numbers_with_decimal_commas() -> None:
    few = {"colour": [f"{n % 3},{n % 2}" for n in range(60)]}
    many = {"colour": [f"{n % 40},{n % 40} and more" for n in range(60)]}
    assert [problems({**good(), **change}) for change in (few, many)] == ["", ""]


def test_one_value_and_missing_ones_are_information() -> None:
    rows, _ = looked_at({**good(), "seen": ["yes", None, None] * 20})
    assert "seen" in rows.columns


def test_a_feature_that_alone_predicts_almost_everything_is_noted_not_refused() -> None:
    target = good()["target"]
    easy = [value * 10 + n / 100 for n, value in enumerate(target)]
    _, found = looked_at({**good(), "easy": easy})
    assert not found.problems
    assert any("'easy' alone predicts 'target'" in note for note in found.notes)


@pytest.mark.parametrize(("held", "noted"), [(range(10), True), (range(5, 15), False)])
def test_a_class_without_a_held_out_row_is_told(held: range, *, noted: bool) -> None:
    columns = {**good(), "target": ["no"] * 10 + ["yes"] * 10 + ["no"] * 40}
    rows, found = looked_at(columns)
    mask = np.isin(np.arange(60), list(held))
    validate.sides(rows, mask, "binary", found)
    assert any("classes yes of 'target' have no held-out row" in note for note in found.notes) is noted
    assert found.problems == []


def test_repeated_rows_are_counted() -> None:
    doubled = {name: values + values[:3] for name, values in good().items()}
    _, found = looked_at(doubled)
    assert any("3 rows of 63 are repeated exactly" in note for note in found.notes)


# reading


def write(path: Path, text: str) -> Data:
    path.write_text(text)
    return Data(uri=str(path), target="target")


def test_csv_with_missing_values_text_and_booleans_is_typed(tmp_path: Path) -> None:
    data = write(tmp_path / "x.csv", "n,x,b,c,target\n1,0.5,true,red,1\n,NA,false,,0\n")
    rows = dataset.read(source.load(data).table, data, Findings())
    assert rows.everything["n"].dtype == np.float64
    assert np.isnan(rows.everything["x"][1])
    assert rows.everything["b"].tolist() == [True, False]
    assert rows.everything["c"].tolist() == ["red", None]


def test_semicolons_and_compression_are_recognised(tmp_path: Path) -> None:
    import gzip  # noqa: PLC0415

    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a;target\n1;2\n3;4\n"))
    assert source.load(Data(uri=f"file:{path}", target="target")).table.column_names == ["a", "target"]


def test_a_folder_is_read_as_one_table(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "a,target\n1,0\n")
    write(tmp_path / "2.csv", "a,target\n2.5,1\n")
    assert source.load(Data(uri=str(tmp_path), target="target")).table.to_pydict() == {"a": [1, 2.5], "target": [0, 1]}


def test_parquet_and_csv_of_the_same_rows_are_the_same_data(tmp_path: Path) -> None:
    columns = good()
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    data = write(tmp_path / "x.csv", "\n".join([",".join(columns), *lines]))
    both = [source.load(one).table for one in (data, Data(uri=str(tmp_path / "x.parquet"), target="target"))]
    masks = [split.held_out(dataset.read(table, data, Findings()), 7, 0.3) for table in both]
    assert masks[0].tolist() == masks[1].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,target\n", "has a header but no rows"),
        ("a,target\n1,2\n1,2,3\n", "Expected 2 columns, got 3"),
        ("a,a,target\n1,2,3\n", "several columns called a"),
    ],
)
def test_a_malformed_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    data = write(tmp_path / "bad.csv", text)
    with pytest.raises(Refused, match=r"bad\.csv") as refused:
        source.load(data)
    assert message in str(refused.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_header_in_another_encoding_is_refused_with_the_one_that_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes("größe,target\n1,2\n".encode(encoding))
    with pytest.raises(Refused, match=r"bad\.csv has a header that is not UTF-8.*Save it as UTF-8"):
        source.load(Data(uri=str(path), target="target"))
    path.write_bytes("größe,target\n1,2\n".encode("utf-8-sig"))
    assert source.load(Data(uri=str(path), target="target")).table.column_names == ["größe", "target"], "the control"


def test_a_malformed_line_is_named_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="#3"):
        source.load(write(tmp_path / "bad.csv", "a,target\n1,2\n1,2,3\n"))


def test_a_file_that_is_not_there_and_a_parquet_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no file"):
        source.load(Data(uri=str(tmp_path / "gone.csv"), target="target"))
    with pytest.raises(Refused, match="no readable Parquet file"):
        source.load(write(tmp_path / "bad.parquet", "a,target\n"))


def test_an_unknown_bundled_set_names_the_known_ones() -> None:
    with pytest.raises(Refused, match="sklearn:breast_cancer"):
        source.load(Data(uri="sklearn:titanic", target="target"))


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "wine", "diabetes"])
def test_bundled_sets_are_those_of_scikit_learn(name: str) -> None:
    from sklearn import datasets  # noqa: PLC0415

    options = {"scaled": False} if name == "diabetes" else {}
    known = getattr(datasets, f"load_{name}")(**options)
    table = source.load(Data(uri=f"sklearn:{name}", target="target")).table
    assert table.column_names == [*known.feature_names, "target"]
    assert np.allclose(np.stack([column.to_numpy() for column in table.columns[:-1]], axis=1), known.data)
    assert np.allclose(table["target"].to_numpy(), known.target)
