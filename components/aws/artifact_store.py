"""The artifact store on S3: one bucket with the secure defaults, and what expires in it.

It owns the bucket's settings and nobody's rights: each workload's role names the prefixes that it may use.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import s3

from components.aws.naming import Names

MLFLOW = "mlflow"
"""Prefix of the tracking server's artifacts, registered models among them: never expires."""
CHECKPOINTS = "checkpoints"
"""Prefix of what a training run writes to be able to go on: expires."""
DATA = "data"
"""Prefix of users' data sets: never expires."""
_MULTIPART_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class ArtifactBucketArgs:
    """What encrypts it, what expires, what destroy leaves."""

    names: Names
    key: Input[str]
    """ARN of the key that everything in it is encrypted with."""
    retain: bool
    """Whether `destroy` leaves the bucket and what is in it."""
    protect: bool
    """Whether the engine refuses to delete or replace it."""
    checkpoint_days: int = 14
    noncurrent_days: int = 90
    """How long an overwritten or deleted object can still be brought back; a checkpoint one day."""


class ArtifactBucket(ComponentResource):
    """A private, versioned, encrypted bucket."""

    bucket: Output[str]
    arn: Output[str]
    uri: Output[str]
    """`s3://BUCKET/mlflow`, where the tracking server's artifacts lie."""
    ready: Sequence[Resource]

    def __init__(self, name: str, args: ArtifactBucketArgs, opts: ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:aws:ArtifactStore", name, None, opts)
        bucket = s3.Bucket(
            f"{name}-bucket",
            bucket=args.names.bucket("artifacts"),
            force_destroy=not (args.retain or args.protect),
            opts=ResourceOptions(parent=self, protect=args.protect, retain_on_delete=args.retain),
        )
        self.ready = [bucket, *self._access(name, args, bucket), *self._content(name, args, bucket)]
        self.bucket = bucket.bucket
        # from the name, which a preview knows
        self.arn = Output.concat(f"arn:{args.names.partition}:s3:::", bucket.bucket)
        self.uri = Output.concat("s3://", bucket.bucket, f"/{MLFLOW}")
        self.register_outputs({"bucket": self.bucket, "arn": self.arn, "uri": self.uri})

    def _access(self, name: str, args: ArtifactBucketArgs, bucket: s3.Bucket) -> list[Resource]:
        """Nobody but roles of this account, and only over TLS.

        One after the other: S3 answers a second change of the same settings with OperationAborted.
        """
        ownership = s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child(args),
        )
        block = s3.BucketPublicAccessBlock(
            f"{name}-public-access-block",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child(args, ownership),
        )
        policy = s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=json.dumps(tls_only(args.names.arn("s3", args.names.bucket("artifacts")))),
            opts=self._child(args, block),
        )
        return [ownership, block, policy]

    def _content(self, name: str, args: ArtifactBucketArgs, bucket: s3.Bucket) -> list[Resource]:
        """Encrypted with the environment's key, versioned, and what may expire does."""
        encryption = s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": args.key,
                    },
                    "bucket_key_enabled": True,  # one call to KMS for many checkpoints instead of one each
                    "blocked_encryption_types": ["SSE-C"],
                }
            ],
            opts=self._child(args),
        )
        versioning = s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self._child(args),
        )
        lifecycle = s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=lifecycle_rules(args.checkpoint_days, args.noncurrent_days),
            opts=self._child(args, versioning),
        )
        return [encryption, versioning, lifecycle]

    def _child(self, args: ArtifactBucketArgs, *after: Resource) -> ResourceOptions:
        """A kept bucket keeps its settings too: without them it would be neither private nor versioned."""
        return ResourceOptions(parent=self, depends_on=list(after), retain_on_delete=args.retain)


def lifecycle_rules(checkpoint_days: int, noncurrent_days: int) -> list[dict[str, Any]]:
    """What expires; no rule lets a current object expire but a checkpoint."""
    return [
        {
            "id": "checkpoints",
            "status": "Enabled",
            "filter": {"prefix": f"{CHECKPOINTS}/"},
            "expiration": {"days": checkpoint_days},
            "noncurrent_version_expiration": {"noncurrent_days": 1},
        },
        {
            "id": "old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"expired_object_delete_marker": True},
            "noncurrent_version_expiration": {"noncurrent_days": noncurrent_days},
        },
        {
            "id": "unfinished-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": _MULTIPART_DAYS},
        },
    ]


def tls_only(arn: str) -> dict[str, Any]:
    """Deny everything that comes without TLS, or with a version of it before 1.2."""

    def deny(sid: str, condition: dict[str, Any]) -> dict[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": condition,
        }

    return {
        "Version": "2012-10-17",
        "Statement": [
            deny("TLSOnly", {"Bool": {"aws:SecureTransport": "false"}}),
            deny("TLS12", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        ],
    }


def _check(args: ArtifactBucketArgs) -> None:
    wrong = [
        f"{field} is {days}: a lifecycle rule counts whole days from 1; choose more"
        for field, days in (("checkpoint_days", args.checkpoint_days), ("noncurrent_days", args.noncurrent_days))
        if days < 1
    ]
    if wrong:
        raise ValueError("artifact bucket: " + "; ".join(wrong))
