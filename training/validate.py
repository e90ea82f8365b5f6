"""What must hold of the data before a model is trained on it.

Every rule looks at all rows, and every broken rule is reported in one go: column, rule, fix.  A rule refuses when a
model would be wrong or meaningless, and only notes what a person may well have meant.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from training import leakage
from training.console import count, names
from training.dataset import Array, Findings, Rows, missing
from training.split import row_hashes, seen_before
from training.tabular import Label, Task

FEWEST_ROWS = 20
FEWEST_PER_CLASS = 5
FEWEST_HELD_OUT = 5
MOST_CLASSES = 20
"""More different whole numbers than this are quantities, not classes."""
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def target(rows: Rows, wanted: str, found: Findings) -> tuple[Task, tuple[Label, ...] | None]:
    """Return the task and, for classification, the classes in order; `wanted` is a task or "auto"."""
    name, values = rows.target_name, rows.target
    gone = missing(values)
    if gone.any():
        first = int(np.flatnonzero(gone)[0]) + 1
        rule = f"is the target and is missing in {count(int(gone.sum()), 'row')} (first: row {first})"
        found.problem(name, rule, "Fill or remove those rows")
    task = _task(values[~gone], wanted, found, name)
    if task == "regression":
        if values.dtype.kind == "f" and not np.isfinite(values[~gone]).all():
            found.problem(name, "is the target and holds infinities", "Remove those rows")
        return task, None
    return task, _classes(name, values[~gone], task, found)


def _task(values: Array, wanted: str, found: Findings, name: str) -> Task:
    text = values.dtype == object
    if wanted == "regression":
        if text:
            rule = f"is text such as {values[0]!r}, and regression needs numbers"
            found.problem(name, rule, "Make it numeric, or set slipway:training.task to auto")
        return "regression"
    different = len(set(values.tolist()))
    classes = text or values.dtype == bool or different <= 2  # noqa: PLR2004  two values: yes and no
    few = different <= MOST_CLASSES and different <= len(values) / FEWEST_PER_CLASS
    if wanted == "auto" and not classes and not (values.dtype.kind == "i" and few):
        return "regression"
    if wanted == "binary" and different > 2:  # noqa: PLR2004
        rule = f"has {different} different values, and a binary task needs two"
        found.problem(name, rule, "Set slipway:training.task to auto or multiclass")
    return "multiclass" if wanted == "multiclass" or different > 2 else "binary"  # noqa: PLR2004


def _classes(name: str, values: Array, task: Task, found: Findings) -> tuple[Label, ...]:
    counts = Counter(values.tolist())
    if len(counts) < 2:  # noqa: PLR2004
        found.problem(name, f"has one class only ({names(list(counts))})", "Add rows of another class")
    if len(counts) > len(values) / 2 and len(counts) > 2:  # noqa: PLR2004
        fix = "Name another target, or set slipway:training.task to regression"
        found.problem(name, f"has {len(counts)} classes in {len(values)} rows, so it identifies rows", fix)
        return tuple(sorted(counts))
    small = [f"{label!r} ({number})" for label, number in sorted(counts.items()) if number < FEWEST_PER_CLASS]
    if small and len(counts) > 1:
        rule = f"has classes with fewer than {FEWEST_PER_CLASS} rows: {names(small)}"
        found.problem(name, rule, "Add rows, merge classes, or remove them")
    shown = names([f"{label} ({number:,})" for label, number in sorted(counts.items())])
    found.notes.append(f"target {name!r}: {task}, {len(counts)} classes: {shown}")
    return tuple(sorted(counts))


def rows(data: Rows, task: Task, found: Findings) -> None:
    """Check the rows and the features."""
    if data.count < FEWEST_ROWS:
        found.problem("", f"there are {count(data.count, 'row')}, and {FEWEST_ROWS} are the least", "Add rows")
    if not data.columns:
        found.problem("", "no column is left to learn from", "Add columns that describe the rows")
        return
    for name, values in data.columns.items():
        _infinities(name, values, found)
    if data.key is not None and data.key in data.everything and (gone := missing(data.everything[data.key])).any():
        rule = f"is the key and is missing in {count(int(gone.sum()), 'row')}"
        found.problem(data.key, rule, "Fill it, or unset slipway:data.key")
    _duplicates(data, found)
    leakage.check(data, task, found)


def _infinities(name: str, values: Array, found: Findings) -> None:
    if values.dtype.kind != "f":
        return
    beyond = np.abs(values) > _FLOAT32_MAX
    if beyond.any():
        first = int(np.flatnonzero(beyond)[0]) + 1
        rule = f"holds {count(int(beyond.sum()), 'value')} that are infinite or beyond 3.4e38 (first: row {first})"
        found.problem(name, rule, "Leave them empty (missing), or rescale the column")


def _duplicates(data: Rows, found: Findings) -> None:
    hashes = row_hashes({**data.everything, "\0target": data.target}, 0)
    doubled = data.count - len(np.unique(hashes))
    if doubled:
        found.notes.append(f"{count(doubled, 'row')} of {data.count:,} are repeated exactly; each is on one side only")


def sides(data: Rows, held: Array, task: Task, found: Findings) -> None:
    """Check what the split made: enough rows on both sides, every class to learn from."""
    inside, outside = int((~held).sum()), int(held.sum())
    if outside < FEWEST_HELD_OUT or inside < FEWEST_HELD_OUT:
        distinct = len(np.unique(row_hashes(data.everything, 0)))
        rule = f"the split leaves {count(inside, 'row')} to train and {outside} held out ({distinct:,} different rows)"
        found.problem("", rule, "Add rows, set slipway:training.test_fraction, or slipway:data.key to tell rows apart")
        return
    if task != "regression":
        unseen = sorted(set(data.target.tolist()) - set(data.target[~held].tolist()))
        if unseen:
            rule = f"classes {names(unseen)} are only among the held-out rows"
            found.problem(data.target_name, rule, "Add rows of them, or set another slipway:training.seed")
        untested = sorted(set(data.target.tolist()) - set(data.target[held].tolist()))
        if untested:
            rule = (
                f"classes {names(untested)} of {data.target_name!r} have no held-out row, so no metric speaks of them"
            )
            found.notes.append(f"{rule}: add rows of them, or set another slipway:training.seed")
    twins = seen_before(data.columns, held)
    if twins:
        found.notes.append(
            f"{count(twins, 'held-out row')} have the same values as a training row: their share of the score is memory"
        )
