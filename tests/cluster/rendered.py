"""What the program declares for an environment, as plain manifests that an API server takes: for tests and benchmarks.

It knows no cluster; the program runs under the recording engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.mock_engine import Engine


def plain(value: Any) -> Any:
    """Return inputs as the plugin sends them: no nulls, no status, whole numbers whole."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items() if inner is not None and key != "status"}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def objects(engine: Engine) -> list[dict[str, Any]]:
    """Return every object of the cluster that the program registered, in the order of the registrations."""
    return [plain(item.inputs) for item in engine.registrations if item.type.startswith("kubernetes:")]
