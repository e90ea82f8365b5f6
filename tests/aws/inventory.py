"""Everything an AWS account holds, listed service by service, and what of it a stack left behind.

An account is never empty: a snapshot from before says what was there. Keys that are scheduled for deletion, instances
and gateways that have ended are gone: AWS shows them a while longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Client = Callable[[str], Any]
Found = Iterator[str]
ENDED = frozenset({"deleted", "deleting", "terminated", "shutting-down"})
GONE = frozenset({"PendingDeletion"})


def snapshot(client: Client, account: str) -> frozenset[str]:
    """Return everything that there is, each as `service kind name`."""
    listed = (_ec2, _eks, _iam, _s3, _kms, _ecr, _rds, _logs, _scaling, _sns, _budgets, _secrets, _alarms)
    with ThreadPoolExecutor(len(listed)) as threads:
        found = threads.map(lambda kind: [*kind(client, account)], listed)
    return frozenset(name for names in found for name in names)


def left_over(before: frozenset[str], after: frozenset[str]) -> list[str]:
    """Return what is there that was not."""
    return sorted(after - before)


def _pages(client: Any, operation: str, member: str, **given: Any) -> Iterator[Any]:
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**given):
            yield from page[member]
    else:
        yield from getattr(client, operation)(**given)[member]


# (operation, member of the answer, what identifies one, its state)
EC2 = (
    ("describe_vpcs", "Vpcs", "VpcId", None),
    ("describe_subnets", "Subnets", "SubnetId", None),
    ("describe_route_tables", "RouteTables", "RouteTableId", None),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId", None),
    ("describe_nat_gateways", "NatGateways", "NatGatewayId", "State"),
    ("describe_addresses", "Addresses", "AllocationId", None),
    ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "State"),
    ("describe_security_groups", "SecurityGroups", "GroupId", None),
    ("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId", None),
    ("describe_network_acls", "NetworkAcls", "NetworkAclId", None),
    ("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", None),
    ("describe_flow_logs", "FlowLogs", "FlowLogId", None),
    ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", None),
    ("describe_placement_groups", "PlacementGroups", "GroupId", None),
    ("describe_volumes", "Volumes", "VolumeId", None),
    ("describe_key_pairs", "KeyPairs", "KeyPairId", None),
)


def _ec2(client: Client, _: str) -> Found:
    ec2 = client("ec2")
    for operation, member, name, state in EC2:
        for entry in _pages(ec2, operation, member):
            if state is None or entry[state] not in ENDED:
                yield f"ec2 {member} {entry[name]}"
    for reservation in _pages(ec2, "describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ENDED:
                yield f"ec2 Instances {instance['InstanceId']}"


def _eks(client: Client, _: str) -> Found:
    eks = client("eks")
    inside = (
        ("list_nodegroups", "nodegroups"),
        ("list_addons", "addons"),
        ("list_access_entries", "accessEntries"),
    )
    for cluster in _pages(eks, "list_clusters", "clusters"):
        yield f"eks clusters {cluster}"
        for operation, member in inside:
            for name in _pages(eks, operation, member, clusterName=cluster):
                yield f"eks {member} {cluster}/{name}"
        for entry in _pages(eks, "list_pod_identity_associations", "associations", clusterName=cluster):
            yield f"eks associations {entry['associationArn']}"


def _iam(client: Client, _: str) -> Found:
    iam = client("iam")
    for role in _pages(iam, "list_roles", "Roles"):
        yield f"iam Roles {role['RoleName']}"
        for policy in _pages(iam, "list_role_policies", "PolicyNames", RoleName=role["RoleName"]):
            yield f"iam role policies {role['RoleName']}/{policy}"
        for policy in _pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=role["RoleName"]):
            yield f"iam attachments {role['RoleName']}/{policy['PolicyName']}"
    for policy in _pages(iam, "list_policies", "Policies", Scope="Local"):
        yield f"iam Policies {policy['PolicyName']}"
    for profile in _pages(iam, "list_instance_profiles", "InstanceProfiles"):
        yield f"iam InstanceProfiles {profile['InstanceProfileName']}"
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        yield f"iam OpenIDConnectProviders {provider['Arn']}"
    for user in _pages(iam, "list_users", "Users"):
        yield f"iam Users {user['UserName']}"


def _s3(client: Client, _: str) -> Found:
    for bucket in client("s3").list_buckets()["Buckets"]:
        yield f"s3 Buckets {bucket['Name']}"


def _kms(client: Client, _: str) -> Found:
    kms = client("kms")
    aliases = list(_pages(kms, "list_aliases", "Aliases"))
    own = {alias.get("TargetKeyId") for alias in aliases if alias["AliasName"].startswith("alias/aws/")}
    for key in _pages(kms, "list_keys", "Keys"):
        if key["KeyId"] in own:  # AWS makes and keeps those
            continue
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] not in GONE:
            yield f"kms Keys {key['KeyId']}"
    for alias in aliases:
        if not alias["AliasName"].startswith("alias/aws/"):
            yield f"kms Aliases {alias['AliasName']}"


def _ecr(client: Client, _: str) -> Found:
    for repository in _pages(client("ecr"), "describe_repositories", "repositories"):
        yield f"ecr repositories {repository['repositoryName']}"


RDS = (
    ("describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    ("describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    ("describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    ("describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    ("describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
)


def _rds(client: Client, _: str) -> Found:
    rds = client("rds")
    for operation, member, name in RDS:
        for entry in _pages(rds, operation, member):
            yield f"rds {member} {entry[name]}"


def _logs(client: Client, _: str) -> Found:
    for group in _pages(client("logs"), "describe_log_groups", "logGroups"):
        yield f"logs logGroups {group['logGroupName']}"


def _scaling(client: Client, _: str) -> Found:
    scaling = client("autoscaling")
    for group in _pages(scaling, "describe_auto_scaling_groups", "AutoScalingGroups"):
        yield f"autoscaling AutoScalingGroups {group['AutoScalingGroupName']}"
    for tag in _pages(scaling, "describe_tags", "Tags"):
        yield f"autoscaling Tags {tag['ResourceId']}/{tag['Key']}"
    for configuration in _pages(scaling, "describe_launch_configurations", "LaunchConfigurations"):
        yield f"autoscaling LaunchConfigurations {configuration['LaunchConfigurationName']}"


def _sns(client: Client, _: str) -> Found:
    sns = client("sns")
    for topic in _pages(sns, "list_topics", "Topics"):
        yield f"sns Topics {topic['TopicArn']}"
    for subscription in _pages(sns, "list_subscriptions", "Subscriptions"):
        yield f"sns Subscriptions {subscription['SubscriptionArn']}"


def _budgets(client: Client, account: str) -> Found:
    for budget in client("budgets").describe_budgets(AccountId=account)["Budgets"]:
        yield f"budgets Budgets {budget['BudgetName']}"


def _secrets(client: Client, _: str) -> Found:
    for secret in _pages(client("secretsmanager"), "list_secrets", "SecretList"):
        if "DeletedDate" not in secret:
            yield f"secretsmanager SecretList {secret['Name']}"


def _alarms(client: Client, _: str) -> Found:
    for alarm in _pages(client("cloudwatch"), "describe_alarms", "MetricAlarms"):
        yield f"cloudwatch MetricAlarms {alarm['AlarmName']}"


def table(names: list[str]) -> str:
    """Return names as text for a person, a line a kind."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kind, _, which = name.rpartition(" ")
        kinds.setdefault(kind, []).append(which)
    return "\n".join(f"{kind}: {', '.join(sorted(which))}" for kind, which in sorted(kinds.items()))
