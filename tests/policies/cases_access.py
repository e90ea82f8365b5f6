"""Cases of the rules on exposure, encryption and identity."""

from __future__ import annotations

import json

from tests.policies.case import GITHUB, KEY, Case, github, policy

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_CLUSTER = "aws:eks/cluster:Cluster"
_DATABASE = "aws:rds/instance:Instance"
_OBJECTS = "arn:aws:s3:::bucket/mlflow/*"

CASES: dict[str, Case] = {
    "bucket-closed": Case(
        type="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        good={
            "bucket": "b",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        breaks=[
            ({"blockPublicAcls": False}, "blockPublicAcls"),
            ({"blockPublicPolicy": None}, "blockPublicPolicy"),
            ({"ignorePublicAcls": False}, "ignorePublicAcls"),
            ({"restrictPublicBuckets": False}, "restrictPublicBuckets"),
        ],
    ),
    "bucket-acl-private": Case(
        type="aws:s3/bucketAcl:BucketAcl",
        good={"bucket": "b", "acl": "private"},
        breaks=[({"acl": "public-read"}, "acl"), ({"acl": "authenticated-read"}, "acl")],
    ),
    "database-private": Case(
        type=_DATABASE,
        good={"publiclyAccessible": False},
        breaks=[({"publiclyAccessible": True}, "publiclyAccessible")],
        also_good=[{"publiclyAccessible": None}],
    ),
    "load-balancer-internal": Case(
        type="aws:lb/loadBalancer:LoadBalancer",
        good={"internal": True},
        breaks=[({"internal": False}, "internal"), ({"internal": None}, "internal")],
    ),
    "service-internal": Case(
        type="kubernetes:core/v1:Service",
        good={
            "metadata": {"annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}},
            "spec": {"type": "LoadBalancer"},
        },
        breaks=[
            ({"metadata.annotations": {}}, "metadata.annotations"),
            (
                {"metadata.annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"}},
                "metadata.annotations",
            ),
        ],
        also_good=[
            {"spec.type": "ClusterIP", "metadata.annotations": {}},
            {"metadata.annotations": {"networking.gke.io/load-balancer-type": "Internal"}},
        ],
    ),
    "ingress-narrow": Case(
        type="aws:ec2/securityGroup:SecurityGroup",
        good={"ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"]}]},
        breaks=[
            ({"ingress.0.cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"]}, "ingress.0.cidrBlocks.1"),
            ({"ingress.0.ipv6CidrBlocks": ["::/0"]}, "ingress.0.ipv6CidrBlocks.0"),
            ({"ingress.0.cidrBlocks": ["192.0.2.1/0"]}, "ingress.0.cidrBlocks.0"),
            ({"ingress.0.cidrBlocks": ["128.0.0.0/1"]}, "ingress.0.cidrBlocks.0"),
            ({"ingress.0.ipv6CidrBlocks": ["2000::/3"]}, "ingress.0.ipv6CidrBlocks.0"),
        ],
        also_good=[{"egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}]}],
    ),
    "bucket-encrypted": Case(
        type="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        good={
            "bucket": "b",
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}}],
        },
        breaks=[
            (
                {"rules.0.applyServerSideEncryptionByDefault.sseAlgorithm": "AES256"},
                "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
            ),
            (
                {"rules.0.applyServerSideEncryptionByDefault": None},
                "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
            ),
            ({"rules": []}, "rules"),
        ],
    ),
    "node-disk-encrypted": Case(
        type=_TEMPLATE,
        good={"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "kmsKeyId": KEY}}]},
        breaks=[
            ({"blockDeviceMappings.0.ebs.encrypted": "false"}, "blockDeviceMappings.0.ebs.encrypted"),
            ({"blockDeviceMappings.0.ebs.encrypted": None}, "blockDeviceMappings.0.ebs.encrypted"),
            ({"blockDeviceMappings": None}, "blockDeviceMappings"),
        ],
    ),
    "volume-encrypted": Case(
        type="aws:ebs/volume:Volume", good={"encrypted": True}, breaks=[({"encrypted": None}, "encrypted")]
    ),
    "database-encrypted": Case(
        type=_DATABASE,
        good={"storageEncrypted": True},
        breaks=[({"storageEncrypted": None}, "storageEncrypted"), ({"storageEncrypted": False}, "storageEncrypted")],
    ),
    "images-encrypted": Case(
        type="aws:ecr/repository:Repository",
        good={"encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY}]},
        breaks=[
            (
                {"encryptionConfigurations": [{"encryptionType": "AES256"}]},
                "encryptionConfigurations.0.encryptionType",
            ),
            ({"encryptionConfigurations": None}, "encryptionConfigurations.0.encryptionType"),
        ],
    ),
    "logs-encrypted": Case(
        type="aws:cloudwatch/logGroup:LogGroup", good={"kmsKeyId": KEY}, breaks=[({"kmsKeyId": None}, "kmsKeyId")]
    ),
    "topic-encrypted": Case(
        type="aws:sns/topic:Topic", good={"kmsMasterKeyId": KEY}, breaks=[({"kmsMasterKeyId": None}, "kmsMasterKeyId")]
    ),
    "cluster-secrets-encrypted": Case(
        type=_CLUSTER,
        good={"encryptionConfig": {"provider": {"keyArn": KEY}, "resources": ["secrets"]}},
        breaks=[
            ({"encryptionConfig": None}, "encryptionConfig.resources"),
            ({"encryptionConfig.resources": []}, "encryptionConfig.resources"),
            ({"encryptionConfig.provider": {}}, "encryptionConfig.provider.keyArn"),
        ],
    ),
    "key-rotates": Case(
        type="aws:kms/key:Key",
        good={"enableKeyRotation": True},
        breaks=[({"enableKeyRotation": None}, "enableKeyRotation")],
    ),
    "actions-narrow": Case(
        type="aws:iam/rolePolicy:RolePolicy",
        good={"policy": policy(Action=["s3:GetObject"], Resource=_OBJECTS), "role": "r"},
        breaks=[
            ({"policy": policy(Action="*", Resource=_OBJECTS)}, "policy statement 0, Action"),
            ({"policy": policy(Action=["s3:*"], Resource=_OBJECTS)}, "policy statement 0, Action"),
            ({"policy": policy(Action="s3:Get*", Resource=_OBJECTS)}, "policy statement 0, Action"),
            ({"policy": policy(Sid="Read", Action="s3:GetObject", Resource="*")}, "policy statement Read, Resource"),
            (
                {"policy": policy(Action=["ecr:GetAuthorizationToken", "s3:GetObject"], Resource=["*"])},
                "policy statement 0, Resource",
            ),
            ({"policy": policy(NotAction="iam:*", Resource=_OBJECTS)}, "policy statement 0"),
            ({"policy": policy(Action="s3:GetObject", NotResource=_OBJECTS)}, "policy statement 0"),
            *(
                (
                    {"policy": policy(Action=action, Resource=["arn:aws:s3:::b/x", every])},
                    "policy statement 0, Resource",
                )
                for action, every in (
                    ("s3:GetObject", "arn:aws:s3:::*/*"),
                    ("s3:GetObject", "arn:aws:s3:::*"),
                    ("iam:PassRole", "arn:aws:iam::111122223333:role/*"),
                    ("sns:Publish", "arn:aws:sns:us-east-1:111122223333:*"),
                    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:*"),
                )
            ),
            # conditions that bind nothing to this environment: the last one holds where there is no tag
            *(
                (
                    {"policy": policy(Action="ec2:DeleteVolume", Resource="*", Condition=condition)},
                    "policy statement 0, Resource",
                )
                for condition in (
                    {"Bool": {"aws:SecureTransport": "true"}},
                    {"StringNotEquals": {"aws:ResourceTag/x": "y"}},
                    {"StringEqualsIfExists": {"aws:ResourceTag/x": "y"}},
                )
            ),
        ],
        also_good=[
            {"policy": policy(Action="ecr:GetAuthorizationToken", Resource="*")},
            {"policy": policy(Action="iam:PassRole", Resource="arn:aws:iam::111122223333:role/slipway-prod-*")},
            {"policy": policy(Action="logs:PutLogEvents", Resource="arn:aws:logs:us-east-1:1:log-group:/aws/vpc/x:*")},
            {"policy": policy(Action="eks:DescribeNodegroup", Resource="arn:aws:eks:us-east-1:1:nodegroup/prod/*/*")},
            {"policy": policy(Action=["ec2:Describe*", "ec2:DescribeVolumes"], Resource="*")},
            {
                "policy": policy(
                    Action="ec2:DeleteVolume", Resource="*", Condition={"StringEquals": {"aws:ResourceTag/x": "y"}}
                )
            },
            {"policy": json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})},
        ],
    ),
    "callers-known": Case(
        type="aws:iam/role:Role",
        good={"assumeRolePolicy": policy(Action="sts:AssumeRole", Principal={"Service": "pods.eks.amazonaws.com"})},
        breaks=[
            (
                {"assumeRolePolicy": policy(Action="sts:AssumeRole", Principal="*")},
                "assumeRolePolicy statement 0, Principal",
            ),
            (
                {"assumeRolePolicy": policy(Action="sts:AssumeRole", Principal={"AWS": ["*"]})},
                "assumeRolePolicy statement 0, Principal",
            ),
            # everybody can meet these
            *(
                (
                    {"assumeRolePolicy": policy(Action="sts:AssumeRole", Principal="*", Condition=condition)},
                    "assumeRolePolicy statement 0, Principal",
                )
                for condition in (
                    {"Bool": {"aws:SecureTransport": "true"}},
                    {"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}},
                    {"StringEqualsIfExists": {"aws:SourceAccount": "111122223333"}},
                    {"StringLike": {"aws:PrincipalArn": "*"}},
                )
            ),
            (
                {"assumeRolePolicy": github("repo:example/*:ref:refs/heads/main")},
                f"assumeRolePolicy statement 0, Condition {GITHUB}:sub",
            ),
            ({"assumeRolePolicy": github("*")}, f"assumeRolePolicy statement 0, Condition {GITHUB}:sub"),
            (
                {"assumeRolePolicy": github("repo:example/slipway:environment:production", "somebody")},
                f"assumeRolePolicy statement 0, Condition {GITHUB}:aud",
            ),
        ],
        also_good=[
            {"assumeRolePolicy": github("repo:example/slipway:environment:production")},
            {"assumeRolePolicy": github("repo:example/slipway:*")},
            {
                "assumeRolePolicy": policy(
                    Action="sts:AssumeRole", Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
                )
            },
        ],
    ),
    "managed-policies-listed": Case(
        type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        good={"role": "r", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        breaks=[({"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, "policyArn")],
        also_good=[{"policyArn": "arn:aws:iam::111122223333:policy/own"}],
    ),
}
