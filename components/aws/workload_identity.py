"""WorkloadIdentity: who the pods of one ServiceAccount are, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """Which account, and its rights."""

    names: Names
    role: str
    """What it is for, such as training; part of the role's name."""
    cluster_name: Input[str]
    cluster_arn: Input[str] | None = None
    """Narrows the trust to this cluster; by its name in this account when absent."""
    namespace: Input[str]
    service_account: str
    statements: Sequence[Mapping[str, Any]]
    """Of components.aws.iam."""


class WorkloadIdentity(ComponentResource):
    """A role, its one policy, and its association with a ServiceAccount."""

    role_arn: Output[str]
    ready: Sequence[Resource]

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:WorkloadIdentity", name, None, opts)
        raise NotImplementedError
