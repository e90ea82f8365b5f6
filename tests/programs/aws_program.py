"""The AWS stack files under the recording engine: what `deploy()` registers, and with which outputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import pulumi

from components.seam import Place
from infra.aws import kubeconfig, sizes
from infra.engine import manifests
from stacks.config import load
from stacks.environment import deploy
from tests.components.aws_blocks import AwsEngine
from tests.mock_engine import Engine, run
from tests.programs.kubernetes_program import ENDED, RESULT
from tests.stack_files import committed

ROOT = Path(__file__).parents[2]
STACKS = ("staging", "prod", "gpu")


class Cloud(AwsEngine):
    """An account, and a cluster in it on which every Job ends well."""

    def __init__(self) -> None:
        super().__init__(
            {
                "kubernetes:ray.io/v1:RayJob": {"status": dict(ENDED)},
                "kubernetes:ray.io/v1:RayService": {"status": {"numServeEndpoints": 1}},
                "kubernetes:batch/v1:Job": {"status": {"succeeded": 1}},
            }
        )

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == "kubernetes:core/v1:ConfigMap" and args.resource_id:
            return args.resource_id, {"data": {"result.json": json.dumps(RESULT)}}
        id_, state = super().new_resource(args)
        if args.typ == "aws:eks/cluster:Cluster" and not pulumi.runtime.is_dry_run():
            vpc = {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster", "vpcId": "vpc-1"}
            certificate = {"data": "Q0E="}
            state |= {"vpcConfig": vpc, "endpoint": "https://cluster.example", "certificateAuthority": certificate}
        return id_, state


def settings(stack: str, **substrate: Any) -> dict[str, Any]:
    """Return the settings of a stack file, its substrate's changed; None removes."""
    plain = committed(stack)
    if "lifetime" in plain:
        plain["lifetime"] = {**plain["lifetime"], "expires_at": "2099-01-01T00:00:00Z"}
    merged = {**plain["substrate"], **substrate}
    plain["substrate"] = {key: value for key, value in merged.items() if value is not None}
    return plain


def deployed(
    stack: str,
    *,
    preview: bool = False,
    name: str | None = None,
    secrets: Mapping[str, str] = MappingProxyType({}),
    **substrate: Any,
) -> tuple[Engine, dict[str, Any]]:
    """Run `deploy()` on a stack file as the stack `name`; return what was registered and the outputs that are known."""
    manifests.fetch(*manifests.SOURCES)  # as `setup` does for a stack that installs operators
    known: dict[str, Any] = {}
    config = load(settings(stack, **substrate), list(secrets))

    def program() -> None:
        encrypted = {key: pulumi.Output.secret(text) for key, text in secrets.items()}
        place = Place(project="slipway", stack=name or stack, root=ROOT, secrets=encrypted)
        for key, value in deploy(place, config).as_dict().items():
            pulumi.Output.from_input(value).apply(partial(known.__setitem__, key))

    # a stack of that name may be live in this checkout; and nobody here could be asked how many nodes it has
    with mock.patch.object(kubeconfig, "write"), mock.patch.object(sizes, "now", return_value=None):
        return run(program, engine=Cloud(), preview=preview), known


def inputs(engine: Engine, type_: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the inputs of every resource of a type, by name."""
    return {item.name: item.inputs for item in engine.all(type_)}
