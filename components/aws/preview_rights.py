"""What a preview may read in an account: how things are set up, and nothing that is in them.

Each action is a call of the preflight, or one that the provider makes to read back one of the resources that the
stacks declare. Left out on purpose: objects (s3:GetObject), values of secrets and parameters, log lines, images, and
everything that decrypts; also the names of objects (s3:ListBucket), so that this role previews without a refresh: AWS
asks for that right too where a provider only looks whether a bucket is there (HeadBucket).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components.aws.iam import Statement
from components.aws.naming import Names

ANYWHERE: Mapping[str, Sequence[str]] = {
    "autoscaling": ["DescribeAutoScalingGroups", "DescribeTags"],
    "budgets": ["ViewBudget", "ListTagsForResource"],
    "ec2": [
        "DescribeAddresses",
        "DescribeAddressesAttribute",
        "DescribeAvailabilityZones",
        "DescribeFlowLogs",
        "DescribeInternetGateways",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeNatGateways",
        "DescribeNetworkAcls",
        "DescribeNetworkInterfaces",
        "DescribePlacementGroups",
        "DescribePrefixLists",
        "DescribeRouteTables",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTags",
        "DescribeVpcAttribute",
        "DescribeVpcEndpoints",
        "DescribeVpcs",
    ],
    "kms": ["ListAliases"],
    "logs": ["DescribeLogGroups"],
    "rds": ["DescribeDBInstances", "DescribeDBParameterGroups", "DescribeDBParameters", "DescribeDBSubnetGroups"],
    "servicequotas": ["GetServiceQuota"],  # of the preflight
    "sns": ["GetSubscriptionAttributes"],  # a subscription is no resource in IAM
}
"""By service: calls that AWS cannot narrow to a resource, or whose resource has no name before it is made."""
NAMED: Mapping[str, Sequence[str]] = {
    "ecr": ["DescribeRepositories", "GetLifecyclePolicy", "GetRepositoryPolicy", "ListTagsForResource"],
    "eks": [
        "DescribeAccessEntry",
        "DescribeAddon",
        "DescribeCluster",
        "DescribeNodegroup",
        "DescribePodIdentityAssociation",
        "ListAssociatedAccessPolicies",
        "ListNodegroups",
        "ListTagsForResource",
    ],
    "iam": [
        "GetOpenIDConnectProvider",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListInstanceProfilesForRole",
        "ListRolePolicies",
        "ListRoleTags",
    ],
    "kms": ["DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags"],
    "logs": ["ListTagsForResource"],
    "rds": ["ListTagsForResource"],
    "s3": [
        "GetAccelerateConfiguration",
        "GetBucketAcl",
        "GetBucketCORS",
        "GetBucketLocation",
        "GetBucketLogging",
        "GetBucketObjectLockConfiguration",
        "GetBucketOwnershipControls",
        "GetBucketPolicy",
        "GetBucketPublicAccessBlock",
        "GetBucketRequestPayment",
        "GetBucketTagging",
        "GetBucketVersioning",
        "GetBucketWebsite",
        "GetEncryptionConfiguration",
        "GetLifecycleConfiguration",
        "GetReplicationConfiguration",
        "ListTagsForResource",
    ],
    "sns": ["GetTopicAttributes", "ListTagsForResource"],
}
"""By service: calls on what carries the environment's name, or an id that only this account can have."""


def reads(names: Names) -> list[Statement]:
    """Return the statements of the preview role, without the state it compares with."""
    everywhere = [f"{service}:{action}" for service, actions in ANYWHERE.items() for action in actions]
    return [
        {"Sid": "DescribeSetup", "Effect": "Allow", "Action": sorted(everywhere), "Resource": ["*"]},
        *(
            {
                "Sid": f"Read{service.capitalize()}",
                "Effect": "Allow",
                "Action": [f"{service}:{action}" for action in actions],
                "Resource": _named(names)[service],
            }
            for service, actions in NAMED.items()
        ),
    ]


def _named(names: Names) -> Mapping[str, Sequence[str]]:
    stem = names.stem
    return {
        "ecr": [names.arn("ecr", f"repository/{stem}*")],
        "eks": [
            names.arn("eks", f"{kind}/{stem}-*")
            for kind in ("cluster", "nodegroup", "addon", "access-entry", "podidentityassociation")
        ],
        "iam": [names.arn("iam", f"role/{stem}-*"), names.arn("iam", "oidc-provider/*")],
        "kms": [names.arn("kms", "key/*")],
        "logs": [names.arn("logs", f"log-group:*{stem}*")],
        "rds": [names.arn("rds", f"{kind}:{stem}-*") for kind in ("db", "pg", "subgrp")],
        "s3": [names.arn("s3", f"{stem}-*")],
        "sns": [names.arn("sns", f"{stem}-*")],
    }
