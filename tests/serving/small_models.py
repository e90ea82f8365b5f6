"""Small native models, trained in milliseconds on made-up rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving import lean
from training.tabular import Column, Features, TabularModel

xgb = lean.xgboost()
ROWS = 200


def features(*, text: bool = False, classes: tuple[Any, ...] | None = (0, 1), width: int = 4) -> Features:
    columns = [Column(f"x{position}", "numeric", "float64") for position in range(width)]
    if text:
        columns.append(Column("colour", "categorical", "string", ("blue", "green", "red"), optional=True))
    task = "regression" if classes is None else "binary" if len(classes) == 2 else "multiclass"
    return Features(task, "target", classes, tuple(columns))  # type: ignore[arg-type]


def tabular(described: Features, *, seed: int = 7, rounds: int = 5) -> TabularModel:
    """Train a small model on made-up rows of the described columns."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        c.name: random.normal(size=ROWS) if c.kind == "numeric" else random.choice(c.categories, ROWS)
        for c in described.columns
    }
    empty = TabularModel(described, None)
    matrix = empty.encode(columns)
    base = matrix[:, 0] + 0.5 * np.nan_to_num(matrix[:, -1])
    count = len(described.classes or ())
    objective: dict[str, Any] = {"objective": "reg:squarederror"}
    target = base
    if count == 2:
        objective, target = {"objective": "binary:logistic"}, base > 0
    elif count > 2:
        edges = np.quantile(base, np.linspace(0, 1, count + 1)[1:-1])
        objective, target = {"objective": "multi:softprob", "num_class": count}, np.digitize(base, edges)
    kinds = ["c" if c.kind == "categorical" else "q" for c in described.columns]
    data = xgb.DMatrix(matrix, label=target, feature_types=kinds, enable_categorical=True)
    booster = xgb.train({**objective, "max_depth": 3, "seed": seed, "nthread": 1}, data, rounds)
    return TabularModel(described, booster)
