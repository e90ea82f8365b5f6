"""Metrics of predictions, in numpy: what each is called, which way is better, and its value.

scikit-learn's would cost a second of imports in every run; tests hold these against them.  A metric that is not
defined on the given rows (ROC AUC with one class) is absent, never NaN: evidence is JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.tabular import Task

Array = npt.NDArray[Any]

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
CLASSIFICATION = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
REGRESSION = ("rmse", "mae", "r2")
_TINY = 1e-15


@dataclass(frozen=True)
class Scored:
    """Predictions for some rows."""

    values: Array
    """[rows]: class index (-1: a label that is no class), or the predicted value."""
    probabilities: Array | None = None
    """[rows, classes], where the model gives them."""

    def take(self, rows: Array) -> Scored:
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Scored(self.values[rows], probabilities)


def known(task: Task) -> tuple[str, ...]:
    """Return the names of the metrics of a task."""
    return REGRESSION if task == "regression" else CLASSIFICATION


def primary(task: Task) -> str:
    """Return the metric that is a mean over rows, by which candidate and champion are compared row by row."""
    return "mae" if task == "regression" else "accuracy"


def row_losses(task: Task, truth: Array, scored: Scored) -> Array:
    """Return [rows] what `primary` averages, as a loss: 0 or 1 for a wrong class, the absolute error for a value."""
    if task == "regression":
        return np.asarray(np.abs(scored.values - truth))
    return np.asarray(scored.values != truth, dtype=np.float64)


def measure(task: Task, truth: Array, scored: Scored, classes: int) -> dict[str, float]:
    """Return the metrics of `known(task)` that are defined on these rows.

    For two classes precision, recall and F1 are of the second class; for more, the mean over the classes.
    """
    found = _regression(truth, scored.values) if task == "regression" else _classification(truth, scored, classes)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _regression(truth: Array, values: Array) -> dict[str, float]:
    residual = values - truth
    squared = float(residual @ residual)
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        "rmse": math.sqrt(squared / len(truth)),
        "mae": float(np.abs(residual).mean()),
        "r2": 1 - squared / spread if spread else math.nan,
    }


def _classification(truth: Array, scored: Scored, classes: int) -> dict[str, float]:
    wanted = [1] if classes == 2 else range(classes)  # noqa: PLR2004
    per_class = [_precision_recall_f1(truth == one, scored.values == one) for one in wanted]
    precision, recall, f1 = (float(np.mean(values)) for values in zip(*per_class, strict=True))
    found = {
        "accuracy": float((scored.values == truth).mean()),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }
    if scored.probabilities is not None:
        chosen = scored.probabilities[np.arange(len(truth)), truth].astype(np.float64)
        found["log_loss"] = float(-np.log(np.clip(chosen, _TINY, 1)).mean())
        found["roc_auc"] = float(np.mean([_roc_auc(truth == one, scored.probabilities[:, one]) for one in wanted]))
    return found


def _precision_recall_f1(truth: Array, predicted: Array) -> tuple[float, float, float]:
    hit = float((truth & predicted).sum())
    precision = hit / float(predicted.sum()) if predicted.any() else 0.0
    recall = hit / float(truth.sum()) if truth.any() else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hit else 0.0


def _roc_auc(truth: Array, score: Array) -> float:
    """Return the probability that a row of the class scores above one that is not; ties count half."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    ranks = mean_rank[inverse]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def paired(candidate: Array, champion: Array) -> dict[str, float]:
    """Return `worse_by`, the mean difference of the losses (positive: candidate worse), and its standard error."""
    difference = candidate - champion
    error = float(difference.std(ddof=1) / math.sqrt(len(difference))) if len(difference) > 1 else 0.0
    return {"worse_by": float(difference.mean()), "standard_error": error}


def rounded(values: Mapping[str, float]) -> str:
    """Return metrics as text for a person."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
