"""Policy statements, each as narrow as its use: pure; values may be Outputs.

No action on data is a wildcard. A resource is `*` only for calls that AWS cannot narrow; each such statement has a Sid
that begins with `Describe`, and holds nothing but reads of what exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import Input, Output

from components.aws.naming import Names

Statement = Mapping[str, Any]
VERSION = "2012-10-17"
_MADE = "ebs.csi.aws.com/cluster"
"""The tag that the driver puts on whatever it makes, with the value `true`."""


def document(statements: Sequence[Statement]) -> Output[str]:
    """Return the policy document of `statements`, as JSON."""
    return Output.json_dumps({"Version": VERSION, "Statement": list(statements)})


def joined(*parts: Input[str]) -> Input[str]:
    """Return the parts as one string: a plain one where all are."""
    if all(isinstance(part, str) for part in parts):
        return "".join(str(part) for part in parts)
    return Output.concat(*parts)


def assumed_by(service: str, **conditions: Mapping[str, Any]) -> list[Statement]:
    """Return the trust in an AWS service, such as ec2.amazonaws.com."""
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole"]}
    return [{**trust, **({"Condition": conditions} if conditions else {})}]


def pod_identity(
    names: Names, cluster_name: Input[str], namespace: Input[str], service_account: Input[str]
) -> list[Statement]:
    """Return the trust in the pods of one ServiceAccount.

    Without the conditions, whoever may associate roles anywhere in the account could hand this one to their own pods.
    They are the tags that EKS is documented to put on every session (user guide, pod-id-abac); the cluster's ARN holds
    account and region. A key that EKS did not send would let nobody in.
    """
    tags = {
        "aws:RequestTag/eks-cluster-arn": joined(names.arn("eks", "cluster/"), cluster_name),
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }
    return [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": tags},
        }
    ]


def read_artifacts(bucket_arn: Input[str], key_arn: Input[str], prefixes: Sequence[str]) -> list[Statement]:
    """Return what reads objects under `prefixes` (such as mlflow/), and decrypts them."""
    return [
        _list(bucket_arn, prefixes, "StringLike"),
        _objects("ReadArtifacts", bucket_arn, prefixes, ["s3:GetObject"]),
        _key("DecryptArtifacts", bucket_arn, key_arn, ["kms:Decrypt"]),
    ]


def write_artifacts(bucket_arn: Input[str], key_arn: Input[str], prefixes: Sequence[str]) -> list[Statement]:
    """Return what reads, writes and deletes objects under `prefixes`.

    Arrow's client, which Ray writes checkpoints with, asks first whether the bucket is there; that call names no
    prefix, and counts as a listing: whoever writes may thus see the names of the objects at the bucket's root too.
    """
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    return [
        _list(bucket_arn, prefixes, "StringLikeIfExists"),
        _objects("WriteArtifacts", bucket_arn, prefixes, [*objects, "s3:ListMultipartUploadParts"]),
        # S3 itself reads the parts of an upload back when it puts them together
        _key("EncryptArtifacts", bucket_arn, key_arn, ["kms:Decrypt", "kms:GenerateDataKey"]),
    ]


def _list(bucket_arn: Input[str], prefixes: Sequence[str], operator: str) -> Statement:
    inside = [one for prefix in prefixes for one in (prefix.rstrip("/"), f"{prefix.rstrip('/')}/*")]
    return {
        "Sid": "ListArtifacts",
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [bucket_arn],
        "Condition": {operator: {"s3:prefix": inside}},
    }


def _objects(sid: str, bucket_arn: Input[str], prefixes: Sequence[str], actions: Sequence[str]) -> Statement:
    inside = [joined(bucket_arn, f"/{prefix.strip('/')}/*") for prefix in prefixes]
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": inside}


def _key(sid: str, bucket_arn: Input[str], key_arn: Input[str], actions: Sequence[str]) -> Statement:
    """The key, for objects of this bucket only: S3 names the object, or with a bucket key the bucket, as context."""
    context = {"kms:EncryptionContext:aws:s3:arn": [bucket_arn, joined(bucket_arn, "/*")]}
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": [key_arn],
        "Condition": {"StringLike": context},
    }


def read_secret(secret_arn: Input[str], key_arn: Input[str] | None = None) -> list[Statement]:
    """Return what reads the value of one secret."""
    secret: Statement = {
        "Sid": "ReadSecret",
        "Effect": "Allow",
        "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        "Resource": [secret_arn],
    }
    if key_arn is None:
        return [secret]
    context = {"StringEquals": {"kms:EncryptionContext:SecretARN": secret_arn}}
    key: Statement = {
        "Sid": "DecryptSecret",
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": [key_arn],
        "Condition": context,
    }
    return [secret, key]


def encrypt_cluster(key_arn: Input[str]) -> list[Statement]:
    """Return what a control plane does with the key of its API objects."""
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"]
    return [{"Sid": "EncryptObjects", "Effect": "Allow", "Action": actions, "Resource": [key_arn]}]


def autoscaler(cluster_name: str, region: str, account: str) -> list[Statement]:
    """Return what the cluster autoscaler needs: reads, and writes on the groups of this cluster alone.

    EKS itself puts the tag on the group behind each node group; nobody else in the account needs to keep it.
    """
    names = Names(stem="", account=account, region=region)
    groups = names.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/eks-*")
    return [
        {
            "Sid": "DescribeGroups",
            "Effect": "Allow",
            "Action": [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "autoscaling:DescribeLaunchConfigurations",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeTags",
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeLaunchTemplateVersions",
                "ec2:GetInstanceTypesFromInstanceRequirements",
            ],
            "Resource": ["*"],
        },
        {
            "Sid": "ReadNodeGroups",
            "Effect": "Allow",
            "Action": ["eks:DescribeNodegroup"],
            "Resource": [names.arn("eks", f"nodegroup/{cluster_name}/*/*")],
        },
        {
            "Sid": "ScaleOwnGroups",
            "Effect": "Allow",
            "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
            "Resource": [groups],
            "Condition": {
                "StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster_name}": "owned"},
            },
        },
    ]


def ebs_csi(cluster_name: str, key_arn: Input[str] | None = None, *, partition: str = "aws") -> list[Statement]:
    """Return what the EBS driver needs: volumes and snapshots that it made itself, on nodes of its own cluster.

    Args:
        cluster_name: which EKS has tagged the nodes with.
        key_arn: a customer's key that volumes are encrypted with; the account's own for EBS needs no right.
        partition: of the region.
    """
    volume, snapshot, instance = (f"arn:{partition}:ec2:*:*:{kind}/*" for kind in ("volume", "snapshot", "instance"))
    made = {"StringEquals": {f"aws:RequestTag/{_MADE}": "true"}}
    own = {"StringEquals": {f"ec2:ResourceTag/{_MADE}": "true"}}
    node = {"StringEquals": {"aws:ResourceTag/eks:cluster-name": cluster_name}}
    tagged = {"StringEquals": {"ec2:CreateAction": ["CreateVolume", "CreateSnapshot"]}}
    described = ("AvailabilityZones", "Instances", "InstanceTypes", "Snapshots", "Tags", "Volumes", "VolumeStatus")
    statements: list[Statement] = [
        {
            "Sid": "DescribeVolumes",
            "Effect": "Allow",
            "Action": [*(f"ec2:Describe{one}" for one in described), "ec2:DescribeVolumesModifications"],
            "Resource": ["*"],
        },
        _allow("MakeVolumes", ["ec2:CreateVolume"], [volume], made),
        _allow("MakeVolumesOfSnapshots", ["ec2:CreateVolume"], [snapshot], own),
        _allow("SnapshotOwnVolumes", ["ec2:CreateSnapshot"], [volume], own),
        _allow("MakeSnapshots", ["ec2:CreateSnapshot"], [snapshot], made),
        _allow("TagWhatIsMade", ["ec2:CreateTags"], [volume, snapshot], tagged),
        _allow(
            "ChangeOwnVolumes",
            ["ec2:AttachVolume", "ec2:DetachVolume", "ec2:ModifyVolume", "ec2:DeleteVolume"],
            [volume],
            own,
        ),
        _allow("AttachToOwnNodes", ["ec2:AttachVolume", "ec2:DetachVolume"], [instance], node),
        _allow("DeleteOwnSnapshots", ["ec2:DeleteSnapshot"], [snapshot], own),
    ]
    return statements if key_arn is None else [*statements, *_volume_key(key_arn)]


def _allow(sid: str, actions: list[str], resources: list[str], condition: Mapping[str, Any]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources, "Condition": condition}


def _volume_key(key_arn: Input[str]) -> list[Statement]:
    use = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ]
    grant = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        {"Sid": "UseVolumeKey", "Effect": "Allow", "Action": use, "Resource": [key_arn]},
        {
            "Sid": "LendVolumeKey",
            "Effect": "Allow",
            "Action": ["kms:CreateGrant"],
            "Resource": [key_arn],
            "Condition": grant,
        },
    ]
