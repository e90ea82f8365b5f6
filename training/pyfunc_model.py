"""The tabular model for MLflow: the script that MLflow stores with a model and runs when it loads it.

`predict(DataFrame)` gives one label, or value, per row.  MLflow executes this file on its own; `training.tabular`
comes from the model's `code` folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from training.tabular import TabularModel


class TabularPyfunc(PythonModel):
    """A TabularModel behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        self.model = TabularModel.read(Path(context.artifacts["tabular"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002  MLflow's signature
        given = [name for name in self.model.features.names if name in model_input]
        return self.model.predict({name: _values(model_input[name]) for name in given})


def _values(column: pd.Series[Any]) -> Any:
    """Return a column as numpy with None for every way in which pandas says missing."""
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy()


set_model(TabularPyfunc())
