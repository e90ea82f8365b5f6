"""What moto forgets or keeps and AWS does not: each mended, so that a stack sees the account as it would be."""

from __future__ import annotations

import json
from typing import Any

from tests.aws.account import Account, refused


def test_what_a_vpc_has_from_the_start_goes_with_it(account: Account) -> None:
    here = [{"Name": "vpc-id", "Values": [account.vpc]}]
    assert account.ec2.describe_network_acls(Filters=here)["NetworkAcls"]
    for subnet in account.subnets:
        account.ec2.delete_subnet(SubnetId=subnet)
    account.ec2.delete_vpc(VpcId=account.vpc)
    assert not account.ec2.describe_network_acls(Filters=here)["NetworkAcls"]


def test_the_interface_of_a_nat_gateway_goes_with_it(account: Account) -> None:
    here = [{"Name": "subnet-id", "Values": [account.subnets[0]]}]
    address = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = account.ec2.create_nat_gateway(SubnetId=account.subnets[0], AllocationId=address)["NatGateway"]
    assert account.ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]
    account.ec2.delete_nat_gateway(NatGatewayId=made["NatGatewayId"])
    assert not account.ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]


def test_a_launch_templates_own_tags_are_current_and_not_those_of_instances(account: Account) -> None:
    def tagged(kind: str, value: str) -> dict[str, Any]:
        return {"ResourceType": kind, "Tags": [{"Key": "k", "Value": value}]}

    made = account.ec2.create_launch_template(
        LaunchTemplateName=account.name,
        LaunchTemplateData={"TagSpecifications": [tagged("instance", "of instances")]},
        TagSpecifications=[tagged("launch-template", "its own")],
    )["LaunchTemplate"]["LaunchTemplateId"]
    account.ec2.create_tags(Resources=[made], Tags=[{"Key": "k", "Value": "new"}])

    found = account.ec2.describe_launch_templates(LaunchTemplateIds=[made])["LaunchTemplates"][0]
    versions = account.ec2.describe_launch_template_versions(LaunchTemplateId=made)["LaunchTemplateVersions"]
    assert found["Tags"] == [{"Key": "k", "Value": "new"}]
    assert versions[0]["LaunchTemplateData"]["TagSpecifications"] == [tagged("instance", "of instances")]


def test_a_rule_about_a_security_group_keeps_its_description(account: Account) -> None:
    one, other = (
        account.ec2.create_security_group(GroupName=name, Description="d", VpcId=account.vpc)["GroupId"]
        for name in ("one", "other")
    )
    pairs = [{"GroupId": other, "Description": "why"}]
    account.ec2.authorize_security_group_ingress(
        GroupId=one, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": pairs}]
    )
    rules = account.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [one]}])
    assert [rule.get("Description") for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]] == ["why"]


def test_a_database_keeps_performance_insights_and_its_subnet_group_when_that_is_changed(account: Account) -> None:
    rds, key = account.server.client("rds"), account.server.client("kms").create_key()["KeyMetadata"]["Arn"]
    named = {"DBSubnetGroupName": account.name}
    rds.create_db_subnet_group(**named, DBSubnetGroupDescription="d", SubnetIds=account.subnets)
    rds.create_db_instance(
        DBInstanceIdentifier=account.name,
        Engine="postgres",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="u",
        ManageMasterUserPassword=True,
        EnablePerformanceInsights=True,
        PerformanceInsightsKMSKeyId=key,
        **named,
    )
    third = account.subnet("10.0.7.0/24", "us-east-1c")
    rds.modify_db_subnet_group(**named, SubnetIds=[*account.subnets, third])

    found = rds.describe_db_instances(DBInstanceIdentifier=account.name)["DBInstances"][0]
    group = rds.describe_db_subnet_groups(**named)["DBSubnetGroups"][0]
    insights = {key: value for key, value in found.items() if key.startswith("PerformanceInsights")}
    assert insights == {
        "PerformanceInsightsEnabled": True,
        "PerformanceInsightsKMSKeyId": key,
        "PerformanceInsightsRetentionPeriod": 7,
    }
    assert len(group["Subnets"]) == 3
    missing = {"DBSubnetGroupName": f"{account.name}x", "SubnetIds": account.subnets}
    refused("DBSubnetGroupNotFoundFault", lambda: rds.modify_db_subnet_group(**missing))
    rds.delete_db_instance(DBInstanceIdentifier=account.name, SkipFinalSnapshot=True)


def test_a_bucket_shows_which_encryption_it_refuses(account: Account) -> None:
    s3 = account.server.client("s3")
    s3.create_bucket(Bucket=account.name)
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
        "BucketKeyEnabled": True,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    s3.put_bucket_encryption(Bucket=account.name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=account.name)["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    s3.delete_bucket(Bucket=account.name)


def test_a_gateway_endpoint_can_go_after_its_route_tables_changed(account: Account) -> None:
    tables = [account.ec2.create_route_table(VpcId=account.vpc)["RouteTable"]["RouteTableId"] for _ in range(2)]
    service = {"VpcId": account.vpc, "ServiceName": "com.amazonaws.us-east-1.s3", "VpcEndpointType": "Gateway"}
    made = account.ec2.create_vpc_endpoint(**service, RouteTableIds=tables[:1])["VpcEndpoint"]["VpcEndpointId"]

    account.ec2.modify_vpc_endpoint(VpcEndpointId=made, AddRouteTableIds=tables[1:], RemoveRouteTableIds=tables[:1])

    routes = {
        table["RouteTableId"]: [route.get("DestinationPrefixListId") for route in table["Routes"]]
        for table in account.ec2.describe_route_tables(RouteTableIds=tables)["RouteTables"]
    }
    assert [any(routes[table]) for table in tables] == [False, True], json.dumps(routes)
    account.ec2.delete_vpc_endpoints(VpcEndpointIds=[made])
    states = account.ec2.describe_vpc_endpoints(VpcEndpointIds=[made])["VpcEndpoints"]
    assert [entry["State"] for entry in states] == ["deleted"]


def test_a_bucket_by_tls_only_takes_objects_and_what_else_it_denies_stays_denied(account: Account) -> None:
    s3 = account.server.client("s3")
    name = f"{account.name}-tls"
    s3.create_bucket(Bucket=name)

    def deny(action: str, **more: Any) -> dict[str, Any]:
        return {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{name}/*", **more}

    insecure = deny("s3:*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    for statements in ([insecure], [insecure, deny("s3:PutObject")]):
        policy = {"Version": "2012-10-17", "Statement": statements}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
        if len(statements) == 1:
            s3.put_object(Bucket=name, Key="a", Body=b"a")
        else:
            refused("403", lambda: s3.put_object(Bucket=name, Key="b", Body=b"b"))
    s3.delete_bucket_policy(Bucket=name)


def test_a_bucket_whose_versioning_was_suspended_can_be_emptied(account: Account) -> None:
    s3 = account.server.client("s3")
    named = {"Bucket": f"{account.name}-versions"}
    s3.create_bucket(**named)
    s3.put_bucket_versioning(**named, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(**named, Key="a", Body=b"a")
    s3.delete_object(**named, Key="a")
    s3.put_bucket_versioning(**named, VersioningConfiguration={"Status": "Suspended"})
    found = s3.list_object_versions(**named)
    objects = [{"Key": "a", "VersionId": one["VersionId"]} for one in (*found["Versions"], *found["DeleteMarkers"])]
    assert len(objects) == 2, "the control: an object and a marker"
    s3.delete_objects(**named, Delete={"Objects": objects})
    assert "Versions" not in s3.list_object_versions(**named)
    s3.delete_bucket(**named)
