"""The registry of an environment's images.

It owns which images are kept. What is pushed there, and that nodes may pull it, is not its matter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws import ecr

from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What is kept, and for how long."""

    names: Names
    key: Input[str]
    keep: int = 30
    """How many tagged images are kept."""
    untagged_days: int = 7
    force_delete: bool
    """Whether `destroy` takes the images along; where it does not, a repository with images stops it."""


class Registry(ComponentResource):
    """A repository whose tags never move and whose images are scanned when they come."""

    url: Output[str]
    arn: Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: ResourceOptions | None = None) -> None:
        if args.keep < 1 or args.untagged_days < 1:
            raise ValueError("registry: keep and untagged_days are at least 1: ECR has no rule that keeps nothing")
        super().__init__("slipway:aws:Registry", name, None, opts)
        child = ResourceOptions(parent=self)
        repository = ecr.Repository(
            f"{name}-images",
            name=args.names.name("images"),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key}],
            force_delete=args.force_delete,
            opts=child,
        )
        ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=repository.name,
            policy=json.dumps({"rules": rules(args.keep, args.untagged_days)}),
            opts=child,
        )
        self.url = repository.repository_url
        self.arn = repository.arn
        self.register_outputs({"url": self.url, "arn": self.arn})


def rules(keep: int, untagged_days: int) -> list[dict[str, Any]]:
    """Which images expire; ECR evaluates the lowest priority first and expires an image once."""
    untagged = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": untagged_days,
    }
    # `any` and not `tagged`: that one needs a list of prefixes, and a forgotten prefix would be kept for ever
    rest = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep}
    return [
        {"rulePriority": 1, "description": "untagged", "selection": untagged, "action": {"type": "expire"}},
        {"rulePriority": 2, "description": "all but the newest", "selection": rest, "action": {"type": "expire"}},
    ]
