"""Changes of `standin_examples` that replace nothing: by resource, the properties that get another value."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.standin_examples import document

_ANOTHER = {"tags": {"Name": "~-renamed", "more": "tags"}}
_DENY = {"Effect": "Deny", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::another/*"]}
_NOTICE = {"comparisonOperator": "GREATER_THAN", "threshold": 70, "thresholdType": "PERCENTAGE"}

CHANGES: dict[str, dict[str, Any]] = {
    "vpc": {"enableDnsHostnames": False, **_ANOTHER},
    "subnet_a": {"mapPublicIpOnLaunch": False, **_ANOTHER},
    "internet": _ANOTHER,
    "table": _ANOTHER,
    "private_out": {"natGatewayId": None, "gatewayId": "$internet.id"},
    "associated": {"routeTableId": "$table_b.id"},
    "address": _ANOTHER,
    "nat": _ANOTHER,
    "store": {
        "routeTableIds": ["$table_b.id"],
        "policy": document({"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}),
        **_ANOTHER,
    },
    "group": _ANOTHER,
    "closed": _ANOTHER,
    "registry_endpoint": {"subnetIds": ["$subnet_b.id"]},  # moto keeps `privateDnsEnabled` as it was made
    "https": {"fromPort": 9443, "toPort": 9444, "description": "changed", **_ANOTHER},
    "key": {
        "description": "changed",
        "enableKeyRotation": False,
        "policy": document({"Sid": "Own", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}),
        **_ANOTHER,
    },
    "control": {
        "description": "changed",
        "maxSessionDuration": 14400,
        "permissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "assumeRolePolicy": document(
            {"Effect": "Allow", "Principal": {"Service": ["eks.amazonaws.com"]}, "Action": "sts:TagSession"}
        ),
        **_ANOTHER,
    },
    "reads": {"policy": document(_DENY)},
    "github": {"thumbprintLists": ["0123456789012345678901234567890123456789"], **_ANOTHER},
    "bucket": _ANOTHER,
    "block": {"blockPublicAcls": False},
    "owners": {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    "encryption": {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
    "lifecycle": {
        "rules": [{"id": "one", "status": "Enabled", "filter": {"prefix": "one/"}, "expiration": {"days": 31}}]
    },
    "bucket_policy": {"policy": document({**_DENY, "Principal": "*"})},
    "images": {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False}, **_ANOTHER},
    "database_subnets": {"description": "changed", **_ANOTHER},
    "parameters": {
        "parameters": [
            {"name": "rds.force_ssl", "value": "1", "applyMethod": "pending-reboot"},
            {"name": "log_min_duration_statement", "value": "1234", "applyMethod": "immediate"},
        ],
        **_ANOTHER,
    },
    "database": {
        "instanceClass": "db.m7g.xlarge",
        "allocatedStorage": 35,
        "maxAllocatedStorage": 85,
        "backupRetentionPeriod": 11,
        "enabledCloudwatchLogsExports": ["postgresql"],
        "backupWindow": "01:00-02:00",
        "finalSnapshotIdentifier": "~-other",
        **_ANOTHER,
    },
    "template": {"description": "changed", "monitoring": {"enabled": False}, "instanceType": "g6.4xlarge", **_ANOTHER},
    "placement": _ANOTHER,
    "cluster": {
        "vpcConfig": {
            "subnetIds": ["$subnet_a.id", "$subnet_b.id"],
            "securityGroupIds": ["$group.id"],
            "endpointPrivateAccess": True,
            "endpointPublicAccess": True,
            "publicAccessCidrs": ["198.51.100.0/24"],
        },
        "enabledClusterLogTypes": ["audit", "scheduler"],
        "deletionProtection": False,
        "version": "1.36",
        **_ANOTHER,
    },
    "cni": {
        "addonVersion": "v1.20.4-eksbuild.2",
        "configurationValues": json.dumps({"enableNetworkPolicy": "true", "env": {"WARM_IP_TARGET": "2"}}),
        "resolveConflictsOnUpdate": "OVERWRITE",
    },
    "agent": _ANOTHER,
    "pool": {
        "labels": {"slipway/pool": "changed"},
        "taints": [{"key": "another", "value": "taint", "effect": "NO_EXECUTE"}],
        "scalingConfig": {"minSize": 0, "maxSize": 6, "desiredSize": 0},
        "updateConfig": {"maxUnavailable": 2, "updateStrategy": "DEFAULT"},
        "launchTemplate": {"id": "$template.id", "version": "$template.latestVersion"},
        **_ANOTHER,
    },
    "administrator": {"kubernetesGroups": ["changed"], **_ANOTHER},
    "identity": {"roleArn": "$other_pods.arn", "disableSessionTags": False, **_ANOTHER},
    "logs": {"retentionInDays": 30, **_ANOTHER},
    "topic": {"displayName": "changed", **_ANOTHER},
    "topic_policy": {
        "policy": document({"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*"})
    },
    "budget": {
        "limitAmount": "625.75",
        "notifications": [
            {**_NOTICE, "notificationType": "ACTUAL", "subscriberEmailAddresses": ["another@example.com"]}
        ],
        **_ANOTHER,
    },
}
