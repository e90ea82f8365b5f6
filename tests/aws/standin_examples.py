"""One resource or more of every type that the stand-in of the AWS plugin knows, with every property that its row has.

Properties have the names that they have on the wire. `$NAME.ATTRIBUTE` is an output of an earlier example,
`$NAME.ATTRIBUTE.KEY` a part of one; `~` is what makes the names unique.
It is long because it is one table, in the order in which things are made.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

Example = tuple[str, dict[str, Any]]
_OUTPUT = re.compile(r"\$\w+(\.\w+)+")


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _trust(service: str) -> str:
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole"]})


_PODS = document(
    {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
)
_BUCKET = "~-artifacts"
_READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{_BUCKET}/*"]}
_TLS = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [f"arn:aws:s3:::{_BUCKET}", f"arn:aws:s3:::{_BUCKET}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
_OWN_KEY = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Action": "kms:*",
    "Resource": "*",
}
PUBLISH = {"Effect": "Allow", "Principal": {"Service": "budgets.amazonaws.com"}, "Action": "sns:Publish"}
_EXPIRE = {
    "rulePriority": 1,
    "description": "untagged",
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7},
    "action": {"type": "expire"},
}
NAMED = {"tags": {"Name": "~-named"}}

NETWORK: dict[str, Example] = {
    "vpc": (
        "aws:ec2/vpc:Vpc",
        {
            "cidrBlock": "10.77.0.0/16",
            "instanceTenancy": "default",
            "enableDnsSupport": True,
            "enableDnsHostnames": True,
            **NAMED,
        },
    ),
    "closed": ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {"vpcId": "$vpc.id", "ingress": [], "egress": []}),
    "subnet_a": (
        "aws:ec2/subnet:Subnet",
        {
            "vpcId": "$vpc.id",
            "cidrBlock": "10.77.1.0/24",
            "availabilityZone": "us-east-1a",
            "mapPublicIpOnLaunch": True,
            "assignIpv6AddressOnCreation": False,
            **NAMED,
        },
    ),
    "subnet_b": (
        "aws:ec2/subnet:Subnet",
        {"vpcId": "$vpc.id", "cidrBlock": "10.77.2.0/24", "availabilityZoneId": "use1-az4"},
    ),
    "internet": ("aws:ec2/internetGateway:InternetGateway", {"vpcId": "$vpc.id", **NAMED}),
    "table": ("aws:ec2/routeTable:RouteTable", {"vpcId": "$vpc.id", **NAMED}),
    "table_b": ("aws:ec2/routeTable:RouteTable", {"vpcId": "$vpc.id"}),
    "out": (
        "aws:ec2/route:Route",
        {"routeTableId": "$table.id", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "$internet.id"},
    ),
    "associated": (
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": "$table.id", "subnetId": "$subnet_a.id"},
    ),
    "address": ("aws:ec2/eip:Eip", {"domain": "vpc", **NAMED}),
    "nat": (
        "aws:ec2/natGateway:NatGateway",
        {
            "allocationId": "$address.allocationId",
            "subnetId": "$subnet_a.id",
            "connectivityType": "public",
            **NAMED,
        },
    ),
    "private_out": (
        "aws:ec2/route:Route",
        {"routeTableId": "$table_b.id", "destinationCidrBlock": "10.99.0.0/16", "natGatewayId": "$nat.id"},
    ),
    "store": (
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "$vpc.id",
            "serviceName": "com.amazonaws.us-east-1.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": ["$table.id"],
            "policy": document({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}),
            **NAMED,
        },
    ),
    "group": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"name": "~-group", "description": "of a test", "vpcId": "$vpc.id", "revokeRulesOnDelete": True, **NAMED},
    ),
    "registry_endpoint": (
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "$vpc.id",
            "serviceName": "com.amazonaws.us-east-1.ecr.api",
            "vpcEndpointType": "Interface",
            "privateDnsEnabled": True,
            "subnetIds": ["$subnet_a.id"],
            "securityGroupIds": ["$group.id"],
        },
    ),
    "https": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "$group.id",
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 444,
            "cidrIpv4": "10.77.0.0/16",
            "description": "HTTPS inside",
            **NAMED,
        },
    ),
    "friends": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "$group.id",
            "ipProtocol": "tcp",
            "fromPort": 5432,
            "toPort": 5433,
            "referencedSecurityGroupId": "$group.id",
            "description": "of the same group",
        },
    ),
    "enter_by_six": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"securityGroupId": "$group.id", "ipProtocol": "-1", "cidrIpv6": "fd00::/8"},
    ),
}

IDENTITY: dict[str, Example] = {
    "key": (
        "aws:kms/key:Key",
        {
            "description": "of a test",
            "keyUsage": "ENCRYPT_DECRYPT",
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "multiRegion": False,
            "policy": document(_OWN_KEY),
            "bypassPolicyLockoutSafetyCheck": False,
            "isEnabled": True,
            "enableKeyRotation": True,
            "deletionWindowInDays": 8,
            **NAMED,
        },
    ),
    "key_name": ("aws:kms/alias:Alias", {"name": "alias/~-key", "targetKeyId": "$key.keyId"}),
    "control": (
        "aws:iam/role:Role",
        {
            "name": "~-control",
            "assumeRolePolicy": _trust("eks.amazonaws.com"),
            "description": "the control plane",
            "path": "/of-tests/",
            "maxSessionDuration": 7200,
            "permissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess",
            "forceDetachPolicies": True,
            **NAMED,
        },
    ),
    "control_rights": (
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": "$control.name", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
    ),
    "reads": (
        "aws:iam/rolePolicy:RolePolicy",
        {"role": "$control.name", "name": "reads", "policy": document(_READ)},
    ),
    "unnamed": ("aws:iam/rolePolicy:RolePolicy", {"role": "$control.name", "policy": document(_READ)}),
    "nodes": ("aws:iam/role:Role", {"name": "~-nodes", "assumeRolePolicy": _trust("ec2.amazonaws.com")}),
    "pods": ("aws:iam/role:Role", {"name": "~-pods", "assumeRolePolicy": _PODS}),
    "other_pods": ("aws:iam/role:Role", {"name": "~-other-pods", "assumeRolePolicy": _PODS}),
    "github": (
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {
            "url": "https://~.example.com",
            "clientIdLists": ["sts.amazonaws.com", "another.example.com"],
            "thumbprintLists": ["cf23df2207d99a74fbe169e3eba035e633b65d94"],
            **NAMED,
        },
    ),
}

STORES: dict[str, Example] = {
    "bucket": (
        "aws:s3/bucket:Bucket",
        {"bucket": _BUCKET, "forceDestroy": True, "objectLockEnabled": True, **NAMED},
    ),
    "block": (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {
            "bucket": "$bucket.id",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
    ),
    "owners": (
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"bucket": "$bucket.id", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
    ),
    "versions": (
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "$bucket.id", "versioningConfiguration": {"status": "Enabled"}},
    ),
    "encryption": (
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {
            "bucket": "$bucket.id",
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "$key.arn"},
                    "bucketKeyEnabled": True,
                    "blockedEncryptionTypes": ["SSE-C"],
                }
            ],
        },
    ),
    "lifecycle": (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {
            "bucket": "$bucket.id",
            "transitionDefaultMinimumObjectSize": "all_storage_classes_128K",
            "rules": [
                {
                    "id": "checkpoints",
                    "status": "Enabled",
                    "filter": {"prefix": "checkpoints/"},
                    "expiration": {"days": 14},
                    "noncurrentVersionExpiration": {"noncurrentDays": 3},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 5},
                    "transitions": [{"days": 6, "storageClass": "INTELLIGENT_TIERING"}],
                },
                {
                    "id": "markers",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"expiredObjectDeleteMarker": True},
                },
            ],
        },
    ),
    "bucket_policy": ("aws:s3/bucketPolicy:BucketPolicy", {"bucket": "$bucket.id", "policy": document(_TLS)}),
    "images": (
        "aws:ecr/repository:Repository",
        {
            "name": "~-images",
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": "$key.arn"}],
            "forceDelete": True,
            **NAMED,
        },
    ),
    "images_kept": (
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        {"repository": "$images.name", "policy": json.dumps({"rules": [_EXPIRE]})},
    ),
    "database_subnets": (
        "aws:rds/subnetGroup:SubnetGroup",
        {"name": "~-subnets", "description": "of a test", "subnetIds": ["$subnet_a.id", "$subnet_b.id"], **NAMED},
    ),
    "parameters": (
        "aws:rds/parameterGroup:ParameterGroup",
        {
            "name": "~-parameters",
            "family": "postgres17",
            "description": "TLS only",
            "parameters": [{"name": "rds.force_ssl", "value": "1", "applyMethod": "pending-reboot"}],
            **NAMED,
        },
    ),
    "database": (
        "aws:rds/instance:Instance",
        {
            "identifier": "~-database",
            "instanceClass": "db.m7g.large",
            "engine": "postgres",
            "engineVersion": "17",
            "autoMinorVersionUpgrade": True,
            "allocatedStorage": 25,
            "maxAllocatedStorage": 75,
            "storageType": "gp3",
            "storageEncrypted": True,
            "kmsKeyId": "$key.arn",
            "multiAz": True,
            "dbName": "tracking",
            "port": 5439,
            "username": "master",
            "manageMasterUserPassword": True,
            "masterUserSecretKmsKeyId": "$key.arn",
            "iamDatabaseAuthenticationEnabled": True,
            "dbSubnetGroupName": "$database_subnets.name",
            "vpcSecurityGroupIds": ["$group.id"],
            "publiclyAccessible": False,
            "parameterGroupName": "$parameters.name",
            "caCertIdentifier": "rds-ca-rsa2048-g1",
            "backupRetentionPeriod": 9,
            "backupWindow": "02:00-03:00",
            "maintenanceWindow": "sun:03:30-sun:04:30",
            "copyTagsToSnapshot": True,
            "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
            "performanceInsightsEnabled": True,
            "performanceInsightsKmsKeyId": "$key.arn",
            "performanceInsightsRetentionPeriod": 31,
            "deletionProtection": False,
            "deleteAutomatedBackups": True,
            "applyImmediately": True,
            "skipFinalSnapshot": False,
            "finalSnapshotIdentifier": "~-last",
            **NAMED,
        },
    ),
}


def named(examples: Mapping[str, Example], unique: str) -> dict[str, Example]:
    """Return examples with their names made unique."""
    text = json.dumps(examples).replace("~", unique)
    return {name: (token, inputs) for name, (token, inputs) in json.loads(text).items()}


def resolved(value: Any, made: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return inputs with the outputs that they name."""
    if isinstance(value, str) and _OUTPUT.fullmatch(value):
        name, *inner = value[1:].split(".")
        found: Any = made[name]
        for key in inner:
            found = found[int(key)] if isinstance(found, list) else found[key]
        return copy.deepcopy(found)
    if isinstance(value, dict):
        return {key: resolved(item, made) for key, item in value.items()}
    return [resolved(item, made) for item in value] if isinstance(value, list) else value
