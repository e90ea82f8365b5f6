"""The registry of an environment's images."""

from __future__ import annotations

from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, ResourceOptions

from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    names: Names
    key: Input[str]
    keep: int = 30
    """How many tagged images are kept."""
    untagged_days: int = 7
    force_delete: bool
    """Whether `destroy` takes the images along."""


class Registry(ComponentResource):
    """A repository whose tags never move."""

    url: Output[str]
    arn: Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:Registry", name, None, opts)
        raise NotImplementedError
