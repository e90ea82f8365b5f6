"""Imports xgboost without scikit-learn: its estimator classes cost 0.9 s and 65 MB that no booster needs.

xgboost itself treats scikit-learn as optional; here it is made to look absent while xgboost is imported first.
A process that later needs the whole of it (a foreign model's wrapper) calls `restore`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_HIDDEN = "sklearn"


def xgboost() -> ModuleType:
    """Return the xgboost module, imported without scikit-learn when this process has neither yet."""
    if "xgboost" in sys.modules or _HIDDEN in sys.modules:
        return importlib.import_module("xgboost")
    sys.modules[_HIDDEN] = None  # type: ignore[assignment]  # the import system's own sign for "not there"
    try:
        return importlib.import_module("xgboost")
    finally:
        del sys.modules[_HIDDEN]


def restore() -> None:
    """Let the next ``import xgboost`` bring its scikit-learn wrappers; boosters already loaded keep working."""
    compat = sys.modules.get("xgboost.compat")
    if compat is None or getattr(compat, "SKLEARN_INSTALLED", True):
        return
    for name in [name for name in sys.modules if name == "xgboost" or name.startswith("xgboost.")]:
        del sys.modules[name]
