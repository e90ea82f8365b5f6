"""What tests of AWS building blocks share: names, an engine with AWS's answers, and what holds for every block."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Output, ResourceOptions
from pulumi.runtime import mocks

from components.aws.naming import Names
from components.aws.network import NetworkHandle, Subnet
from tests.aws_inputs import check_all
from tests.mock_engine import Engine, Registration, run

NAMES = Names("slipway-prod", "123456789012", "eu-central-1")
OTHER = Names("slipway-staging", "123456789012", "eu-central-1")
ZONES = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
KEY = "arn:aws:kms:eu-central-1:123456789012:key/data"


class AwsEngine(Engine):
    """Answers an id, an ARN and the like for each resource; in a preview it knows none of them."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id_, state = super().new_resource(args)
        if pulumi.runtime.is_dry_run() or not args.typ.startswith("aws:"):
            return (None if args.custom else id_), state
        secret = {"secretArn": f"arn:secret:{args.name}", "secretStatus": "active", "kmsKeyId": "k"}
        made = {
            "arn": f"arn:{args.name}",
            "keyId": f"{args.name}-key-id",
            "allocationId": f"{args.name}-allocation",
            "repositoryUrl": f"registry.example/{args.name}",
            "address": f"{args.name}.example",
            "masterUserSecrets": [secret],
        }
        return id_, {**made, **state}


def on_aws(make: Callable[[ResourceOptions], object], *, preview: bool = False) -> Engine:
    """Run `make` with an explicit provider, as a program does; every property it sets must be one that AWS has."""

    def program() -> None:
        provider = aws.Provider("aws", region=NAMES.region, skip_credentials_validation=True)
        make(ResourceOptions(provider=provider))

    engine = run(program, engine=AwsEngine(), preview=preview)
    if not preview:
        assert check_all(engine.registrations), "nothing was made: the test would prove nothing"
    return engine


def shape(engine: Engine) -> list[tuple[str, str, str]]:
    """What was registered, without values."""
    return sorted((item.type, item.name, item.parent) for item in engine.registrations)


def values(engine: Engine) -> list[Registration]:
    """What was registered, values and order of dependencies included."""
    return sorted(engine.registrations, key=lambda item: (item.type, item.name))


def assert_well_formed(make: Callable[[ResourceOptions], object]) -> Engine:
    """What holds for every block: the same in a preview, the same twice, everything below it and on its provider."""
    first, again, preview = on_aws(make), on_aws(make), on_aws(make, preview=True)
    assert shape(first) == shape(preview), "a preview shows other resources than `up` makes"
    assert values(first) == values(again), "two runs of the same program differ"
    blocks = {item.name for item in first.registrations if item.type.startswith("slipway:")}
    for item in first.registrations:
        if item.type.startswith("aws:"):
            assert item.provider.endswith("pulumi:providers:aws"), f"{item.name} is on a default provider"
            assert item.parent in blocks, f"{item.name} is below nothing"
            assert item.name.startswith(f"{item.parent}-"), f"{item.name} is not named after {item.parent}"
    return first


def document(item: Registration, key: str = "policy") -> dict[str, Any]:
    """A policy document as it was set."""
    found: dict[str, Any] = json.loads(item.inputs[key])
    return found


def statements(item: Registration, key: str = "policy") -> dict[str, dict[str, Any]]:
    """The statements of a policy document, by their Sid."""
    return {statement["Sid"]: statement for statement in document(item, key)["Statement"]}


def network(zones: int = 2) -> NetworkHandle:
    """A network with the given number of zones."""
    return NetworkHandle(
        vpc_id=Output.from_input("vpc-1"),
        cidr="10.0.0.0/16",
        private=[Subnet(zone, Output.from_input(f"private-{zone}")) for zone in ZONES[:zones]],
        public=[Subnet(zone, Output.from_input(f"public-{zone}")) for zone in ZONES[:zones]],
        ready=[],
    )
