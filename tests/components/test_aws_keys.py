"""The keys: who may use which, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pulumi import Output, ResourceOptions

from components.aws.keys import Keys, KeysArgs
from components.aws.naming import Names
from tests.components.aws_blocks import NAMES, OTHER, assert_well_formed, on_aws, statements
from tests.mock_engine import Engine

ARGS = KeysArgs(names=NAMES)
KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"
ADMIN = "arn:aws:iam::123456789012:role/security"


def keys(args: KeysArgs) -> Engine:
    return on_aws(lambda opts: Keys("keys", args, opts))


def test_keys_are_the_same_in_a_preview_and_twice() -> None:
    assert_well_formed(lambda opts: Keys("keys", ARGS, opts))


def test_each_purpose_has_a_key_that_rotates_and_a_name() -> None:
    engine = keys(ARGS)
    assert {item.name for item in engine.all(KEY)} == {"keys-data", "keys-cluster", "keys-logs"}
    assert all(item.inputs["enableKeyRotation"] for item in engine.all(KEY))
    assert {item.inputs["deletionWindowInDays"] for item in engine.all(KEY)} == {30}
    aliases = {item.inputs["name"]: item.inputs["targetKeyId"] for item in engine.all(ALIAS)}
    assert aliases == {f"alias/slipway-prod-{role}": f"keys-{role}-key-id" for role in ("data", "cluster", "logs")}


def test_the_account_can_always_repair_a_key_and_nobody_else_has_everything() -> None:
    for item in keys(replace(ARGS, administrators=[ADMIN])).all(KEY):
        found = statements(item)
        assert found["Account"]["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
        assert [sid for sid, statement in found.items() if statement["Action"] == "kms:*"] == ["Account"]
        assert not any(statement["Principal"] == "*" for statement in found.values())


def test_administrators_manage_keys_and_cannot_decrypt() -> None:
    found = statements(keys(replace(ARGS, administrators=[ADMIN, ADMIN])).one(KEY, "keys-data"))["Administrators"]
    assert found["Principal"] == {"AWS": [ADMIN]}
    assert "kms:ScheduleKeyDeletion" in found["Action"]
    uses = {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"}
    assert not uses & set(found["Action"])
    assert not any("*" in action for action in found["Action"])
    assert "Administrators" not in statements(keys(ARGS).one(KEY, "keys-data"))


def log_groups(names: Names) -> list[str]:
    item = keys(KeysArgs(names=names)).one(KEY, "keys-logs")
    found: list[str] = statements(item)["Logs"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/aws/eks/slipway-prod-cluster/cluster",
        "/aws/vpc/slipway-prod-flow-logs",
        "/aws/rds/instance/slipway-prod-tracking/upgrade",
    ],
)
def test_the_log_key_serves_this_stack_s_log_groups_only(path: str) -> None:
    arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{path}"
    assert any(fnmatchcase(arn, pattern) for pattern in log_groups(NAMES))
    assert not any(fnmatchcase(arn, pattern) for pattern in log_groups(OTHER)), "the control: another stack's key"


def test_cloudwatch_logs_may_all_that_it_is_documented_to_need() -> None:
    """`Encrypt*`, `Decrypt*`, `ReEncrypt*`, `GenerateDataKey*` and `Describe*`, of what is symmetric."""
    actions = statements(keys(ARGS).one(KEY, "keys-logs"))["Logs"]["Action"]
    assert set(actions) == {
        *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DescribeKey"),
        *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    }


def test_only_the_log_key_lets_services_in_and_only_this_account_s() -> None:
    engine = keys(ARGS)
    services = {
        item.name: {statement["Principal"].get("Service") for statement in statements(item).values()} - {None}
        for item in engine.all(KEY)
    }
    assert services == {
        "keys-data": set(),
        "keys-cluster": set(),
        "keys-logs": {"logs.eu-central-1.amazonaws.com", "budgets.amazonaws.com"},
    }
    budgets = statements(engine.one(KEY, "keys-logs"))["Budgets"]["Condition"]
    assert budgets["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert budgets["ArnLike"] == {"aws:SourceArn": "arn:aws:budgets::123456789012:*"}


def test_the_data_key_stays_with_what_it_encrypts() -> None:
    kept = keys(replace(ARGS, retain_data=True))
    assert {item.name for item in kept.registrations if item.retain} == {"keys-data"}, "its name must become free"
    assert not any(item.retain for item in keys(ARGS).registrations)


@pytest.mark.parametrize("days", [6, 31, 0])
def test_a_wait_that_kms_does_not_offer_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match=f"deletion_days is {days}: KMS waits 7 to 30 days"):
        keys(replace(ARGS, deletion_days=days))


def test_each_output_is_its_own_key_s_arn() -> None:
    seen: dict[str, Any] = {}

    def make(opts: ResourceOptions) -> None:
        made = Keys("keys", ARGS, opts)
        Output.all(made.data, made.cluster, made.logs).apply(lambda arns: seen.update(arns=arns))

    on_aws(make)
    assert seen["arns"] == ["arn:keys-data", "arn:keys-cluster", "arn:keys-logs"]
