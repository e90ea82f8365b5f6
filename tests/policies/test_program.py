"""The rules inside the program: what breaks one is refused before the engine is told of anything."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pulumi
import pytest
from pulumi_aws import ec2, lb, s3

from infra.policies.model import UNKNOWN, Declared
from infra.policies.program import RulesBroken, enforced
from tests.mock_engine import Engine, run

RETAINED: Mapping[str, Any] = {"artifacts": {"retain": True}}
MOST_MS_EACH = 2.0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The SDK leaves the futures of refused registrations to the collector; language hosts silence it the same way."""
    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


def store(name: str = "store", *, force_destroy: Any = False, block: bool = True) -> None:
    whole = pulumi.ComponentResource("test:index:Store", name)
    opts = pulumi.ResourceOptions(parent=whole)
    bucket = s3.Bucket(f"{name}-bucket", bucket=name, force_destroy=force_destroy, opts=opts)
    if block:
        s3.BucketPublicAccessBlock(
            f"{name}-block",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        )
    default = s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="aws:kms"
    )
    rule = s3.BucketServerSideEncryptionConfigurationRuleArgs(apply_server_side_encryption_by_default=default)
    s3.BucketServerSideEncryptionConfiguration(f"{name}-encryption", bucket=bucket.id, rules=[rule], opts=opts)


def judged(
    program: Callable[[], None], settings: Mapping[str, Any] = RETAINED
) -> tuple[Engine, list[Declared], RulesBroken | None]:
    """Run a program under the rules: what was registered, what the rules saw, and the refusal."""
    engine = Engine()
    seen: list[Declared] = []

    def whole() -> None:
        with enforced(settings) as declared:
            program()
            seen.extend(declared)

    try:
        run(whole, engine=engine)
    except RulesBroken as refusal:
        return engine, seen, refusal
    return engine, seen, None


def test_what_keeps_the_rules_is_registered_as_without_them() -> None:
    plain = Engine()
    run(store, engine=plain)
    engine, _, refusal = judged(store)
    assert refusal is None
    assert sorted(engine.registrations, key=lambda item: item.name) == sorted(
        plain.registrations, key=lambda item: item.name
    )
    assert len(plain.registrations) == 4, "the control: something is registered"


def test_every_violation_is_told_at_once_and_nothing_is_registered() -> None:
    def program() -> None:
        store(force_destroy=True, block=False)
        lb.LoadBalancer("front", load_balancer_type="network")

    engine, _, refusal = judged(program)
    assert isinstance(refusal, pulumi.RunError), "language hosts print its text without a traceback"
    text = str(refusal)
    assert text.startswith("3 rule(s) of infra/policies are broken")
    assert "aws:s3/bucket:Bucket store-bucket: forceDestroy = true: " in text
    assert "aws:lb/loadBalancer:LoadBalancer front: internal is not set: " in text
    assert "store-bucket: aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock is not set" in text
    assert engine.registrations == []


def test_the_stack_file_decides_what_is_protected_and_excepted() -> None:
    def program() -> None:
        store(force_destroy=True)
        lb.LoadBalancer("front", load_balancer_type="network")

    settings = {"substrate": {"exceptions": {"front": "the demonstration for visitors"}}}
    engine, _, refusal = judged(program, settings)
    assert refusal is None
    assert len(engine.registrations) == 5


def test_what_is_not_known_to_the_program_is_left_to_the_pack() -> None:
    _, seen, refusal = judged(lambda: store(force_destroy=pulumi.Output.from_input(True)))  # noqa: FBT003  a value
    assert refusal is None
    assert [item.properties["forceDestroy"] for item in seen if item.name == "store-bucket"] == [UNKNOWN]


def test_names_are_those_of_the_wire_however_the_program_writes_them() -> None:
    typed = ec2.LaunchTemplateMetadataOptionsArgs(http_tokens="optional", http_put_response_hop_limit=2)
    disks = [ec2.LaunchTemplateBlockDeviceMappingArgs(device_name="/dev/xvda", ebs={"encrypted": "false"})]

    def program() -> None:
        ec2.LaunchTemplate(
            "nodes",
            metadata_options=typed,
            block_device_mappings=disks,
            tag_specifications=[{"resource_type": "instance", "tags": {"some_tag": "x", "slipway:owner": "o"}}],
        )

    _, seen, refusal = judged(program)
    assert seen[0].properties == {
        "metadataOptions": {"httpTokens": "optional", "httpPutResponseHopLimit": 2},
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "false"}}],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"some_tag": "x", "slipway:owner": "o"}}],
    }
    for property_ in ("metadataOptions.httpTokens", "blockDeviceMappings.0.ebs.encrypted", "tagSpecifications of"):
        assert f"nodes: {property_}" in str(refusal)


def test_a_program_that_fails_by_itself_fails_as_without_the_rules() -> None:
    def program() -> None:
        store(force_destroy=True)
        raise LookupError("the program's own")

    with pytest.raises(LookupError, match="the program's own"):
        judged(program)


def test_what_comes_after_is_not_looked_at() -> None:
    def program() -> None:
        with enforced(RETAINED) as declared:
            store("first")
        store("second", force_destroy=True)
        assert {item.name for item in declared} == {"first-bucket", "first-block", "first-encryption"}

    engine = Engine()
    run(program, engine=engine)
    assert len(engine.registrations) == 8


def test_looking_costs_next_to_nothing() -> None:
    def program() -> None:
        for index in range(50):
            store(f"store-{index}")

    def seconds(rules: Callable[[], None]) -> float:
        started = time.process_time()
        run(rules)
        return time.process_time() - started

    def with_rules() -> None:
        with enforced(RETAINED):
            program()

    plain = min(seconds(program) for _ in range(2))
    judged_ = min(seconds(with_rules) for _ in range(2))
    assert (judged_ - plain) * 1000 / 200 < MOST_MS_EACH, f"{plain:.2f} s without, {judged_:.2f} s with rules"
