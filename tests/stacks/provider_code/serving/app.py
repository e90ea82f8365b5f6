"""An application whose controller releases at once, and whose model answers with its process id."""

import json
import os
import urllib.request
from typing import Any

from ray import serve


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 0})
class ReleaseController:
    """Makes every candidate champion."""

    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args

    def reconfigure(self, config: dict[str, Any]) -> None:
        candidate = config["candidate"]
        self.call("alias", "POST", alias="champion", version=candidate)
        state = {"candidate": candidate, "phase": "released", "champion": candidate}
        self.call("set-tag", "POST", key="slipway.release.state", value=json.dumps(state))

    def call(self, path: str, method: str, **body: str) -> None:
        request = urllib.request.Request(
            f"{self.args['tracking_uri']}/api/2.0/mlflow/registered-models/{path}",
            data=json.dumps({"name": self.args["model_name"], **body}).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        urllib.request.urlopen(request, timeout=60).close()


@serve.deployment(num_replicas=1, max_ongoing_requests=8, ray_actor_options={"num_cpus": 0})
class Model:
    """Answers every path."""

    def __init__(self, args: dict[str, Any], controller: Any) -> None:
        self.controller = controller
        if args.get("broken"):
            raise ValueError("this model cannot be loaded")

    def __call__(self, _: Any) -> str:
        return str(os.getpid())


def build(args: dict[str, Any]) -> Any:
    model: Any = Model  # what the decorator made of it
    controller: Any = ReleaseController
    return model.bind(args, controller.bind(args))
