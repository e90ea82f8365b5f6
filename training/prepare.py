"""The first steps of a run: load, validate, split.  What a model is trained and measured on comes from here."""

from __future__ import annotations

from dataclasses import dataclass

from training import dataset, gate, source, split, validate
from training.console import Refused, count, say
from training.contracts import TrainingData
from training.dataset import Array, Findings, Rows
from training.spec import RunSpec
from training.tabular import Features, Label, Task


@dataclass(frozen=True)
class Prepared:
    """Validated data, split in two."""

    rows: Rows
    held: Array
    """[rows] mask of the held-out rows."""
    train: TrainingData
    test: TrainingData
    digest: str
    """sha256 (hex) of the bytes that were read."""
    notes: tuple[str, ...]

    @property
    def features(self) -> Features:
        return self.train.features


def prepare(spec: RunSpec) -> Prepared:
    """Load, validate and split the data of a run.

    Raises:
        Refused: the data cannot be read, or breaks rules; the text lists every one that was found.
    """
    found = Findings()
    loaded = source.load(spec.data)
    rows = dataset.read(loaded.table, spec.data, found)
    say("load", f"{count(rows.count or loaded.table.num_rows, 'row')}, {_kinds(rows)} from {spec.data.uri}")
    task, classes = _validated(spec, rows, found)
    gate.check_floors(spec.gate, task)
    held = split.held_out(rows, spec.training.seed, spec.training.test_fraction)
    validate.sides(rows, held, task, found)
    _refuse(spec, found)
    for note in found.notes:
        say("validate", note)
    by = f"column {rows.key!r}" if rows.key else "row"
    say("split", f"{int((~held).sum()):,} rows to train, {int(held.sum()):,} held out, by a hash of the {by}")
    every = dataset.encoded(rows, dataset.describe(rows, task, classes, ~held))
    return Prepared(rows, held, every.take(~held), every.take(held), loaded.digest, tuple(found.notes))


def _validated(spec: RunSpec, rows: Rows, found: Findings) -> tuple[Task, tuple[Label, ...] | None]:
    if not rows.count:
        _refuse(spec, found)
    task, classes = validate.target(rows, spec.training.task, found)
    validate.rows(rows, task, found)
    _refuse(spec, found)
    return task, classes


def _refuse(spec: RunSpec, found: Findings) -> None:
    if found.problems:
        raise Refused(
            f"the data {spec.data.uri} cannot be used: {count(len(found.problems), 'problem')}", found.problems
        )


def _kinds(rows: Rows) -> str:
    text = sum(values.dtype == object for values in rows.columns.values())
    parts = [f"{len(rows.columns) - text} numeric"] * (text < len(rows.columns)) + [f"{text} categorical"] * (text > 0)
    return f"{' and '.join(parts) or 'no'} columns"
