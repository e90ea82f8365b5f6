"""The customer keys of an environment: for data, for the cluster's secrets, for logs and alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, ResourceOptions

from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class KeysArgs:
    names: Names
    deletion_days: int = 30
    """How long a deleted key can still be brought back, 7 to 30 days."""
    administrators: Sequence[str] = ()
    """Who may administer the keys beside the account itself: ARNs of principals."""


class Keys(ComponentResource):
    """Three keys, each with rotation and a policy that says who uses it. ARNs."""

    data: Output[str]
    cluster: Output[str]
    logs: Output[str]

    def __init__(self, name: str, args: KeysArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:Keys", name, None, opts)
        raise NotImplementedError
