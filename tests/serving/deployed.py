"""The deployed application and its registered models, as the tests speak of them."""

from __future__ import annotations

import json
import uuid
from typing import Any

from infra.local.provider.procfs import command_of
from serving.registry import Registry
from tests.serving.environment import Environment, call, session_members, wait_for
from tests.serving.registering import example, register, state_of
from tests.serving.small_models import features, tabular

DESCRIBED = features(text=True, classes=("fern", "moss", "oak"))


class Service:
    """The deployed application, for a model of its own."""

    def __init__(self, environment: Environment) -> None:
        self.name = f"plants-{uuid.uuid4().hex[:6]}"
        self.path = f"/v2/models/{self.name}/infer"
        self.environment = environment
        self.registry = Registry(environment.tracking_uri)
        self.frame = example(DESCRIBED)
        self.url = environment.url

    def register(self, seed: int = 7, **more: Any) -> str:
        return register(self.environment.tracking_uri, self.name, tabular(DESCRIBED, seed=seed), **more)

    def ask_for(self, candidate: str | None, code: str = "code") -> None:
        self.environment.serve(self.name, candidate, code=code)

    @property
    def state(self) -> dict[str, Any]:
        return state_of(self.environment.tracking_uri, self.name)

    @property
    def about(self) -> dict[str, Any]:
        return dict(json.loads(call(f"{self.url}/v2/models/{self.name}")[2]))

    def body(self) -> dict[str, Any]:
        inputs = []
        for name, values in self.frame.items():
            text = name == "colour"
            data = values.tolist()
            inputs.append({"name": name, "shape": [len(data)], "datatype": "BYTES" if text else "FP64", "data": data})
        return {"inputs": inputs}

    def infer(self, body: Any = None) -> tuple[int, dict[str, str], Any]:
        status, headers, raw = call(self.url + self.path, method="POST", body=body or self.body())
        return status, headers, json.loads(raw)

    def wait_for_version(self, version: str) -> None:
        wait_for(f"version {version}", lambda: self.infer()[1].get("x-slipway-model-version") == version)

    def wait_for_phase(self, candidate: str, phase: str) -> None:
        wait_for(phase, lambda: (self.state.get("candidate"), self.state.get("phase")) == (candidate, phase))

    def rollback(self) -> str:
        command = {"id": str(uuid.uuid4()), "action": "rollback", "by": "ana", "at": "now", "reason": "a test"}
        self.registry.set_model_tag(self.name, "slipway.release.command", json.dumps(command))
        return str(command["id"])

    def release_tag(self, version: str) -> str | None:
        return (self.registry.version_tags(self.name, version) or {}).get("slipway.release")

    def replica(self, deployment: str) -> int:
        """Return the pid of the deployment's one replica."""
        assert self.environment.ray is not None
        for pid in session_members(self.environment.ray.pid):
            if command_of(pid).startswith(f"ray::ServeReplica:slipway:{deployment}"):
                return pid
        raise AssertionError(f"no replica of {deployment}")
