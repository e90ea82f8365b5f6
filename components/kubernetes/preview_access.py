"""PreviewAccess: what previews of pull requests may do in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Resource, ResourceOptions


@dataclass(frozen=True, kw_only=True)
class PreviewAccessArgs:
    """Which group."""

    group: str = "slipway:preview"
    name: str = "slipway-preview"
    """Of the cluster-wide objects; two environments on one cluster need two."""


class PreviewAccess(ComponentResource):
    """The group reads, and writes only as a dry run."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: PreviewAccessArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:PreviewAccess", name, None, opts)
        raise NotImplementedError
