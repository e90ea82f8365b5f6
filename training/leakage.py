"""Features that give the answer away.

A feature that equals the target, or names its classes one to one, is refused: no row will have it when an answer is
needed.  One that alone predicts the target almost perfectly is only noted, because real data can be that simple.
"""

from __future__ import annotations

import numpy as np

from training.dataset import Array, Findings, Rows, missing
from training.tabular import Task

ALMOST = 0.999
"""Share of rows that one feature alone gets right, or its correlation with a numeric target."""
_MOST_ROWS = 20_000  # a feature that gives the answer away does so in a part of the rows as well


def check(data: Rows, task: Task, found: Findings) -> None:
    """Report every feature that gives the target away."""
    if missing(data.target).any() or (task == "regression" and data.target.dtype == object):
        return  # reported already, and nothing can be said without the target
    sample = slice(None) if data.count <= _MOST_ROWS else slice(None, None, data.count // _MOST_ROWS + 1)
    target = data.target[sample]
    for name, values in data.columns.items():
        part = values[sample]
        if _same(part, target) or (task != "regression" and _renamed(part, target)):
            fix = "Remove the column: it will not be known when a prediction is asked for"
            found.problem(name, f"is the target {data.target_name!r} under another name (leakage)", fix)
        elif (share := _alone(part, target, task)) >= ALMOST:
            found.notes.append(
                f"column {name!r} alone predicts {data.target_name!r} in {share:.1%} of rows: "
                "make sure that it is known before the answer is"
            )


def _same(values: Array, target: Array) -> bool:
    if (values.dtype == object) != (target.dtype == object):
        return False
    return bool((values == target).all())


def _renamed(values: Array, target: Array) -> bool:
    """Say whether values and classes stand for each other one to one."""
    if missing(values).any():
        return False
    pairs = set(zip(values.tolist(), target.tolist(), strict=True))
    return len(pairs) == len({value for value, _ in pairs}) == len({label for _, label in pairs})


def _alone(values: Array, target: Array, task: Task) -> float:
    """Return how well this feature alone predicts the target (0 when it is not worth asking)."""
    if task == "regression":
        return 0.0 if values.dtype == object else _correlation(values.astype(np.float64), target.astype(np.float64))
    codes = np.unique(target.astype(str), return_inverse=True)[1]
    if values.dtype == object:
        return _by_category(values, codes)
    return _by_threshold(values.astype(np.float64), codes) if codes.max() == 1 else 0.0


def _correlation(values: Array, target: Array) -> float:
    known = ~np.isnan(values)
    if known.sum() < len(values) / 2 or values[known].std() == 0 or target[known].std() == 0:
        return 0.0
    return float(abs(np.corrcoef(values[known], target[known])[0, 1]))


def _by_category(values: Array, codes: Array) -> float:
    """Return the share of rows that the most frequent class per category gets right."""
    groups = np.unique(values.astype(str), return_inverse=True)[1]
    table = np.zeros((groups.max() + 1, codes.max() + 1))
    np.add.at(table, (groups, codes), 1)
    return float(table.max(axis=1).sum() / len(codes))


def _by_threshold(values: Array, codes: Array) -> float:
    """Return the share of rows that the best single threshold gets right."""
    known = ~np.isnan(values)
    values, codes = values[known], codes[known]
    if len(values) < len(known) / 2:
        return 0.0
    order = np.argsort(values, kind="stable")
    values, codes = values[order], codes[order]
    ones = np.concatenate([[0], np.cumsum(codes)])
    left = np.arange(len(codes) + 1)
    right_if_one_above = (left - ones) + (ones[-1] - ones)
    cut = np.concatenate([[True], values[1:] != values[:-1], [True]])  # no threshold between equal values
    right = right_if_one_above[cut]
    return float(max(right.max(), (len(codes) - right).max()) / len(codes))
