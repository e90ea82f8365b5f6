"""Cases of the rules on clusters, durability and tags."""

from __future__ import annotations

import json

from tests.policies.case import EPHEMERAL, RETAINED, TAGS, Case

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_CLUSTER = "aws:eks/cluster:Cluster"
_NODES = "aws:eks/nodeGroup:NodeGroup"
_DATABASE = "aws:rds/instance:Instance"

CASES: dict[str, Case] = {
    "endpoint-closed": Case(
        type=_CLUSTER,
        good={
            "vpcConfig": {
                "endpointPrivateAccess": True,
                "endpointPublicAccess": True,
                "publicAccessCidrs": ["203.0.113.0/24"],
            }
        },
        breaks=[
            ({"vpcConfig.publicAccessCidrs": ["203.0.113.0/24", "0.0.0.0/0"]}, "vpcConfig.publicAccessCidrs"),
            ({"vpcConfig.publicAccessCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "vpcConfig.publicAccessCidrs"),
            ({"vpcConfig.publicAccessCidrs": None}, "vpcConfig.publicAccessCidrs"),
            # what EKS does when it is not told
            ({"vpcConfig": {"endpointPrivateAccess": True}}, "vpcConfig.publicAccessCidrs"),
            ({"vpcConfig.endpointPrivateAccess": False}, "vpcConfig.endpointPrivateAccess"),
        ],
        also_good=[{"vpcConfig.endpointPublicAccess": False, "vpcConfig.publicAccessCidrs": None}],
    ),
    "access-entries": Case(
        type=_CLUSTER,
        good={"accessConfig": {"authenticationMode": "API"}},
        breaks=[
            ({"accessConfig.authenticationMode": "API_AND_CONFIG_MAP"}, "accessConfig.authenticationMode"),
            ({"accessConfig": None}, "accessConfig.authenticationMode"),
        ],
    ),
    "control-plane-logs": Case(
        type=_CLUSTER,
        good={"enabledClusterLogTypes": ["api", "audit", "authenticator", "controllerManager", "scheduler"]},
        breaks=[
            (
                {"enabledClusterLogTypes": ["api", "authenticator", "controllerManager", "scheduler"]},
                "enabledClusterLogTypes",
            ),
            ({"enabledClusterLogTypes": None}, "enabledClusterLogTypes"),
        ],
    ),
    "metadata-service": Case(
        type=_TEMPLATE,
        good={"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1}},
        breaks=[
            ({"metadataOptions.httpTokens": "optional"}, "metadataOptions.httpTokens"),
            ({"metadataOptions.httpPutResponseHopLimit": 2}, "metadataOptions.httpPutResponseHopLimit"),
            ({"metadataOptions": {"httpTokens": "required"}}, "metadataOptions.httpPutResponseHopLimit"),
        ],
    ),
    "node-address": Case(
        type=_TEMPLATE,
        good={"networkInterfaces": [{"associatePublicIpAddress": "false"}]},
        breaks=[
            (
                {"networkInterfaces.0.associatePublicIpAddress": "true"},
                "networkInterfaces.0.associatePublicIpAddress",
            )
        ],
        also_good=[{"networkInterfaces": None}],
    ),
    "node-template": Case(
        type=_NODES, good={"launchTemplate": {"id": "lt-1"}}, breaks=[({"launchTemplate": None}, "launchTemplate")]
    ),
    "node-login": Case(type=_NODES, good={}, breaks=[({"remoteAccess": {"ec2SshKey": "mine"}}, "remoteAccess")]),
    "gpu-pool": Case(
        type=_NODES,
        good={
            "amiType": "AL2023_x86_64_NVIDIA",
            "instanceTypes": ["g6.2xlarge"],
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
            "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 0},
        },
        breaks=[
            ({"taints": None}, "taints"),
            ({"taints.0.effect": "PREFER_NO_SCHEDULE"}, "taints"),
            ({"amiType": None, "instanceTypes": ["p6-b200.48xlarge"], "taints": []}, "taints"),
            ({"scalingConfig.maxSize": 17}, "scalingConfig.maxSize"),
            ({"scalingConfig.minSize": 1}, "scalingConfig.minSize"),
        ],
        posture=EPHEMERAL,
        also_good=[
            {
                "amiType": "AL2023_x86_64_STANDARD",
                "instanceTypes": ["m7i.large", "c6gn.large"],
                "taints": [],
                "scalingConfig.maxSize": 99,
                "scalingConfig.minSize": 3,
            },
        ],
    ),
    "database-protected": Case(
        type=_DATABASE,
        good={"deletionProtection": True, "skipFinalSnapshot": False},
        breaks=[
            ({"deletionProtection": None}, "deletionProtection"),
            ({"skipFinalSnapshot": True}, "skipFinalSnapshot"),
        ],
        posture=RETAINED,
    ),
    "database-backed-up": Case(
        type=_DATABASE,
        good={"backupRetentionPeriod": 7, "enabledCloudwatchLogsExports": ["postgresql"]},
        breaks=[
            ({"backupRetentionPeriod": 0}, "backupRetentionPeriod"),
            ({"enabledCloudwatchLogsExports": None}, "enabledCloudwatchLogsExports"),
        ],
    ),
    "password-managed": Case(
        type=_DATABASE,
        good={"manageMasterUserPassword": True},
        breaks=[
            ({"manageMasterUserPassword": None}, "manageMasterUserPassword"),
            ({"password": "hunter2"}, "password"),
        ],
        also_good=[{"manageMasterUserPassword": None, "snapshotIdentifier": "s"}],
    ),
    "bucket-kept": Case(
        type="aws:s3/bucket:Bucket",
        good={"forceDestroy": False},
        breaks=[({"forceDestroy": True}, "forceDestroy")],
        posture=RETAINED,
    ),
    "images-kept": Case(
        type="aws:ecr/repository:Repository",
        good={"forceDelete": False},
        breaks=[({"forceDelete": True}, "forceDelete")],
        posture=RETAINED,
    ),
    "images-fixed": Case(
        type="aws:ecr/repository:Repository",
        good={"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}},
        breaks=[
            ({"imageTagMutability": None}, "imageTagMutability"),
            ({"imageScanningConfiguration.scanOnPush": False}, "imageScanningConfiguration.scanOnPush"),
        ],
    ),
    "cluster-protected": Case(
        type=_CLUSTER,
        good={"deletionProtection": True},
        breaks=[({"deletionProtection": None}, "deletionProtection")],
        posture=RETAINED,
    ),
    "key-kept": Case(
        type="aws:kms/key:Key",
        good={"deletionWindowInDays": 7},
        breaks=[({"deletionWindowInDays": 6}, "deletionWindowInDays")],
        posture=RETAINED,
        also_good=[{"deletionWindowInDays": None}],
    ),
    "logs-bounded": Case(
        type="aws:cloudwatch/logGroup:LogGroup",
        good={"retentionInDays": 30},
        breaks=[({"retentionInDays": 0}, "retentionInDays"), ({"retentionInDays": None}, "retentionInDays")],
    ),
    "default-tags": Case(
        type="pulumi:providers:aws",
        good={"defaultTags": json.dumps({"tags": {**TAGS, "slipway:expires-at": "2026-11-25T00:00:00Z"}})},
        breaks=[
            ({"defaultTags": None}, "defaultTags.tags"),
            ({"defaultTags": json.dumps({"tags": TAGS})}, "defaultTags.tags"),
            ({"defaultTags": {"tags": {**TAGS, "slipway:expires-at": ""}}}, "defaultTags.tags"),
        ],
        posture=EPHEMERAL,
    ),
    "launched-tags": Case(
        type=_TEMPLATE,
        good={
            "tagSpecifications": [
                {"resourceType": "instance", "tags": TAGS},
                {"resourceType": "volume", "tags": TAGS},
            ]
        },
        breaks=[
            ({"tagSpecifications.0.resourceType": "spot-instances-request"}, "tagSpecifications of instance"),
            ({"tagSpecifications.1.resourceType": "network-interface"}, "tagSpecifications of volume"),
            ({"tagSpecifications.0.tags": {"slipway:owner": "o"}}, "tagSpecifications of instance"),
        ],
    ),
}
