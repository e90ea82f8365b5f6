"""More of `standin_examples`: what a cluster consists of, and what watches. They build on the others."""

from __future__ import annotations

from typing import Any

from tests.aws.standin_examples import IDENTITY, NAMED, NETWORK, PUBLISH, STORES, Example, document

_INTERFACE = {
    "networkCardIndex": 0,
    "deviceIndex": 0,
    "deleteOnTermination": "true",
    "interfaceType": "efa",
    "securityGroups": ["$group.id"],
    "subnetId": "$subnet_a.id",
    "description": "the first card",
    "associatePublicIpAddress": "false",
}
_EBS = {
    "volumeType": "gp3",
    "volumeSize": 123,
    "encrypted": "true",
    "deleteOnTermination": "true",
    "kmsKeyId": "$key.arn",
    "iops": 3100,
    "throughput": 150,
}

CLUSTER: dict[str, Example] = {
    "placement": ("aws:ec2/placementGroup:PlacementGroup", {"name": "~-close", "strategy": "cluster", **NAMED}),
    "apart": (
        "aws:ec2/placementGroup:PlacementGroup",
        {"name": "~-apart", "strategy": "partition", "partitionCount": 3},
    ),
    "spread": (
        "aws:ec2/placementGroup:PlacementGroup",
        {"name": "~-spread", "strategy": "spread", "spreadLevel": "rack"},
    ),
    "template": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "name": "~-template",
            "description": "nodes",
            "updateDefaultVersion": True,
            "ebsOptimized": "true",
            "monitoring": {"enabled": True},
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": _EBS}],
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 1,
                "httpProtocolIpv6": "disabled",
                "instanceMetadataTags": "disabled",
            },
            "tagSpecifications": [{"resourceType": "volume", "tags": {"Name": "~-volume"}}],
            **NAMED,
        },
    ),
    "special": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "name": "~-special",
            "imageId": "ami-12345678901234567",
            "instanceType": "p5.48xlarge",
            "keyName": "a-key",
            "userData": "Y2xvdWQ=",
            "networkInterfaces": [_INTERFACE],
            "placement": {
                "groupName": "$placement.name",
                "tenancy": "default",
                "availabilityZone": "us-east-1a",
                "partitionNumber": 7,
            },
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvdb", "ebs": {"snapshotId": "snap-12345678901234567"}},
                {"deviceName": "/dev/xvdc", "noDevice": ""},
            ],
            "instanceMarketOptions": {"marketType": "capacity-block"},
            "capacityReservationSpecification": {
                "capacityReservationTarget": {"capacityReservationId": "cr-12345678901234567"}
            },
        },
    ),
    "open": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "name": "~-open",
            "vpcSecurityGroupIds": ["$group.id"],
            "capacityReservationSpecification": {"capacityReservationPreference": "open"},
        },
    ),
    "cluster_logs": ("aws:cloudwatch/logGroup:LogGroup", {"name": "/aws/eks/~-cluster/cluster"}),
    "cluster": (
        "aws:eks/cluster:Cluster",
        {
            "name": "~-cluster",
            "roleArn": "$control.arn",
            "version": "1.35",
            "vpcConfig": {
                "subnetIds": ["$subnet_a.id", "$subnet_b.id"],
                "securityGroupIds": ["$group.id"],
                "endpointPrivateAccess": True,
                "endpointPublicAccess": True,
                "publicAccessCidrs": ["203.0.113.0/24"],
            },
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
            "encryptionConfig": {"provider": {"keyArn": "$key.arn"}, "resources": ["secrets"]},
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.29.0.0/16", "ipFamily": "ipv4"},
            "enabledClusterLogTypes": ["api", "audit"],
            "upgradePolicy": {"supportType": "STANDARD"},
            "zonalShiftConfig": {"enabled": True},
            "bootstrapSelfManagedAddons": False,
            "deletionProtection": False,
            **NAMED,
        },
    ),
    "agent": (
        "aws:eks/addon:Addon",
        {"clusterName": "$cluster.name", "addonName": "eks-pod-identity-agent", "preserve": False, **NAMED},
    ),
    "cni": (
        "aws:eks/addon:Addon",
        {
            "clusterName": "$cluster.name",
            "addonName": "vpc-cni",
            "addonVersion": "v1.20.1-eksbuild.3",
            "configurationValues": '{"enableNetworkPolicy": "true"}',
            "podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": "$pods.arn"}],
            "resolveConflictsOnCreate": "OVERWRITE",
            "resolveConflictsOnUpdate": "PRESERVE",
        },
    ),
    "pool": (
        "aws:eks/nodeGroup:NodeGroup",
        {
            "clusterName": "$cluster.name",
            "nodeGroupName": "~-pool",
            "nodeRoleArn": "$nodes.arn",
            "subnetIds": ["$subnet_a.id"],
            "capacityType": "SPOT",
            "amiType": "AL2023_x86_64_NVIDIA",
            "instanceTypes": ["g6.2xlarge", "g6.4xlarge"],
            "labels": {"slipway/pool": "l4"},
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
            "launchTemplate": {"id": "$template.id", "version": "$template.latestVersion"},
            "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 0},
            "updateConfig": {"maxUnavailable": 1, "updateStrategy": "MINIMAL"},
            "nodeRepairConfig": {"enabled": True},
            "version": "1.35",
            "forceUpdateVersion": True,
            **NAMED,
        },
    ),
    "pool_named_template": (
        "aws:eks/nodeGroup:NodeGroup",
        {
            "clusterName": "$cluster.name",
            "nodeGroupName": "~-other",
            "nodeRoleArn": "$nodes.arn",
            "subnetIds": ["$subnet_b.id"],
            "launchTemplate": {"name": "$template.name", "version": "$template.latestVersion"},
            "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
            "updateConfig": {"maxUnavailablePercentage": 40},
        },
    ),
    "pool_with_disk": (
        "aws:eks/nodeGroup:NodeGroup",
        {
            "clusterName": "$cluster.name",
            "nodeGroupName": "~-disk",
            "nodeRoleArn": "$nodes.arn",
            "subnetIds": ["$subnet_b.id"],
            "diskSize": 77,
            "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
        },
    ),
    "administrator": (
        "aws:eks/accessEntry:AccessEntry",
        {
            "clusterName": "$cluster.name",
            "principalArn": "$pods.arn",
            "kubernetesGroups": ["slipway:preview"],
            "type": "STANDARD",
            "userName": "~-user",
            **NAMED,
        },
    ),
    "administrates": (
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        {
            "clusterName": "$cluster.name",
            "principalArn": "$administrator.principalArn",
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["slipway"]},
        },
    ),
    "identity": (
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        {
            "clusterName": "$cluster.name",
            "namespace": "slipway",
            "serviceAccount": "tracking",
            "roleArn": "$pods.arn",
            "targetRoleArn": "$control.arn",
            "disableSessionTags": True,
            **NAMED,
        },
    ),
}

