"""What a training entrypoint gets and gives back: `train(data: TrainingData, settings: TrainSettings) -> Trained`.

`training.train:train` is one such function; `training.entrypoint: package.module:function` names another.  Only types
live here, so that a custom entrypoint can import them without the rest of the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from training.tabular import Features, Matrix, Task, encode, label_array, lookups

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainingData:
    """Some rows of a validated data set; the train side when an entrypoint gets it."""

    features: Features
    columns: Mapping[str, npt.NDArray[Any]]
    """Per feature [rows]: int64, float64 (missing = NaN), bool, or str objects (missing = None)."""
    target: npt.NDArray[Any]
    """[rows]: the class index (int64, position in `features.classes`), or the float64 value for regression."""

    @property
    def rows(self) -> int:
        return len(self.target)

    @cached_property
    def matrix(self) -> Matrix:
        """float32 [rows, features] as XGBoost sees it: categories as codes, missing as NaN."""
        return encode(self.features, self.columns, lookups(self.features))

    @cached_property
    def labels(self) -> npt.NDArray[Any]:
        """The target as it stands in the data: class labels, or values."""
        if self.features.classes is None:
            return self.target
        labels: npt.NDArray[Any] = label_array(self.features.classes)[self.target]
        return labels

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The features as a DataFrame, one column per feature."""
        import pandas as pd  # noqa: PLC0415  a third of a second that the default training does not need

        return pd.DataFrame({name: self.columns[name] for name in self.features.names})

    def take(self, rows: npt.NDArray[Any]) -> TrainingData:
        """Return the rows selected by a mask or by positions."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return TrainingData(self.features, columns, self.target[rows])


@dataclass(frozen=True)
class TrainSettings:
    """How to train; the same data and settings must give the same model."""

    task: Task
    params: Mapping[str, Any]
    """`training.params` as written in the configuration."""
    rounds: int
    seed: int
    workers: int = 1
    cpus: float = 1
    gpus: float = 0
    storage: str = ""
    """A folder or URI where Ray Train may keep its state; a URI outlives the machine."""
    name: str = "training"
    """A short name of this run, unique in `storage` and the same for every attempt: a `ray.train.RunConfig` with both
    finds the checkpoints of an attempt that was killed. What lies there is removed once the model is registered."""


@dataclass(frozen=True)
class Trained:
    """What an entrypoint returns.

    `model` is an `xgboost.Booster` trained on `TrainingData.matrix` (served natively), or any object that pickles and
    has `predict(DataFrame)` giving labels as they stand in the data, and optionally `predict_proba(DataFrame)` giving
    [rows, classes] in the order of `features.classes`.
    """

    model: Any
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured while training, such as the loss of the last round; logged with the prefix `training.`."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The parameters really used, defaults included; logged."""
