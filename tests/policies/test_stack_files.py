"""The committed stack files keep every rule, with all values known; and the rules have something to look at there."""

from __future__ import annotations

import functools

import pytest

from infra.policies.model import Declared, posture
from infra.policies.rules import RULES, STACK_RULES, TYPES, violations
from tests.policies.case import changed
from tests.programs.aws_program import STACKS, deployed, settings

NOTHING_TO_LOOK_AT = {
    "load-balancer-internal": "no load balancer of its own",
    "service-internal": "no Service of type LoadBalancer",
    "volume-encrypted": "disks come from launch templates and the disk driver",
}
"""Rules that hold because there is no such thing; one that comes is looked at."""


@functools.cache
def declared(stack: str) -> tuple[Declared, ...]:
    engine, _ = deployed(stack)
    return tuple(
        Declared(
            type=item.type,
            name=item.name,
            properties=item.inputs,
            links=dict.fromkeys(("bucket", "vpcId"), item.dependencies),
        )
        for item in engine.registrations
        if item.type in TYPES
    )


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_keeps_every_rule(stack: str) -> None:
    assert [str(found) for found in violations(declared(stack), posture(settings(stack)))] == []


def test_the_stack_files_differ_in_what_is_asked_of_them() -> None:
    """The controls: what is allowed in an ephemeral stack is refused in production, and the other way round."""
    strict = {found.resource.type for found in violations(declared("gpu"), posture(settings("prod")))}
    assert {"aws:rds/instance:Instance", "aws:eks/cluster:Cluster", "aws:s3/bucket:Bucket"} <= strict
    ephemeral = {found.property for found in violations(declared("prod"), posture(settings("gpu")))}
    assert {"defaultTags.tags", "tagSpecifications of instance"} <= ephemeral


def test_rules_have_something_to_look_at() -> None:
    types = {item.type for item in declared("prod")}
    idle = {rule.name for rule in RULES if not rule.types & types} | {
        rule.name for rule in STACK_RULES if not rule.types & types
    }
    services = [item for item in declared("prod") if item.type == "kubernetes:core/v1:Service"]
    assert services, "the rule on Services looks at some"
    assert not any(item.at("spec.type") == "LoadBalancer" for item in services)
    assert idle | {"service-internal"} == set(NOTHING_TO_LOOK_AT)


@pytest.mark.parametrize(
    ("type_", "change", "named"),
    [
        ("aws:eks/cluster:Cluster", {"vpcConfig.publicAccessCidrs": ["0.0.0.0/0"]}, "vpcConfig.publicAccessCidrs"),
        ("aws:rds/instance:Instance", {"deletionProtection": False}, "deletionProtection"),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions.httpPutResponseHopLimit": 2},
         "metadataOptions.httpPutResponseHopLimit"),
        ("aws:s3/bucket:Bucket", {"forceDestroy": True}, "forceDestroy"),
        ("aws:kms/key:Key", {"enableKeyRotation": False}, "enableKeyRotation"),
        ("aws:cloudwatch/logGroup:LogGroup", {"kmsKeyId": None}, "kmsKeyId"),
    ],
)  # fmt: skip
def test_one_change_to_production_is_found(type_: str, change: dict[str, object], named: str) -> None:
    whole = list(declared("prod"))
    at = next(index for index, item in enumerate(whole) if item.type == type_)
    item = whole[at]
    whole[at] = Declared(type=item.type, name=item.name, properties=changed(item.properties, change), links=item.links)
    found = list(violations(whole, posture(settings("prod"))))
    assert [(violation.resource.name, violation.property) for violation in found] == [(item.name, named)]
