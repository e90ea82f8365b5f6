"""An API server in memory, as far as scheduled retraining asks it; for tests of what it makes, reads and removes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.kubernetes.incluster import derived
from infra.kubernetes.incluster.api import Api, ApiError, Named

SPACE = "ml"
RESULT = "training-result-x"
RAY_JOBS = f"/apis/ray.io/v1/namespaces/{SPACE}/rayjobs"
CONFIG_MAPS = f"/api/v1/namespaces/{SPACE}/configmaps"
DONE = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}


TEMPLATE: dict[str, Any] = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "any", "namespace": SPACE, "labels": {"app.kubernetes.io/part-of": "slipway"}},
    "spec": {"volumes": [{"configMap": {"name": derived.OBJECT_MARK}}]},
}


def token(**account: str) -> str:
    claims = {"kubernetes.io": {"serviceaccount": {"name": "schedule", "uid": "u-1", **account}}}
    return f"head.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"


class Objects(Api):
    """An API server's objects by path; `happens` is called before each read of a RayJob."""

    def __init__(self, folder: Path) -> None:
        file = folder / "token"
        file.write_text(token())
        super().__init__("http://nowhere", file, patience_s=0)
        self.kept: dict[str, dict[str, Any]] = {}
        self.happens: Callable[[dict[str, Any]], None] = lambda _: None
        self.refuse: dict[tuple[str, str], int] = {}

    def _once(self, verb: str, what: Named, body: Mapping[str, Any] | None, query: str) -> dict[str, Any]:
        if (verb, what.name) in self.refuse:
            raise ApiError("refused", self.refuse[verb, what.name])
        if verb == "list":
            label, _, value = (
                query.partition("labelSelector=")[2].replace("%3D", "=").replace("%2F", "/").partition("=")
            )
            found = [item for path, item in self.kept.items() if path.startswith(what.collection)]
            return {"items": [item for item in found if item["metadata"].get("labels", {}).get(label) == value]}
        if verb == "create":
            if what.path in self.kept:
                raise ApiError("exists", 409)
            self.kept[what.path] = json.loads(json.dumps(body))
            self.kept[what.path]["metadata"] |= {"uid": f"uid-{what.name}", "creationTimestamp": "2026-01-09"}
        if what.path not in self.kept:
            raise ApiError("not found", 404)
        if verb == "patch":
            assert body is not None
            self.kept[what.path].setdefault("data", {}).update(body["data"])
        if verb == "get" and what.plural == "rayjobs":
            self.happens(self.kept[what.path])
        return self.kept.pop(what.path) if verb == "delete" else self.kept[what.path]

    def jobs(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.kept if path.startswith(RAY_JOBS))

    def result(self) -> dict[str, Any] | None:
        text = self.kept[f"{CONFIG_MAPS}/{RESULT}"].get("data", {}).get("result.json")
        return json.loads(text) if text else None
