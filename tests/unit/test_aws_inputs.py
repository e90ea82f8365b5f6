"""The check of AWS properties finds what mocks would let pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws_inputs import UnknownPropertyError, check, check_all
from tests.mock_engine import Registration

LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


def rule(**more: Any) -> dict[str, Any]:
    return {"bucket": "b", "rules": [{"id": "x", "status": "Enabled", **more}]}


def test_what_exists_passes() -> None:
    check(LIFECYCLE, rule(filter={"prefix": "p/"}, expiration={"days": 3}))
    check("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "tags": {"anything": "goes"}})
    check("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"ipProtocol": "-1", "securityGroupId": "sg"})


@pytest.mark.parametrize(
    ("token", "inputs", "message"),
    [
        ("aws:ec2/vpc:Vpc", {"cidr": "10.0.0.0/16"}, r"Vpc\.cidr: VpcArgs has no such property"),
        ("aws:ec2/vpc:Vpc", {"cidr_block": "10.0.0.0/16"}, r"Vpc\.cidr_block: VpcArgs has no"),
        (LIFECYCLE, rule(expiry={"days": 3}), r"rules\[0\]\.expiry: BucketLifecycleConfigurationRuleArgs has no"),
        (LIFECYCLE, rule(expiration={"day": 3}), r"rules\[0\]\.expiration\.day: .*ExpirationArgs has no"),
        (LIFECYCLE, {"bucket": "b", "rules": [{"id": "x"}]}, r"rules\[0\]\.status: .* requires it"),
        (LIFECYCLE, {"bucket": "b", "rules": {"id": "x"}}, r"rules: expected a list, got dict"),
        (LIFECYCLE, rule(expiration={"days": "3"}), r"days: expected int, got str"),
        (LIFECYCLE, rule(expiration=[{"days": 3}]), r"expiration: expected .*ExpirationArgs, got list"),
        ("aws:ec2/vpc:Vpc", {"enableDnsSupport": "true"}, r"enableDnsSupport: expected bool, got str"),
        ("aws:ec2/vpc:Vpc", {"tags": ["a"]}, r"tags: expected a map, got list"),
        ("aws:ec2/vpc:Vpcc", {}, r"no resource aws:ec2/vpc:Vpcc"),
        ("aws:nothing/vpc:Vpc", {}, r"no resource aws:nothing/vpc:Vpc"),
    ],
)
def test_what_does_not_exist_is_named(token: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownPropertyError, match=message):
        check(token, inputs)


def test_arguments_are_told_from_a_nested_type_of_the_same_name() -> None:
    """`BucketVersioningArgs` is also a part of a bucket's old inputs; the resource's own are called otherwise."""
    token = "aws:s3/bucketVersioning:BucketVersioning"
    check(token, {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}})
    with pytest.raises(UnknownPropertyError, match=r"BucketVersioning\.enabled: .* has no such property"):
        check(token, {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}, "enabled": True})


def test_an_old_name_of_a_resource_is_refused() -> None:
    with pytest.raises(UnknownPropertyError, match="aws:s3/bucketV2:BucketV2 is an old name"):
        check("aws:s3/bucketV2:BucketV2", {})
    check("aws:s3/bucket:Bucket", {})


def test_every_wrong_property_of_a_program_is_named_at_once() -> None:
    def made(name: str, **inputs: Any) -> Registration:
        return Registration("aws:ec2/vpc:Vpc", name, inputs, "", "", ())

    other = Registration("slipway:aws:Network", "n", {"anything": 1}, "", "", ())
    assert check_all([made("a", cidrBlock="10.0.0.0/16"), other]) == 1
    with pytest.raises(UnknownPropertyError) as caught:
        check_all([made("a", one=1), other, made("b", two=2)])
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["a", "b"]
