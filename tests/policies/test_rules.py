"""Every rule: a resource that keeps it, changes that each break it, and what the message says then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.policies import iam
from infra.policies.cluster import MOST_GPU_NODES
from infra.policies.companions import BUCKET, FLOW_LOG, VPC
from infra.policies.encryption import BUCKET_ENCRYPTION
from infra.policies.exposure import BLOCK
from infra.policies.model import UNKNOWN, Declared, Posture, posture
from infra.policies.rules import RULES, STACK_RULES, TYPES, violations
from tests import aws_inputs
from tests.policies import cases_access, cases_upkeep
from tests.policies.case import EPHEMERAL, PLAIN, RETAINED, changed, policy

CASES = {**cases_access.CASES, **cases_upkeep.CASES}
BY_NAME = {rule.name: rule for rule in RULES}
BROKEN = [(name, change, named) for name, case in CASES.items() for change, named in case.breaks]


def test_every_rule_has_cases() -> None:
    assert CASES.keys() == BY_NAME.keys()
    assert all(case.breaks for case in CASES.values()), "each needs one that breaks it"
    assert len(BY_NAME) == len(RULES), "names are unique"


def test_every_rule_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()
    told = [(rule.name, rule.about) for rule in RULES] + [(rule.name, rule.about) for rule in STACK_RULES]
    assert [name for name, about in told if f"| `{name}` | {about} |" not in text] == []


@pytest.mark.parametrize("name", CASES)
def test_what_keeps_a_rule_passes(name: str) -> None:
    case = CASES[name]
    assert case.type in BY_NAME[name].types, "else the rule would never look at it"
    for change in ({}, *case.also_good):
        assert list(BY_NAME[name].check(case.declared(change), case.posture)) == []


@pytest.mark.parametrize(("name", "change", "named"), BROKEN)
def test_what_breaks_a_rule_is_refused_with_resource_property_reason_and_fix(
    name: str, change: dict[str, Any], named: str
) -> None:
    case = CASES[name]
    found = list(BY_NAME[name].check(case.declared(change), case.posture))
    assert [violation.property for violation in found] == [named]
    text = str(found[0])
    assert text.startswith(f"{case.type} it: {named} ")
    reason, _, fix = text.partition("; fix: ")
    assert reason.rpartition(": ")[2] == found[0].reason != ""
    assert fix == found[0].fix != ""


@pytest.mark.parametrize(("name", "change", "named"), BROKEN)
def test_the_properties_of_the_cases_exist(name: str, change: dict[str, Any], named: str) -> None:
    """A rule on a property that the provider does not have would never find anything."""
    case = CASES[name]
    if case.type.startswith("aws:"):
        for properties in (case.good, changed(case.good, change)):
            wrong = [line for line in aws_inputs.problems(case.type, properties) if "no such property" in line]
            assert wrong == []


@pytest.mark.parametrize("name", CASES)
def test_a_value_that_is_not_known_yet_breaks_nothing(name: str) -> None:
    case = CASES[name]
    unknown = Declared(type=case.type, name="it", properties=dict.fromkeys(_named(case.good) | set(case.good), UNKNOWN))
    assert list(BY_NAME[name].check(unknown, case.posture)) == []


def _named(properties: Any) -> set[str]:
    """The properties that rules look at beside those of the example."""
    return {"networkInterfaces", "remoteAccess", "labels", "encryptionConfig"}


@pytest.mark.parametrize("name", ["database-protected", "bucket-kept", "images-kept", "cluster-protected", "key-kept"])
def test_only_retained_stacks_are_protected(name: str) -> None:
    case = CASES[name]
    for change, _ in case.breaks:
        assert list(BY_NAME[name].check(case.declared(change), PLAIN)) == []


def test_only_ephemeral_gpu_pools_start_at_zero() -> None:
    case = CASES["gpu-pool"]
    one = case.declared({"scalingConfig.minSize": 1})
    assert [str(found) for found in BY_NAME["gpu-pool"].check(one, PLAIN)] == []
    assert [found.property for found in BY_NAME["gpu-pool"].check(one, EPHEMERAL)] == ["scalingConfig.minSize"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bucket-closed", {"blockPublicAcls": False}),
        ("bucket-acl-private", {"acl": "public-read"}),
        ("database-private", {"publiclyAccessible": True}),
        ("load-balancer-internal", {"internal": False}),
        ("service-internal", {"metadata.annotations": {}}),
        ("ingress-narrow", {"ingress.0.cidrBlocks": ["0.0.0.0/0"]}),
        ("callers-known", {"assumeRolePolicy": policy(Action="sts:AssumeRole", Principal="*")}),
        ("gpu-pool", {"scalingConfig.maxSize": MOST_GPU_NODES + 1}),
    ],
)
def test_an_exception_by_name_lets_it_pass_and_no_other(name: str, change: dict[str, Any]) -> None:
    case, rule = CASES[name], BY_NAME[name]
    allowed = replace(case.posture, exceptions={"it": "a demonstration for visitors"})
    other = replace(case.posture, exceptions={"another": "a demonstration for visitors"})
    assert list(rule.check(case.declared(change), allowed)) == []
    found = list(rule.check(case.declared(change), other))
    assert len(found) == 1
    assert "slipway:substrate.exceptions {it: " in found[0].fix


@pytest.mark.parametrize("name", ["node-disk-encrypted", "actions-narrow", "metadata-service", "database-protected"])
def test_other_rules_know_no_exception(name: str) -> None:
    case = CASES[name]
    allowed = replace(case.posture, exceptions={"it": "because I say so"})
    assert list(BY_NAME[name].check(case.declared(case.breaks[0][0]), allowed))


@pytest.mark.parametrize(
    ("type_", "properties", "named"),
    [
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv4": "0.0.0.0/0"}, "cidrIpv4"),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"cidrIpv6": "::/0"}, "cidrIpv6"),
        (
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            {"type": "ingress", "cidrBlocks": ["0.0.0.0/0"]},
            "cidrBlocks.0",
        ),
        ("aws:ec2/securityGroupRule:SecurityGroupRule", {"type": "egress", "cidrBlocks": ["0.0.0.0/0"]}, None),
        ("aws:s3/bucket:Bucket", {"acl": "public-read-write"}, "acl"),
        ("aws:efs/fileSystem:FileSystem", {}, "encrypted"),
        ("aws:rds/cluster:Cluster", {"storageEncrypted": True, "manageMasterUserPassword": True,
          "backupRetentionPeriod": 1}, "enabledCloudwatchLogsExports"),
        ("aws:s3/bucketPolicy:BucketPolicy", {"policy": policy(Action="s3:GetObject", Principal="*")},
         "policy statement 0, Principal"),
        ("aws:iam/role:Role", {"inlinePolicies": [{"name": "n", "policy": policy(Action="*", Resource="*")}]},
         "inlinePolicies.0.policy statement 0, Action"),
        ("aws:iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/PowerUserAccess"]},
         "managedPolicyArns.0"),
    ],
)  # fmt: skip
def test_the_same_rule_in_another_type(type_: str, properties: dict[str, Any], named: str | None) -> None:
    declared = Declared(type=type_, name="it", properties=properties)
    found = [violation.property for rule in RULES if type_ in rule.types for violation in rule.check(declared, PLAIN)]
    assert found == ([named] if named else [])


def test_a_policy_document_may_be_an_object_as_well_as_a_text() -> None:
    document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b"}]}
    declared = Declared(type="aws:iam/policy:Policy", name="it", properties={"policy": document})
    assert len(list(BY_NAME["actions-narrow"].check(declared, PLAIN))) == 1


def test_every_exception_of_the_list_has_a_reason_and_is_narrow() -> None:
    listed = iam.exceptions()
    assert all(len(reason) > 5 for part in ("actions", "managed") for reason in listed[part].values())
    assert all(len(alone["reason"]) > 5 for alone in listed["managed_for"].values())
    assert not iam.is_excepted("s3:GetObject")
    for pattern in listed["actions"]:
        service, _, action = pattern.partition(":")
        assert "*" not in service, pattern
        reads = ("Describe", "Get", "List", "View", "TagSession")
        assert action.startswith(reads), f"{pattern} would allow changes on every resource"


def test_a_wide_policy_may_be_listed_for_one_resource_alone() -> None:
    properties = {"role": "r", "policyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    deploy = Declared(type=CASES["managed-policies-listed"].type, name="github-deploy-it", properties=properties)
    check = BY_NAME["managed-policies-listed"].check
    assert list(check(deploy, PLAIN)) == []
    assert len(list(check(replace(deploy, name="training-it"), PLAIN))) == 1


BUCKETS = [
    Declared(type=BUCKET, name="data", properties={"bucket": "data-1"}),
    Declared(type=BLOCK, name="block", properties={"bucket": "data-1"}),
    Declared(type=BUCKET_ENCRYPTION, name="encryption", properties={"bucket": UNKNOWN}, links={"bucket": ["data"]}),
    Declared(type=VPC, name="vpc", properties={}),
    Declared(type=FLOW_LOG, name="log", properties={"vpcId": UNKNOWN}, links={"vpcId": ["vpc"]}),
]


@pytest.mark.parametrize(
    ("left_out", "owner"),
    [(BLOCK, "data"), (BUCKET_ENCRYPTION, "data"), (FLOW_LOG, "vpc")],
)
def test_a_bucket_or_vpc_without_its_companion_is_refused(left_out: str, owner: str) -> None:
    def broken(resources: list[Declared]) -> list[tuple[str, str]]:
        return [(found.resource.name, found.property) for rule in STACK_RULES for found in rule.check(resources, PLAIN)]

    assert broken(BUCKETS) == []
    assert broken([item for item in BUCKETS if item.type != left_out]) == [(owner, left_out)]
    elsewhere = [
        replace(item, links={"bucket": ["other"], "vpcId": ["other"]}) if item.type == left_out else item
        for item in BUCKETS
    ]
    assert broken(elsewhere) == [(owner, left_out)], "another's companion is none"


def test_all_violations_are_found_at_once_in_the_order_of_the_program() -> None:
    first = CASES["volume-encrypted"].declared({"encrypted": None})
    second = CASES["load-balancer-internal"].declared({"internal": None})
    assert [found.resource.type for found in violations([second, first], PLAIN)] == [second.type, first.type]


def test_types_are_all_that_rules_look_at() -> None:
    assert {case.type for case in CASES.values()} <= TYPES
    assert "aws:ec2/subnet:Subnet" not in TYPES


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"substrate": {"kind": "local"}}, PLAIN),
        ({"artifacts": {"retain": True}}, RETAINED),
        ({"lifetime": {}}, EPHEMERAL),
        ({"substrate": {"exceptions": {"it": "shown to all"}}}, Posture(exceptions={"it": "shown to all"})),
    ],
)
def test_the_posture_is_what_the_stack_file_says(settings: dict[str, Any], wanted: Posture) -> None:
    assert posture(settings) == wanted
