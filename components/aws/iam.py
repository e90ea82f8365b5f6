"""Policy statements, each as narrow as its use: pure; values may be Outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import Input, Output

Statement = Mapping[str, Any]


def document(statements: Sequence[Statement]) -> Output[str]:
    """Return the policy document of `statements`, as JSON."""
    raise NotImplementedError


def read_artifacts(bucket_arn: Input[str], key_arn: Input[str], prefixes: Sequence[str]) -> list[Statement]:
    """Return what reads objects under `prefixes` (such as mlflow/), and decrypts them."""
    raise NotImplementedError


def write_artifacts(bucket_arn: Input[str], key_arn: Input[str], prefixes: Sequence[str]) -> list[Statement]:
    """Return what reads, writes and deletes objects under `prefixes`."""
    raise NotImplementedError


def read_secret(secret_arn: Input[str], key_arn: Input[str] | None = None) -> list[Statement]:
    """Return what reads the value of one secret."""
    raise NotImplementedError


def autoscaler(cluster_name: str, region: str, account: str) -> list[Statement]:
    """Return what the cluster autoscaler needs: reads, and writes on the groups of this cluster alone."""
    raise NotImplementedError


def ebs_csi(cluster_name: str, key_arn: Input[str] | None = None) -> list[Statement]:
    """Return what the EBS driver needs, on volumes and snapshots that it made itself."""
    raise NotImplementedError
