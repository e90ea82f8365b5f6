"""The Kubernetes substrate's program under the recording engine, and a walk over every pod that it declares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pulumi

from components.kubernetes.platforms import PLATFORMS
from components.seam import Place
from stacks.config import EnvironmentConfig, load
from stacks.environment import deploy
from tests.mock_engine import Engine, run
from tests.stack_files import settings_in

ROOT = Path(__file__).parents[2]
STACK_FILE = Path(__file__).parent / "stacks" / "Pulumi.cluster.yaml"
ENDED = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "endTime": "2026-01-01T00:00:00Z"}
RESULT: dict[str, Any] = {
    "run_id": "run-1",
    "model_version": "3",
    "verdict": "passed",
    "metrics": {"accuracy": 0.97},
    "reasons": [],
    "candidate": "3",
    "champion": "3",
    "challenger": None,
}


def settings(**changes: Any) -> dict[str, Any]:
    """Return the settings of the example stack file, with some of them changed."""
    plain = settings_in(STACK_FILE)
    substrate = {**plain["substrate"], **changes.pop("substrate", {})}
    merged = {**plain, **changes, "substrate": substrate}
    return {key: value for key, value in merged.items() if value is not None}


class Cluster(Engine):
    """Answers like a cluster on which every Job ends well and every result is written."""

    def __init__(self, result: Mapping[str, Any] = RESULT, job: Mapping[str, Any] = ENDED) -> None:
        super().__init__(
            {
                "kubernetes:ray.io/v1:RayJob": {"status": dict(job)},
                "kubernetes:ray.io/v1:RayService": {"status": {"numServeEndpoints": 1}},
                "kubernetes:batch/v1:Job": {"status": {"succeeded": 1}},
            }
        )
        self._result = {"data": {"result.json": json.dumps(result)}}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == "kubernetes:core/v1:ConfigMap" and args.resource_id:
            return args.resource_id, self._result
        return super().new_resource(args)


def configured(secrets: Mapping[str, str], **changes: Any) -> EnvironmentConfig:
    """Return the example's config; a platform of clusters that Slipway makes is set past what users may say."""
    platform = changes.get("substrate", {}).get("platform", "generic")
    if not PLATFORMS[platform].own_nodes:
        return load(settings(**changes), secrets)
    config = load(settings(**{**changes, "substrate": {**changes["substrate"], "platform": "eks"}}), secrets)
    made = config.substrate.model_copy(update={"platform": platform})
    return config.model_copy(update={"substrate": made})


def deployed(
    *, preview: bool = False, engine: Engine | None = None, secrets: Mapping[str, str] | None = None, **changes: Any
) -> tuple[Engine, dict[str, Any]]:
    """Run `deploy()` and return what was registered and the outputs that became known."""
    known: dict[str, Any] = {}
    config = configured(secrets or {}, **changes)

    def program() -> None:
        encrypted = {key: pulumi.Output.secret(value) for key, value in (secrets or {}).items()}
        place = Place(project="slipway", stack="dev", root=ROOT, secrets=encrypted)
        for key, value in deploy(place, config).as_dict().items():
            pulumi.Output.from_input(value).apply(partial(known.__setitem__, key))

    return run(program, engine=engine or Cluster(), preview=preview), known


@dataclass(frozen=True)
class Pod:
    """One pod template, and the registered object that holds it."""

    owner: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec["containers"], *self.spec.get("initContainers", [])]


def pods(engine: Engine) -> list[Pod]:
    """Return every pod template in every registered object, wherever it is nested."""
    return [
        Pod(item.name, (template.get("metadata") or {}).get("labels") or {}, template["spec"])
        for item in engine.registrations
        if item.type.startswith("kubernetes:")
        for template in templates(item.inputs)
    ]


def templates(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        spec = value.get("spec")
        if isinstance(spec, Mapping) and "containers" in spec:
            yield value
            return
        for inner in value.values():
            yield from templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from templates(inner)
