"""The registry: tags never move, images are scanned and encrypted, and not all are kept for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pulumi import Output, ResourceOptions

from components.aws.registry import Registry, RegistryArgs
from tests.components.aws_blocks import KEY, NAMES, assert_well_formed, document, on_aws

ARGS = RegistryArgs(names=NAMES, key=KEY, force_delete=False)
REPOSITORY, LIFECYCLE = "aws:ecr/repository:Repository", "aws:ecr/lifecyclePolicy:LifecyclePolicy"


def made(args: RegistryArgs) -> Callable[[ResourceOptions], Registry]:
    return lambda opts: Registry("registry", args, opts)


def test_a_registry_is_the_same_in_a_preview_and_twice() -> None:
    assert_well_formed(made(ARGS))


def test_a_tag_never_moves_and_every_image_is_scanned_and_encrypted() -> None:
    found = on_aws(made(ARGS)).one(REPOSITORY).inputs
    assert found["name"] == "slipway-prod-images"
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert found["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY}]


def test_images_go_with_the_environment_only_where_that_is_asked_for() -> None:
    assert not on_aws(made(ARGS)).one(REPOSITORY).inputs.get("forceDelete")
    assert on_aws(made(replace(ARGS, force_delete=True))).one(REPOSITORY).inputs["forceDelete"] is True


def test_untagged_images_expire_soon_and_of_the_others_the_newest_stay() -> None:
    item = on_aws(made(replace(ARGS, keep=5, untagged_days=2))).one(LIFECYCLE)
    first, last = document(item)["rules"]
    assert first["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 2,
    }
    assert last["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5}
    assert last["rulePriority"] > first["rulePriority"], "ECR wants the rule for any image last"
    assert item.inputs["repository"] == "slipway-prod-images"


@pytest.mark.parametrize("change", [{"keep": 0}, {"untagged_days": 0}])
def test_a_rule_that_keeps_nothing_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="keep and untagged_days are at least 1"):
        on_aws(made(replace(ARGS, **change)))  # type: ignore[arg-type]


def test_images_are_pushed_to_the_repository_that_was_made() -> None:
    seen: dict[str, Any] = {}

    def make(opts: ResourceOptions) -> None:
        registry = Registry("registry", ARGS, opts)
        Output.all(registry.url, registry.arn).apply(lambda both: seen.update(both=both))

    on_aws(make)
    assert seen["both"] == ["registry.example/registry-images", "arn:registry-images"]
