"""ECR: a repository of images and what is kept in it."""

from __future__ import annotations

from typing import Any

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work, first
from tests.standins.aws_plugin.tagging import by_arn, from_pairs

_SOURCE = "internal/service/ecr/"


def _read_repository(work: Work) -> Values | None:
    found: Values | None = first(work.call("describe_repositories", repositoryNames=[work.id])["repositories"])
    return found


def _update_repository(work: Work) -> None:
    if work.touched("imageTagMutability"):
        work.call("put_image_tag_mutability", repositoryName=work.id, **work.params("imageTagMutability"))
    if work.touched("imageScanningConfiguration"):
        params = work.params("imageScanningConfiguration") or {"imageScanningConfiguration": {"scanOnPush": False}}
        work.call("put_image_scanning_configuration", repositoryName=work.id, **params)


def _encryption(given: list[Values]) -> Values:
    names = {"encryptionType": "encryptionType", "kmsKey": "kmsKey"}
    return {names[key]: value for key, value in given[0].items()}


def _delete_repository(work: Work) -> Any:
    return work.call("delete_repository", repositoryName=work.id, force=bool(work.old.get("forceDelete")))


REPOSITORY = Row(
    token="aws:ecr/repository:Repository",
    service="ecr",
    source=_SOURCE + "repository.go",
    camel=True,
    fields={
        "name": F(api="repositoryName", new=True),
        "imageTagMutability": F(default="MUTABLE"),
        "imageScanningConfiguration": F(sub={"scanOnPush": F(required=True)}),
        "encryptionConfigurations": F(
            api="encryptionConfiguration",
            new=True,
            many=True,
            sub={"encryptionType": F(default="AES256"), "kmsKey": F(computed=True)},
            to=_encryption,
            back=lambda found: [found],
        ),
        "forceDelete": F(local=True),
    },
    computed={"arn": "repositoryArn", "registryId": "registryId", "repositoryUrl": "repositoryUri"},
    create=lambda work: str(
        work.call("create_repository", **work.all_but(), **work.tags)["repository"]["repositoryName"]
    ),
    read=_read_repository,
    update=_update_repository,
    delete=_delete_repository,
    tagging=by_arn(
        lambda work: str(work.old["arn"]),
        given="tags",
        resource="resourceArn",
        tags="tags",
        keys="tagKeys",
        listed=lambda work, found: from_pairs(
            work.call("list_tags_for_resource", resourceArn=found["repositoryArn"]).get("tags")
        ),
    ),
    name_field="name",
)


def _put_policy(work: Work) -> str:
    work.call("put_lifecycle_policy", **work.all_but())
    return str(work.value("repository"))


LIFECYCLE_POLICY = Row(
    token="aws:ecr/lifecyclePolicy:LifecyclePolicy",
    service="ecr",
    source=_SOURCE + "lifecycle_policy.go",
    camel=True,
    fields={
        "repository": F(api="repositoryName", new=True, required=True),
        "policy": F(api="lifecyclePolicyText", new=True, required=True, text=True),
    },
    computed={"registryId": "registryId"},
    create=_put_policy,
    read=lambda work: work.call("get_lifecycle_policy", repositoryName=work.id),
    delete=lambda work: work.call("delete_lifecycle_policy", repositoryName=work.id),
    leaf=True,  # provider/resource_overrides.go: DeleteBeforeReplace
)

ROWS = (REPOSITORY, LIFECYCLE_POLICY)
