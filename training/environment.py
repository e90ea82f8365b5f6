"""The variables that MLflow's client reads when it is imported: quiet, and quick to say that a server is gone."""

from __future__ import annotations

import os

_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # what is printed is read in a log
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",  # the default waits four minutes for a server that is gone
}


def prepare() -> None:
    """Set them where they are not set; call it before anything imports MLflow."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
