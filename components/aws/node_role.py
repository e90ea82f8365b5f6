"""NodeRole: who nodes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class NodeRoleArgs:
    """Nothing but where it is."""

    names: Names


class NodeRole(ComponentResource):
    """The role of every node."""

    arn: Output[str]
    ready: Sequence[Resource]
    """What node groups depend on, so that destroy takes them first."""

    def __init__(self, name: str, args: NodeRoleArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:NodeRole", name, None, opts)
        raise NotImplementedError
