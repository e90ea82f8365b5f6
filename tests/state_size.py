"""How large objects of a cluster become in a state file on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def size_in_state(manifests: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of a local state file that holds these: the official plugin keeps an object three times, indented by four.

    The inputs; the outputs, which are the live object; and in the outputs `__inputs`. A live object has more than was
    asked for, so each is taken with a kilobyte of status and defaults besides.
    """
    resources = [
        {"urn": "u" * 200, "inputs": one, "outputs": {**one, "__inputs": one, "status": "s" * 1024}}
        for one in manifests
    ]
    return len(json.dumps({"version": 3, "deployment": {"resources": resources}}, indent=4))