_TAGGED = {"key": "slipway:stack", "values": ["~"], "matchOptions": ["EQUALS"]}
_REGION = {"key": "REGION", "values": ["us-east-1"], "matchOptions": ["EQUALS"]}
_NOTICE = {"comparisonOperator": "GREATER_THAN", "threshold": 80, "thresholdType": "PERCENTAGE"}


def _budget(name: str, **more: Any) -> Example:
    money = {"budgetType": "COST", "timeUnit": "MONTHLY", "limitAmount": "312.50", "limitUnit": "USD"}
    return "aws:budgets/budget:Budget", {"name": f"~-{name}", **money, **more}


WATCHING: dict[str, Example] = {
    "logs": (
        "aws:cloudwatch/logGroup:LogGroup",
        {
            "name": "/tests/~",
            "kmsKeyId": "$key.arn",
            "retentionInDays": 90,
            "skipDestroy": False,
            **NAMED,
        },
    ),
    "flow": (
        "aws:ec2/flowLog:FlowLog",
        {
            "vpcId": "$vpc.id",
            "trafficType": "ALL",
            "logDestinationType": "cloud-watch-logs",
            "logDestination": "$logs.arn",
            "iamRoleArn": "$control.arn",
            "maxAggregationInterval": 60,
            "logFormat": "${version} ${account-id} ${action}",
            **NAMED,
        },
    ),
    "topic": (
        "aws:sns/topic:Topic",
        {"name": "~-alarms", "displayName": "alarms", "kmsMasterKeyId": "$key.keyId", **NAMED},
    ),
    "topic_policy": (
        "aws:sns/topicPolicy:TopicPolicy",
        {
            "arn": "$topic.arn",
            "policy": document({**PUBLISH, "Resource": "arn:aws:sns:us-east-1:123456789012:~-alarms"}),
        },
    ),
    "told": (
        "aws:sns/topicSubscription:TopicSubscription",
        {"topic": "$topic.arn", "protocol": "email", "endpoint": "somebody@example.com"},
    ),
    "budget": _budget(
        "month",
        accountId="123456789012",
        metrics="UnblendedCost",
        filterExpression={
            "ands": [{"tags": _TAGGED}, {"dimensions": _REGION}],
        },
        notifications=[
            {**_NOTICE, "notificationType": "FORECASTED", "subscriberSnsTopicArns": ["$topic.arn"]},
            {**_NOTICE, "notificationType": "ACTUAL", "subscriberEmailAddresses": ["somebody@example.com"]},
        ],
        **NAMED,
    ),
    "tagged": _budget("tagged", metrics="UnblendedCost", filterExpression={"tags": _TAGGED}),
    "there": _budget("there", metrics="UnblendedCost", filterExpression={"dimensions": _REGION}),
}

EXAMPLES = {**NETWORK, **IDENTITY, **STORES, **CLUSTER, **WATCHING}
