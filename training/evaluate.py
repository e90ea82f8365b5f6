"""Evidence: how good a model is on held-out rows, against no model at all, and on the parts of the rows.

It measures and records; what is good enough is the gate's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from training import metrics
from training.contracts import TrainingData
from training.metrics import Array, Scored
from training.tabular import TabularModel, label_array

FEWEST_IN_SLICE = 5
_MOST_SLICED = 20  # columns
_MOST_VALUES = 10  # per categorical column
_LATENCY_CALLS = 200
_LATENCY_BUDGET_S = 0.5
_BINS = 10


class Model(Protocol):
    """Anything that can be evaluated."""

    def score(self, data: TrainingData) -> Scored: ...


class Native:
    """A TabularModel, scored on the encoding of its own features: also a champion with other categories."""

    def __init__(self, model: TabularModel) -> None:
        self.model = model

    def score(self, data: TrainingData) -> Scored:
        scores = self.model.scores(self.model.encode(data.columns))
        if self.model.features.classes is None:
            return Scored(self.model.labels(scores))
        same = self.model.features.classes == data.features.classes
        return Scored(class_indices(self.model.labels(scores), data), scores if same else None)


class Foreign:
    """Any object with `predict(DataFrame)`, and maybe `predict_proba(DataFrame)`."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def score(self, data: TrainingData) -> Scored:
        labels = np.asarray(self.model.predict(data.frame)).reshape(data.rows)
        if data.features.classes is None:
            return Scored(labels.astype(np.float64))
        probabilities = None
        if hasattr(self.model, "predict_proba"):
            probabilities = np.asarray(self.model.predict_proba(data.frame), dtype=np.float64)
            if probabilities.shape != (data.rows, len(data.features.classes)):
                raise ValueError(
                    f"predict_proba gave the shape {probabilities.shape}; "
                    f"[rows, classes] is {(data.rows, len(data.features.classes))}"
                )
        return Scored(class_indices(labels, data), probabilities)


def class_indices(labels: Array, data: TrainingData) -> Array:
    """Return [rows] the position of each label in the classes of the data, -1 for one that is no class of it."""
    index = {label: position for position, label in enumerate(data.features.classes or ())}
    return np.array([index.get(label, -1) for label in labels.tolist()], dtype=np.int64)


def evaluate(model: Model, train: TrainingData, held: TrainingData) -> tuple[dict[str, Any], Scored]:
    """Return the evidence without the champion, and the predictions for the held-out rows."""
    scored = model.score(held)
    task, classes = held.features.task, len(held.features.classes or ())
    evidence = {
        "task": task,
        "rows": {"train": train.rows, "held_out": held.rows},
        "metrics": metrics.measure(task, held.target, scored, classes),
        "baseline": baseline(train, held),
        "slices": list(slices(held, scored)),
        "calibration": calibration(held, scored),
        "latency_ms": latency(model, held),
    }
    return evidence, scored


def baseline(train: TrainingData, held: TrainingData) -> dict[str, Any]:
    """Return the metrics of always answering the commonest class (with its share as probability), or the mean."""
    classes = held.features.classes
    if classes is None:
        mean = float(train.target.mean())
        scored, kind = Scored(np.full(held.rows, mean)), f"always the mean, {mean:.4g}"
    else:
        shares = np.bincount(train.target, minlength=len(classes)) / train.rows
        commonest = int(shares.argmax())
        scored = Scored(np.full(held.rows, commonest), np.tile(shares, (held.rows, 1)))
        kind = f"always the commonest class, {classes[commonest]!r}"
    measured = metrics.measure(held.features.task, held.target, scored, len(classes or ()))
    return {"kind": kind, "metrics": measured}


def slices(held: TrainingData, scored: Scored) -> Iterator[dict[str, Any]]:
    """Yield the primary metric for parts of the held-out rows: per class, category and quarter of a number."""
    task = held.features.task
    losses = metrics.row_losses(task, held.target, scored)
    for column, value, mask in _parts(held):
        rows = int(mask.sum())
        if rows >= FEWEST_IN_SLICE:
            loss = float(losses[mask].mean())
            yield {
                "column": column,
                "value": value,
                "rows": rows,
                metrics.primary(task): loss if task == "regression" else 1 - loss,
            }


def _parts(held: TrainingData) -> Iterator[tuple[str, str, Array]]:
    labels = label_array(held.features.classes or ())
    for position, label in enumerate(labels.tolist()):
        yield held.features.target, str(label), held.target == position
    for column in held.features.columns[:_MOST_SLICED]:
        values = held.columns[column.name]
        if column.kind == "categorical":
            found, counts = np.unique(values.astype(str), return_counts=True)
            for value in found[np.argsort(-counts, kind="stable")][:_MOST_VALUES]:
                missing = value == "None" and value not in column.categories
                yield column.name, "missing" if missing else str(value), values.astype(str) == value
        else:
            yield from _quarters(column.name, values.astype(np.float64))


def _quarters(name: str, values: Array) -> Iterator[tuple[str, str, Array]]:
    known = ~np.isnan(values)
    if not known.any():
        return
    edges = np.unique(np.quantile(values[known], [0, 0.25, 0.5, 0.75, 1]))
    for low, high in pairwise(edges):
        last = high == edges[-1]
        inside = (values >= low) & ((values <= high) if last else (values < high))
        yield name, f"{low:.4g} to {high:.4g}", inside
    if not known.all():
        yield name, "missing", ~known


def calibration(held: TrainingData, scored: Scored) -> list[dict[str, float]]:
    """Return, for two classes, how often the second came true where it was given a probability; empty otherwise."""
    if scored.probabilities is None or held.features.task != "binary":
        return []
    given = scored.probabilities[:, 1]
    bins = np.minimum((given * _BINS).astype(int), _BINS - 1)
    return [
        {
            "from": one / _BINS,
            "to": (one + 1) / _BINS,
            "rows": int((bins == one).sum()),
            "predicted": float(given[bins == one].mean()),
            "observed": float(held.target[bins == one].mean()),
        }
        for one in np.unique(bins).tolist()
    ]


def latency(model: Model, held: TrainingData) -> dict[str, float]:
    """Return p50 and p99 of predicting one row in this process, in milliseconds."""
    one = [held.take(np.array([row % held.rows])) for row in range(min(held.rows, 20))]
    _timed(model.score, one[0])  # the first call allocates
    durations: list[float] = []
    until = time.monotonic() + _LATENCY_BUDGET_S
    while len(durations) < _LATENCY_CALLS and (time.monotonic() < until or not durations):
        durations.append(_timed(model.score, one[len(durations) % len(one)]))
    p50, p99 = np.quantile(durations, [0.5, 0.99])
    return {"p50": float(p50) * 1e3, "p99": float(p99) * 1e3}


def _timed(call: Callable[[TrainingData], Scored], data: TrainingData) -> float:
    start = time.perf_counter()
    call(data)
    return time.perf_counter() - start
