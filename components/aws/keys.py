"""The customer keys of an environment: for data, for the cluster's secrets, for logs and alarms.

It owns who may use each key. What is encrypted with which is its user's choice; roles of workloads are granted the data
key by their own policies, which the key's policy admits through the account.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Output, ResourceOptions
from pulumi_aws import kms

from components.aws.naming import Names

LOG_GROUPS = ("/aws/eks/", "/aws/vpc/", "/aws/rds/instance/")
"""Where the environment's log groups lie: one of these, then a name that begins with the stem."""
_USE = (
    *("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey"),
    *("kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"),
)
"""What CloudWatch Logs is documented to need, its wildcards written out."""
_ADMINISTER = (
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:PutKeyPolicy",
    "kms:ListKeyPolicies",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyRotationStatus",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:ListResourceTags",
    "kms:UpdateKeyDescription",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
)
_DELETION_DAYS = range(7, 31)


@dataclass(frozen=True, kw_only=True)
class KeysArgs:
    """Who administers the keys and what becomes of them."""

    names: Names
    deletion_days: int = 30
    """How long a deleted key can still be brought back, 7 to 30 days."""
    administrators: Sequence[str] = ()
    """Who may administer the keys beside the account itself: ARNs of principals."""
    retain_data: bool = False
    """Whether `destroy` leaves the data key: what it encrypts (a kept bucket, a last snapshot) is lost without it."""


class Keys(ComponentResource):
    """Three keys, each rotated every year and with a policy that says who uses it. ARNs."""

    data: Output[str]
    cluster: Output[str]
    logs: Output[str]

    def __init__(self, name: str, args: KeysArgs, opts: ResourceOptions | None = None) -> None:
        if args.deletion_days not in _DELETION_DAYS:
            raise ValueError(f"keys: deletion_days is {args.deletion_days}: KMS waits 7 to 30 days; choose one of them")
        super().__init__("slipway:aws:Keys", name, None, opts)
        self.data = self._key(name, "data", "artifacts, images, database", args, retain=args.retain_data)
        self.cluster = self._key(name, "cluster", "secrets of the cluster", args)
        self.logs = self._key(name, "logs", "logs and alarms", args, _log_statements(args.names))
        self.register_outputs({"data": self.data, "cluster": self.cluster, "logs": self.logs})

    def _key(
        self,
        name: str,
        role: str,
        what: str,
        args: KeysArgs,
        statements: Sequence[dict[str, Any]] = (),
        *,
        retain: bool = False,
    ) -> Output[str]:
        key = kms.Key(
            f"{name}-{role}",
            description=f"{args.names.stem}: {what}",
            deletion_window_in_days=args.deletion_days,
            enable_key_rotation=True,
            policy=json.dumps(policy(args, statements)),
            tags={"Name": args.names.name(role)},
            opts=ResourceOptions(parent=self, retain_on_delete=retain),
        )
        kms.Alias(  # always goes: a key that is left is found by its tags, and the next environment needs the name
            f"{name}-{role}-alias",
            name=f"alias/{args.names.name(role)}",
            target_key_id=key.key_id,
            opts=ResourceOptions(parent=self),
        )
        arn: Output[str] = key.arn
        return arn


def policy(args: KeysArgs, statements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A key's policy; `*` as resource is the key that carries it."""
    account = f"arn:{args.names.partition}:iam::{args.names.account}:root"
    # without the account no policy of a role could grant the key, and nobody could repair it
    own = [{"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}]
    if args.administrators:
        administrators = sorted(set(args.administrators))
        own.append({
            "Sid": "Administrators",
            "Effect": "Allow",
            "Principal": {"AWS": administrators},
            "Action": list(_ADMINISTER),
            "Resource": "*",
        })  # fmt: skip
    return {"Version": "2012-10-17", "Statement": [*own, *statements]}


def _log_statements(names: Names) -> list[dict[str, Any]]:
    """CloudWatch Logs for this stack's log groups; AWS Budgets for messages to an encrypted topic."""
    groups = [names.arn("logs", f"log-group:{folder}{names.stem}-*") for folder in LOG_GROUPS]
    return [
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{names.region}.amazonaws.com"},
            "Action": list(_USE),
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        },
        {
            "Sid": "Budgets",
            "Effect": "Allow",
            "Principal": {"Service": "budgets.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": names.account},
                "ArnLike": {"aws:SourceArn": names.arn("budgets", "*")},
            },
        },
    ]
