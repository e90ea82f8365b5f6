"""The rest of the AWS test server: what every call is checked for, what may not be removed yet, what is left over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from tests.aws.account import Account, refused, until
from tests.aws.inventory import left_over, snapshot
from tests.standins.aws_server import AwsServer
from tests.standins.aws_server.validation import violations


def test_calls_of_other_services_are_held_against_their_models_too(account: Account) -> None:
    tenancy = refused(
        "ValidationError", lambda: account.ec2.create_vpc(CidrBlock="10.1.0.0/16", InstanceTenancy="shared")
    )
    name = refused("ValidationError", lambda: account.server.client("logs").create_log_group(logGroupName="a b"))

    assert "'shared' is none of default, dedicated, host" in tenancy
    assert "does not satisfy" in name
    assert account.ec2.create_vpc(CidrBlock="10.1.0.0/16", InstanceTenancy="dedicated")


def test_what_the_server_lacks_it_says_once_and_does_not_ask_to_be_tried_again(account: Account) -> None:
    refused("NotImplemented", account.ec2.describe_ipams)
    refused("NotImplemented", lambda: account.eks.list_insights(clusterName="any"))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"name": "x"}, "roleArn: is required"),
        ({"name": "x y", "roleArn": "r", "resourcesVpcConfig": {}}, "does not satisfy"),
        ({"name": "x" * 101, "roleArn": "r", "resourcesVpcConfig": {}}, "more than 100"),
        ({"name": 3, "roleArn": "r", "resourcesVpcConfig": {}}, "must be a string"),
        ({"name": "x", "roleArn": "r", "resourcesVpcConfig": {"subnets": []}}, "is no member of VpcConfigRequest"),
        ({"name": "x", "roleArn": "r", "resourcesVpcConfig": {"endpointPublicAccess": "yes"}}, "must be a boolean"),
        ({"name": "x", "roleArn": "r", "resourcesVpcConfig": {}, "tags": {}}, "is less than 1"),
    ],
)
def test_a_violation_of_a_model_names_member_and_rule(value: dict[str, Any], rule: str) -> None:
    model = botocore.session.get_session().get_service_model("eks").operation_model("CreateCluster")
    good = {"name": "x", "roleArn": "r", "resourcesVpcConfig": {"endpointPublicAccess": True}}

    assert any(rule in text for text in violations(value, model.input_shape))
    assert list(violations(good, model.input_shape)) == []


def test_a_network_goes_only_after_what_is_in_it(account: Account) -> None:
    subnet = account.subnets[0]
    gateway = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc)
    address = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = account.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    group = account.ec2.create_security_group(GroupName="g", Description="d", VpcId=account.vpc)["GroupId"]
    account.cluster(resourcesVpcConfig={"subnetIds": account.subnets, "securityGroupIds": [group]})

    assert account.name in refused("DependencyViolation", lambda: account.ec2.delete_subnet(SubnetId=subnet))
    assert account.name in refused("DependencyViolation", lambda: account.ec2.delete_security_group(GroupId=group))
    account.delete()
    until(account.clusters, lambda names: account.name not in names)
    account.ec2.delete_security_group(GroupId=group)
    assert nat in refused("DependencyViolation", lambda: account.ec2.delete_subnet(SubnetId=subnet))
    assert nat in refused("InvalidIPAddress.InUse", lambda: account.ec2.release_address(AllocationId=address))
    detached = {"InternetGatewayId": gateway, "VpcId": account.vpc}
    assert nat in refused("DependencyViolation", lambda: account.ec2.detach_internet_gateway(**detached))
    account.ec2.delete_nat_gateway(NatGatewayId=nat)
    account.ec2.release_address(AllocationId=address)
    for one in account.subnets:
        account.ec2.delete_subnet(SubnetId=one)
    assert gateway in refused("DependencyViolation", lambda: account.ec2.delete_vpc(VpcId=account.vpc))
    account.ec2.detach_internet_gateway(**detached)
    account.ec2.delete_vpc(VpcId=account.vpc)


def test_a_database_holds_its_subnets_and_groups(account: Account) -> None:
    rds = account.server.client("rds")
    group = account.ec2.create_security_group(GroupName="g", Description="d", VpcId=account.vpc)["GroupId"]
    name = {"DBSubnetGroupName": account.name}
    rds.create_db_subnet_group(**name, DBSubnetGroupDescription="d", SubnetIds=account.subnets)
    rds.create_db_instance(
        DBInstanceIdentifier=account.name,
        Engine="postgres",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="u",
        ManageMasterUserPassword=True,
        VpcSecurityGroupIds=[group],
        **name,
    )

    refused("InvalidDBSubnetGroupStateFault", lambda: rds.delete_db_subnet_group(**name))
    refused("DependencyViolation", lambda: account.ec2.delete_security_group(GroupId=group))
    refused("DependencyViolation", lambda: account.ec2.delete_subnet(SubnetId=account.subnets[0]))
    rds.delete_db_instance(DBInstanceIdentifier=account.name, SkipFinalSnapshot=True)
    rds.delete_db_subnet_group(**name)
    account.ec2.delete_security_group(GroupId=group)
    account.ec2.delete_subnet(SubnetId=account.subnets[0])


def test_a_budget_keeps_its_alarms_and_tags_when_its_limit_changes(account: Account) -> None:
    budgets = account.server.client("budgets")
    named = {"AccountId": account.server.account, "BudgetName": account.name}
    limit = {"BudgetName": account.name, "TimeUnit": "MONTHLY", "BudgetType": "COST"}
    alarm = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
    people = [{"SubscriptionType": "EMAIL", "Address": "ann@example.com"}]
    arn = f"arn:aws:budgets::{account.server.account}:budget/{account.name}"

    def write(operation: str, member: str, amount: str, **given: Any) -> None:
        budget = {**limit, "BudgetLimit": {"Amount": amount, "Unit": "USD"}}
        getattr(budgets, operation)(AccountId=account.server.account, **{member: budget}, **given)

    refused("NotFoundException", lambda: write("update_budget", "NewBudget", "10"))
    write(
        "create_budget",
        "Budget",
        "10",
        NotificationsWithSubscribers=[{"Notification": alarm, "Subscribers": people}],
        ResourceTags=[{"Key": "a", "Value": "b"}],
    )
    refused("DuplicateRecordException", lambda: write("create_budget", "Budget", "10"))
    write("update_budget", "NewBudget", "20")
    held = budgets.describe_notifications_for_budget(**named)["Notifications"][0]

    assert budgets.describe_budget(**named)["Budget"]["BudgetLimit"]["Amount"] == "20"
    assert held == {**alarm, "ThresholdType": "PERCENTAGE", "NotificationState": "OK"}
    assert budgets.describe_subscribers_for_notification(**named, Notification=held)["Subscribers"] == people
    assert budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "a", "Value": "b"}]
    budgets.delete_budget(**named)
    refused("NotFoundException", lambda: budgets.describe_budget(**named))


def test_a_placement_group_is_made_once_tagged_and_deleted(account: Account) -> None:
    named = {"GroupName": account.name}
    tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = account.ec2.create_placement_group(**named, Strategy="cluster", TagSpecifications=tags)["PlacementGroup"]
    refused("InvalidPlacementGroup.Duplicate", lambda: account.ec2.create_placement_group(**named, Strategy="cluster"))
    account.ec2.create_tags(Resources=[made["GroupId"]], Tags=[{"Key": "c", "Value": "d"}])
    account.ec2.delete_tags(Resources=[made["GroupId"]], Tags=[{"Key": "a"}])

    found = account.ec2.describe_placement_groups(GroupNames=[account.name])["PlacementGroups"][0]
    assert (found["Strategy"], found["State"], found["Tags"]) == ("cluster", "available", [{"Key": "c", "Value": "d"}])
    account.ec2.delete_placement_group(**named)
    refused("InvalidPlacementGroup.Unknown", lambda: account.ec2.describe_placement_groups(GroupNames=[account.name]))


def test_the_call_log_has_what_was_sent_and_not_what_the_server_asks_itself(account: Account) -> None:
    account.cluster(tags={"log": "this"})
    sent = [call for call in account.server.calls("eks", "CreateCluster") if call["parameters"]["name"] == account.name]
    groups = account.server.calls("ec2", "CreateSecurityGroup")

    assert [call["parameters"]["tags"] for call in sent] == [{"log": "this"}]
    assert not [call for call in groups if "eks-cluster-sg" in json.dumps(call)]


@pytest.fixture
def rich(server: AwsServer) -> Iterator[dict[str, str]]:
    """One of many kinds of things, each by the name that the inventory gives it; removed at the end."""
    named = {"s3 Buckets left": "", "logs logGroups left": "", "ecr repositories left": "", "iam Roles left": ""}
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    server.client("s3").create_bucket(Bucket="left")
    server.client("logs").create_log_group(logGroupName="left")
    server.client("ecr").create_repository(repositoryName="left")
    server.client("iam").create_role(RoleName="left", AssumeRolePolicyDocument=trust)
    yield named
    server.client("s3").delete_bucket(Bucket="left")
    server.client("logs").delete_log_group(logGroupName="left")
    server.client("ecr").delete_repository(repositoryName="left")
    server.client("iam").delete_role(RoleName="left")


def test_the_inventory_finds_what_is_left_and_nothing_that_was_there(
    server: AwsServer, account: Account, request: pytest.FixtureRequest
) -> None:
    before = snapshot(server.client, server.account)
    rich = request.getfixturevalue("rich")
    account.cluster()
    account.addon("vpc-cni")
    account.group("system", scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1})
    key = server.client("kms").create_key()["KeyMetadata"]["KeyId"]

    found = left_over(before, snapshot(server.client, server.account))

    assert set(rich) <= set(found)
    assert {f"eks clusters {account.name}", f"eks nodegroups {account.name}/system", f"kms Keys {key}"} <= set(found)
    kinds = {name.rpartition(" ")[0] for name in found}
    assert {"ec2 Instances", "autoscaling AutoScalingGroups", "ec2 LaunchTemplates", "ec2 SecurityGroups"} <= kinds
    assert not [name for name in found if "default" in name]
    account.eks.delete_nodegroup(clusterName=account.name, nodegroupName="system")
    until(account.groups, lambda names: not names)
    account.delete()
    until(account.clusters, lambda names: account.name not in names)
    server.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert set(left_over(before, snapshot(server.client, server.account))) == set(rich)
