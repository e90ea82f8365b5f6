"""The artifact store on S3: one bucket with the secure defaults, and what expires in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.naming import Names

MLFLOW = "mlflow"
"""Prefix of the tracking server's artifacts, registered models among them: never expires."""
CHECKPOINTS = "checkpoints"
"""Prefix of what a training run writes to be able to go on: expires."""
DATA = "data"
"""Prefix of users' data sets: never expires."""


@dataclass(frozen=True, kw_only=True)
class ArtifactBucketArgs:
    names: Names
    key: Input[str]
    """ARN of the key that everything in it is encrypted with."""
    retain: bool
    """Whether `destroy` leaves the bucket and what is in it."""
    protect: bool
    """Whether the engine refuses to delete or replace it."""
    checkpoint_days: int = 14
    noncurrent_days: int = 90


class ArtifactBucket(ComponentResource):
    """A private, versioned, encrypted bucket."""

    bucket: Output[str]
    arn: Output[str]
    uri: Output[str]
    """`s3://BUCKET/mlflow`, where the tracking server's artifacts lie."""
    ready: Sequence[Resource]

    def __init__(self, name: str, args: ArtifactBucketArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:ArtifactStore", name, None, opts)
        raise NotImplementedError
