"""The rest of the AWS test server: who a token is, what every call is checked for, what may not be removed yet."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.aws.account import Account, refused, until
from tests.aws.inventory import left_over, snapshot
from tests.standins.aws_server import AwsServer
from tests.standins.aws_server.validation import violations

ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


class Signed(SigV4QueryAuth):  # type: ignore[misc]
    """A signature as of any time."""

    at = datetime.now(UTC)

    def add_auth(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self.at.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


def token(
    cluster: str,
    keys: Credentials,
    at: datetime | None = None,
    host: str = "https://sts.us-east-1.amazonaws.com",
    action: str = "GetCallerIdentity",
    expires: int = 60,
) -> str:
    signer = Signed(keys, "sts", "us-east-1", expires)
    signer.at = at or datetime.now(UTC)
    query = {"Action": action, "Version": "2011-06-15"}
    request = AWSRequest("GET", f"{host}/", headers={"x-k8s-aws-id": cluster} if cluster else {}, params=query)
    signer.add_auth(request)
    return encoded(str(request.url))


def encoded(url: str) -> str:
    return f"k8s-aws-v1.{base64.urlsafe_b64encode(url.encode()).decode().rstrip('=')}"


@pytest.fixture
def person(account: Account) -> tuple[str, Credentials]:
    """A role with a session, and an entry in the cluster for it."""
    account.cluster()
    role = account.role("person", "ec2.amazonaws.com")
    made = account.server.client("sts").assume_role(RoleArn=role, RoleSessionName="ann@example")["Credentials"]
    account.eks.create_access_entry(clusterName=account.name, principalArn=role, kubernetesGroups=["readers"])
    return role, Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def test_a_token_is_the_user_and_the_groups_of_its_access_entry(account: Account, person: Any) -> None:
    role, keys = person

    found = account.server.review(account.name, token(account.name, keys))

    assert found["authenticated"] is True
    assert found["user"]["groups"] == ["readers"]
    assert found["user"]["username"].endswith(f"assumed-role/{role.rpartition('/')[2]}/ann-example")
    assert found["user"]["extra"]["canonicalArn"] == [role]


def test_the_cluster_administrators_policy_is_the_group_that_may_do_everything(account: Account, person: Any) -> None:
    role, keys = person
    named = {"clusterName": account.name, "principalArn": role}

    def groups() -> list[str]:
        found: list[str] = account.server.review(account.name, token(account.name, keys))["user"]["groups"]
        return found

    account.eks.associate_access_policy(
        **named, policyArn=ADMIN, accessScope={"type": "namespace", "namespaces": ["one"]}
    )
    assert groups() == ["readers"]
    account.eks.associate_access_policy(**named, policyArn=ADMIN, accessScope={"type": "cluster"})
    assert groups() == ["readers", "system:masters"]


def test_a_token_that_proves_nothing_is_nobodys(account: Account, person: Any) -> None:
    _, keys = person
    now = datetime.now(UTC)
    stranger = Credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    url = base64.urlsafe_b64decode(token(account.name, keys).removeprefix("k8s-aws-v1.") + "==").decode()
    cases = {
        "does not match": token("another-cluster", keys),
        "is not among the signed headers": token("", keys),
        "expired": token(account.name, keys, at=now - timedelta(minutes=16)),
        "in the future": token(account.name, keys, at=now + timedelta(minutes=10)),
        "unexpected hostname": token(account.name, keys, host="https://sts.evil.example"),
        "unexpected scheme": token(account.name, keys, host="http://sts.us-east-1.amazonaws.com"),
        "unexpected action": token(account.name, keys, action="GetSessionToken"),
        "at most 900 s": token(account.name, keys, expires=3600),
        "not one of this account": token(account.name, stranger),
        "the signature does not match": token(
            account.name, Credentials(keys.access_key, f"{keys.secret_key}x", keys.token)
        ),
        "given twice": encoded(f"{url}&Action=GetCallerIdentity"),
        "the URL has no": encoded("https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&X-Amz-Expires=60"),
        "does not begin": "k8s-aws-v2.x",
        "not a URL in base64": "k8s-aws-v1.__7_",
    }
    for message, given in cases.items():
        found = account.server.review(account.name, given)
        assert found["authenticated"] is False, message
        assert message in found["error"]
    assert account.server.review(account.name, token(account.name, keys))["authenticated"] is True
    assert "no such cluster" in account.server.review("nowhere", token("nowhere", keys))["error"]


def test_a_caller_without_an_access_entry_does_not_get_in(account: Account, person: Any) -> None:
    role, keys = person
    account.eks.delete_access_entry(clusterName=account.name, principalArn=role)
    assert "has no access entry" in account.server.review(account.name, token(account.name, keys))["error"]


def test_a_token_of_the_products_own_making_is_accepted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.aws.token import token as made  # noqa: PLC0415  it reads the environment

    account.cluster(accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True})
    for name, value in account.server.variables.items():
        monkeypatch.setenv(name, value)

    found = account.server.review(account.name, made(account.name, "us-east-1"))

    assert found["user"]["groups"] == ["system:masters"], found


def test_a_joint_test_says_where_the_api_server_of_a_cluster_is(account: Account) -> None:
    account.server.clusters_are_at("https://127.0.0.1:6443", "Y2VydA==")
    try:
        made = account.create()
    finally:
        account.server.clusters_are_at("", "")
    assert (made["endpoint"], made["certificateAuthority"]["data"]) == ("https://127.0.0.1:6443", "Y2VydA==")


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
