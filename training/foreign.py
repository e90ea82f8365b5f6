"""A custom entrypoint's model for MLflow: pickled as it is, asked through its own `predict`."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.pyfunc.model import PythonModel


class ForeignPyfunc(PythonModel):
    """Any object with `predict(DataFrame)` behind MLflow's interface."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002  MLflow's signature
        return self.model.predict(model_input)
