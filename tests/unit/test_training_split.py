"""Which rows are held out."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa

from training import dataset, split
from training.dataset import Findings, Rows
from training.spec import Data


def good(rows: int = 60) -> dict[str, list[Any]]:
    chance = random.Random(1)  # noqa: S311  not for secrets
    columns: dict[str, list[Any]] = {"age": [], "colour": [], "target": []}
    for _ in range(rows):  # row by row, so that more rows begin with the same ones
        columns["age"].append(round(chance.uniform(20, 80), 3))
        columns["colour"].append(chance.choice(["red", "green"]))
        columns["target"].append(chance.randrange(2))
    return columns


def rows_of(columns: dict[str, Any], key: str | None = None) -> Rows:
    return dataset.read(pa.table(columns), Data(uri="x", target="target", key=key), Findings())


def held(columns: dict[str, Any], seed: int = 7, fraction: float = 0.3, key: str | None = None) -> set[tuple[Any, ...]]:
    mask = split.held_out(rows_of(columns, key), seed, fraction)
    names = sorted(columns)
    return {tuple(columns[name][row] for name in names) for row in np.flatnonzero(mask)}


def test_the_order_of_rows_and_columns_changes_nothing() -> None:
    columns = good()
    order = random.Random(2).sample(range(60), 60)  # noqa: S311
    shuffled = {name: [columns[name][row] for row in order] for name in reversed(columns)}
    assert held(columns) == held(shuffled)
    assert held(columns) != held(columns, seed=8), "the control: another seed splits otherwise"


def test_a_row_stays_on_its_side_in_later_versions_of_the_data() -> None:
    columns = good()
    later = good(90)
    assert later["age"][:60] == columns["age"], "the control: the old rows are among the new ones"
    assert held(columns) < held(later)


def test_a_later_missing_value_does_not_move_the_other_rows() -> None:
    whole = {"n": list(range(100)), "target": [0, 1] * 50}
    gap = {"n": [*range(100), None], "target": [*whole["target"], 0]}
    assert held(whole) <= held(gap)


def test_equal_rows_land_on_the_same_side() -> None:
    columns = {name: values * 3 for name, values in good().items()}
    mask = split.held_out(rows_of(columns), 7, 0.3).reshape(3, 60)
    assert (mask[0] == mask[1]).all()
    assert 0 < mask.sum() < mask.size


def test_the_key_decides_alone_and_is_no_feature() -> None:
    columns = {**good(), "customer": [f"C{n % 12}" for n in range(60)]}
    rows = rows_of(columns, "customer")
    mask = split.held_out(rows, 7, 0.3)
    sides = {(customer, bool(side)) for customer, side in zip(columns["customer"], mask, strict=True)}
    assert len(sides) == 12
    assert "customer" not in rows.columns


def test_a_larger_fraction_keeps_the_rows_of_a_smaller_one() -> None:
    assert held(good(), fraction=0.2) < held(good(), fraction=0.6)


def test_the_share_held_out_is_about_the_fraction() -> None:
    mask = split.held_out(rows_of({"n": list(range(20_000)), "target": [0, 1] * 10_000}), 7, 0.2)
    assert 0.19 < mask.mean() < 0.21


def test_the_hash_is_the_same_on_every_machine_and_version() -> None:
    columns = {"a": np.array([1, 2]), "b": np.array(["x", None], dtype=object)}
    assert split.row_hashes(columns, 7).tolist() == [11624619957604076377, 15039502417488998405]
