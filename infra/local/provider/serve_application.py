"""slipway:local:ServeApplication: the serving application on the Ray head, and the release of its candidate.

It hands the candidate over and waits for what the release controller makes of it; it never moves an alias.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from infra.local.provider import rules
from infra.local.provider.deployment import deploy
from infra.local.provider.difference import Difference, difference
from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable
from infra.local.provider.machine import Work
from infra.local.provider.mlflow_client import Model, Tracking
from infra.local.provider.patience import patiently
from infra.local.provider.ray_client import Ray
from infra.local.provider.readiness import healthy
from infra.local.provider.release import READY_PATH, wait_for_release
from infra.local.provider.resource_type import ResourceType
from infra.local.provider.rules import Rule
from infra.local.provider.values import UNKNOWN, Properties

_FOUND = ("champion", "challenger", "release_phase")


def _is_http(value: Any) -> bool:
    return isinstance(value, dict) and rules.is_text(value.get("host")) and rules.is_port(value.get("port"))


def _is_release(value: Any) -> bool:
    return isinstance(value, dict) and rules.is_text(value.get("strategy")) and value.get("wait") in ("started", "done")


def _is_application(value: Any) -> bool:
    return rules.is_json_object(value) and {"name", "route_prefix", "import_path"} <= set(json.loads(value))


class ServeApplicationType(ResourceType):
    """Deploys, looks at and removes the serving application."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "name": rules.TEXT,
        "dashboard_url": rules.URL,
        "token_file": rules.PATH,
        "incarnation": rules.TEXT,
        "application": Rule(accepts=_is_application, says="JSON with `name`, `route_prefix`, `import_path` and `args`"),
        "http": Rule(accepts=_is_http, says="a map with `host`, `port` and `request_timeout_s`"),
        "grpc_port": rules.PORT,
        "code": Rule(accepts=rules.is_map, says="a map with `root`, `files` and `digest`"),
        "code_directory": rules.PATH,
        "url": rules.URL,
        "tracking_uri": rules.URL,
        "model_name": rules.TEXT,
        "candidate": Rule(accepts=rules.is_text, says="a model version, or absent", required=False),
        "release": Rule(accepts=_is_release, says="a map with `strategy`, and `wait` (started or done)"),
        "timeout_s": rules.SECONDS,
    }

    def defaults(self, inputs: Properties) -> Properties:
        return inputs

    def difference(self, old: Properties, new: Properties) -> Difference:
        """Everything is updated in place; an application that was found not to answer is drift."""
        return difference(self.rules, old, new, drift=[] if old.get("live") is True else ["live"])

    def preview(self, old: Properties | None, new: Properties) -> Properties:
        """Another candidate, or another Ray head, may mean another champion."""
        moved = old is None or any(old.get(name) != new.get(name) for name in ("candidate", "incarnation"))
        found = dict.fromkeys(_FOUND, UNKNOWN) if moved or old is None else {name: old.get(name) for name in _FOUND}
        return {**new, "candidate": new.get("candidate"), "live": True, **found}

    def id_of(self, inputs: Properties) -> str:
        return str(inputs["name"])

    async def create(self, work: Work, inputs: Properties) -> Properties:
        """Deploy, and wait for the release as far as `release.wait` says."""
        tracking = Tracking(work.machine.http, inputs["tracking_uri"])
        before = await patiently(
            lambda: tracking.model(inputs["model_name"]), f"the tracking server {inputs['tracking_uri']}"
        )
        _refuse_nothing(inputs, before)
        deployed = await deploy(work, inputs)
        model = await wait_for_release(work, inputs, tracking, deployed, before)
        return {**inputs, "candidate": inputs.get("candidate"), "live": True, **_found(model)}

    async def update(self, work: Work, old: Properties, new: Properties) -> Properties:  # noqa: ARG002  as every type's
        """State the configuration again; what is unchanged is left alone by Serve."""
        return await self.create(work, new)

    async def read(self, work: Work, state: Properties) -> Properties:
        """Look whether it is deployed and answers, and which version is champion."""
        http = work.machine.http
        ray, tracking = Ray(http, state["dashboard_url"], state["token_file"]), Tracking(http, state["tracking_uri"])
        try:
            found = (await ray.serve())["applications"].get(json.loads(state["application"])["name"])
            live = found is not None and found["status"] in ("RUNNING", "DEPLOYING")
        except Unreachable:
            live = False
        live = live and await healthy(http, [{"url": state["url"] + READY_PATH}])
        try:
            versions = _found(await tracking.model(state["model_name"]))
        except Unreachable:
            versions = {name: state.get(name) for name in _FOUND}
        return {**state, "live": live, **versions}

    async def delete(self, work: Work, state: Properties) -> None:
        """Remove the application; without its Ray head there is none."""
        ray = Ray(work.machine.http, state["dashboard_url"], state["token_file"])
        async with work.machine.serve_lock(state["dashboard_url"]):
            try:
                await ray.delete_serve()
            except Unreachable:
                return


def _refuse_nothing(inputs: Properties, model: Model) -> None:
    if inputs["release"]["wait"] == "started":
        return  # the stack does not wait for its training either: the model comes with a later `up`
    if inputs.get("candidate") is None and model.champion is None:
        raise Failure(
            f"nothing to serve: the model {inputs['model_name']} has no champion, and there is no candidate (the gate "
            "rejected it, or the training has not finished). Change the data, the parameters or slipway:gate, or give "
            "a version the alias `champion`; tracking and Ray stay up."
        )


def _found(model: Model) -> Properties:
    return {
        "champion": model.champion,
        "challenger": model.challenger,
        "release_phase": model.release.get("phase"),
    }
