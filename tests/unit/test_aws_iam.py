"""Policy statements: no wildcard on data, prefixes that hold, writes of one cluster alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.aws import iam
from components.aws.naming import Names
from components.aws.preview_rights import reads

BUCKET = "arn:aws:s3:::slipway-prod-artifacts"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"
NAMES = Names(stem="slipway-prod", account="123456789012", region="us-east-1")
EVERY = {
    "read": iam.read_artifacts(BUCKET, KEY, ["data/"]),
    "write": iam.write_artifacts(BUCKET, KEY, ["mlflow/", "checkpoints/"]),
    "secret": iam.read_secret(SECRET, KEY),
    "autoscaler": iam.autoscaler("slipway-prod-cluster", "us-east-1", "123456789012"),
    "volumes": iam.ebs_csi("slipway-prod-cluster", KEY),
    "cluster": iam.encrypt_cluster(KEY),
    "preview": reads(NAMES),
}


def may(statements: list[iam.Statement], action: str, resource: str) -> Iterator[iam.Statement]:
    """The statements that allow an action on a resource, conditions aside."""
    for statement in statements:
        if action in statement["Action"] and any(fnmatchcase(resource, one) for one in statement["Resource"]):
            yield statement


@pytest.mark.parametrize("name", sorted(EVERY))
def test_no_action_is_a_pattern(name: str) -> None:
    assert [action for one in EVERY[name] for action in one["Action"] if "*" in action] == []


@pytest.mark.parametrize("name", sorted(EVERY))
def test_only_descriptions_are_allowed_on_everything(name: str) -> None:
    for statement in EVERY[name]:
        if "*" in statement["Resource"]:
            assert statement["Sid"].startswith("Describe")
            for action in statement["Action"]:
                assert action.split(":")[1].startswith(("Describe", "Get", "List", "View")), action


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_statement_has_a_name_of_its_own(name: str) -> None:
    sids = [statement["Sid"] for statement in EVERY[name]]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids), "IAM takes letters and digits only"


def test_a_reader_reads_its_prefix_and_writes_nothing() -> None:
    found = EVERY["read"]
    assert list(may(found, "s3:GetObject", f"{BUCKET}/data/set.csv"))
    assert not list(may(found, "s3:GetObject", f"{BUCKET}/mlflow/1/model"))
    assert not list(may(found, "s3:GetObject", f"{BUCKET}/database/x")), "a prefix ends where its name does"
    assert not list(may(found, "s3:PutObject", f"{BUCKET}/data/set.csv"))
    assert "kms:GenerateDataKey" not in {action for one in found for action in one["Action"]}


def test_a_writer_writes_its_prefixes_and_no_other() -> None:
    found = EVERY["write"]
    for action in ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
        assert list(may(found, action, f"{BUCKET}/mlflow/1/model"))
        assert not list(may(found, action, f"{BUCKET}/data/set.csv"))
        assert not list(may(found, action, "arn:aws:s3:::another/mlflow/x"))


@given(st.lists(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}/?", fullmatch=True), min_size=1, max_size=4, unique=True))
def test_a_prefix_means_the_same_with_and_without_its_slash(prefixes: list[str]) -> None:
    plain = [prefix.rstrip("/") for prefix in prefixes]
    assert iam.read_artifacts(BUCKET, KEY, prefixes) == iam.read_artifacts(BUCKET, KEY, plain)
    for prefix in plain:
        assert list(may(iam.read_artifacts(BUCKET, KEY, prefixes), "s3:GetObject", f"{BUCKET}/{prefix}/object"))


def test_a_reader_lists_its_prefix_only_and_a_writer_may_ask_whether_the_bucket_is_there() -> None:
    (listing,) = may(EVERY["read"], "s3:ListBucket", BUCKET)
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["data", "data/*"]}}
    (listing,) = may(EVERY["write"], "s3:ListBucket", BUCKET)
    assert set(listing["Condition"]) == {"StringLikeIfExists"}


def test_a_key_is_for_the_objects_of_one_bucket() -> None:
    for name in ("read", "write"):
        (key,) = may(EVERY[name], "kms:Decrypt", KEY)
        assert key["Condition"] == {"StringLike": {"kms:EncryptionContext:aws:s3:arn": [BUCKET, f"{BUCKET}/*"]}}


def test_one_secret_is_read_and_only_that() -> None:
    assert list(may(EVERY["secret"], "secretsmanager:GetSecretValue", SECRET))
    assert not list(may(EVERY["secret"], "secretsmanager:GetSecretValue", f"{SECRET}-2"))
    (key,) = may(EVERY["secret"], "kms:Decrypt", KEY)
    assert key["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == SECRET
    assert len(iam.read_secret(SECRET)) == 1


def test_the_autoscaler_changes_groups_of_its_own_cluster_alone() -> None:
    group = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:uuid:autoScalingGroupName/eks-train-1"
    for action in ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"):
        (statement,) = may(EVERY["autoscaler"], action, group)
        tag = "aws:ResourceTag/k8s.io/cluster-autoscaler/slipway-prod-cluster"
        assert statement["Condition"] == {"StringEquals": {tag: "owned"}}
        assert not list(may(EVERY["autoscaler"], action, group.replace("eks-train-1", "web")))
    own = "arn:aws:eks:us-east-1:123456789012:nodegroup/slipway-prod-cluster/train/uuid"
    assert list(may(EVERY["autoscaler"], "eks:DescribeNodegroup", own)), "or it could not start from zero"
    assert not list(may(EVERY["autoscaler"], "eks:DescribeNodegroup", own.replace("prod", "dev")))


def test_the_volume_driver_changes_what_it_made_on_nodes_of_its_cluster() -> None:
    volume = "arn:aws:ec2:us-east-1:123456789012:volume/vol-1"
    instance = "arn:aws:ec2:us-east-1:123456789012:instance/i-1"
    for action in ("ec2:DeleteVolume", "ec2:ModifyVolume", "ec2:AttachVolume"):
        (statement,) = may(EVERY["volumes"], action, volume)
        assert statement["Condition"] == {"StringEquals": {"ec2:ResourceTag/ebs.csi.aws.com/cluster": "true"}}
    (made,) = may(EVERY["volumes"], "ec2:CreateVolume", volume)
    assert made["Condition"] == {"StringEquals": {"aws:RequestTag/ebs.csi.aws.com/cluster": "true"}}
    (attached,) = may(EVERY["volumes"], "ec2:AttachVolume", instance)
    assert attached["Condition"] == {"StringEquals": {"aws:ResourceTag/eks:cluster-name": "slipway-prod-cluster"}}
    (tagged,) = may(EVERY["volumes"], "ec2:CreateTags", volume)
    assert tagged["Condition"]["StringEquals"]["ec2:CreateAction"] == ["CreateVolume", "CreateSnapshot"]


def test_without_a_key_of_one_s_own_the_driver_has_no_right_to_any() -> None:
    assert not [one for one in iam.ebs_csi("c") if any(action.startswith("kms:") for action in one["Action"])]
    (lent,) = [one for one in EVERY["volumes"] if "kms:CreateGrant" in one["Action"]]
    assert lent["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_another_partition_is_in_every_arn() -> None:
    text = json.dumps(iam.ebs_csi("c", partition="aws-us-gov"))
    assert "arn:aws:" not in text
    assert "arn:aws-us-gov:ec2:" in text


def test_roles_are_taken_by_one_service_account_of_one_cluster() -> None:
    (trust,) = iam.pod_identity(NAMES, "c", "home", "training")
    tags: dict[str, Any] = trust["Condition"]["StringEquals"]
    assert tags["aws:RequestTag/eks-cluster-arn"] == NAMES.arn("eks", "cluster/c")
    assert "*" not in json.dumps(trust)
