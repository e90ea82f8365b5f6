"""The network: which subnets, ways out and endpoints exist, what is open, and what comes before what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pulumi import Output, ResourceOptions

from components.aws.network import Network, NetworkArgs, given_network
from components.aws.vpc_endpoints import INTERFACES
from tests.components.aws_blocks import KEY, NAMES, ZONES, assert_well_formed, document, on_aws
from tests.mock_engine import Engine, run

ARGS = NetworkArgs(names=NAMES, cidr="10.0.0.0/16", zones=ZONES[:2], log_key=KEY)
FULL = replace(ARGS, zones=ZONES, nat="per_zone", endpoints=True)
SUBNET, ROUTE, NAT = "aws:ec2/subnet:Subnet", "aws:ec2/route:Route", "aws:ec2/natGateway:NatGateway"
TABLE, ENDPOINT = "aws:ec2/routeTable:RouteTable", "aws:ec2/vpcEndpoint:VpcEndpoint"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"


def made(args: NetworkArgs) -> Callable[[ResourceOptions], Network]:
    return lambda opts: Network("network", args, opts)


@pytest.fixture(scope="module")
def small() -> Engine:
    return on_aws(made(ARGS))


@pytest.fixture(scope="module")
def full() -> Engine:
    return on_aws(made(FULL))


def names(engine: Engine, type_: str) -> set[str]:
    return {item.name for item in engine.all(type_)}


@pytest.mark.parametrize("args", [ARGS, FULL], ids=["small", "full"])
def test_a_network_is_the_same_in_a_preview_and_twice(args: NetworkArgs) -> None:
    assert_well_formed(made(args))


def test_each_zone_has_a_private_and_a_public_subnet_that_load_balancers_find(full: Engine) -> None:
    by_id = {f"{item.name}-id": item.inputs for item in full.all(SUBNET)}
    assert len(by_id) == len({inputs["cidrBlock"] for inputs in by_id.values()}) == 6
    assert not any(inputs["mapPublicIpOnLaunch"] for inputs in by_id.values()), "no machine gets a public address"
    tables = {item.inputs["subnetId"]: item.inputs["routeTableId"] for item in full.all(ASSOCIATION)}
    public = {id_ for id_, table in tables.items() if table == "network-public-id"}
    for ids, role in ((public, "elb"), (by_id.keys() - public, "internal-elb")):
        assert {by_id[id_]["availabilityZone"] for id_ in ids} == set(ZONES)
        roles = [[key for key in by_id[id_]["tags"] if key.startswith("kubernetes.io/role/")] for id_ in ids]
        assert roles == [[f"kubernetes.io/role/{role}"]] * 3


def test_the_vpc_answers_by_name_and_its_default_group_is_closed(small: Engine) -> None:
    vpc = small.one("aws:ec2/vpc:Vpc").inputs
    assert (vpc["cidrBlock"], vpc["enableDnsHostnames"], vpc["enableDnsSupport"]) == ("10.0.0.0/16", True, True)
    closed = small.one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert (closed["ingress"], closed["egress"]) == ([], [])
    assert closed["vpcId"] == "network-vpc-id"


def test_one_nat_serves_every_zone_and_one_a_zone_serves_its_own(small: Engine, full: Engine) -> None:
    def ways(engine: Engine) -> dict[str, str]:
        tables = {item.inputs["subnetId"]: item.inputs["routeTableId"] for item in engine.all(ASSOCIATION)}
        out = {item.inputs["routeTableId"]: item.inputs.get("natGatewayId") for item in engine.all(ROUTE)}
        return {
            zone: str(out[tables[f"network-private-{zone}-id"]])
            for zone in ZONES
            if f"network-private-{zone}-id" in tables
        }

    assert names(small, NAT) == {f"network-nat-{ZONES[0]}"}
    assert ways(small) == dict.fromkeys(ZONES[:2], f"network-nat-{ZONES[0]}-id")
    assert names(full, NAT) == {f"network-nat-{zone}" for zone in ZONES}
    assert ways(full) == {zone: f"network-nat-{zone}-id" for zone in ZONES}


def test_a_nat_lies_in_a_public_subnet_with_an_address_and_after_the_way_to_the_internet(full: Engine) -> None:
    for item in full.all(NAT):
        zone = item.name.removeprefix("network-nat-")
        assert item.inputs["subnetId"] == f"network-public-{zone}-id"
        assert item.inputs["allocationId"] == f"network-nat-{zone}-allocation"
        assert {"network-public-out", f"network-public-{zone}"} <= set(item.dependencies), "destroy would hang on it"
    assert {item.inputs["domain"] for item in full.all("aws:ec2/eip:Eip")} == {"vpc"}


def test_only_public_subnets_have_a_route_from_the_internet(full: Engine) -> None:
    internet = [item for item in full.all(ROUTE) if item.inputs.get("gatewayId")]
    assert [item.inputs["routeTableId"] for item in internet] == ["network-public-id"]
    public = {
        item.inputs["subnetId"] for item in full.all(ASSOCIATION) if item.inputs["routeTableId"] == "network-public-id"
    }
    assert public == {f"network-public-{zone}-id" for zone in ZONES}


def test_every_subnet_has_a_table_of_its_kind(full: Engine) -> None:
    assert {item.inputs["subnetId"] for item in full.all(ASSOCIATION)} == {
        f"{item.name}-id" for item in full.all(SUBNET)
    }


def test_a_second_nat_moves_no_subnet_to_another_table() -> None:
    """Changing a table under running nodes would cut what they have open."""
    single = on_aws(made(replace(FULL, nat="single")))
    per_zone = on_aws(made(FULL))

    def places(engine: Engine) -> set[tuple[str, str]]:
        return {(item.inputs["subnetId"], item.inputs["routeTableId"]) for item in engine.all(ASSOCIATION)}

    assert places(single) == places(per_zone)
    assert names(single, TABLE) == names(per_zone, TABLE)


def test_traffic_to_s3_stays_inside_from_every_subnet(small: Engine) -> None:
    (gateway,) = small.all(ENDPOINT)
    assert gateway.inputs["serviceName"] == "com.amazonaws.eu-central-1.s3"
    assert gateway.inputs["vpcEndpointType"] == "Gateway"
    assert set(gateway.inputs["routeTableIds"]) == {f"{name}-id" for name in names(small, TABLE)}


def test_interface_endpoints_cover_what_private_nodes_call(full: Engine) -> None:
    interfaces = [item for item in full.all(ENDPOINT) if item.inputs["vpcEndpointType"] == "Interface"]
    services = {item.inputs["serviceName"].removeprefix("com.amazonaws.eu-central-1.") for item in interfaces}
    assert services == set(INTERFACES)
    assert {"eks-auth", "sts", "ecr.api", "ecr.dkr", "ec2", "logs"} <= services, "a node could not join, pull or log"
    for item in interfaces:
        assert item.inputs["privateDnsEnabled"] is True
        assert item.inputs["subnetIds"] == [f"network-private-{zone}-id" for zone in ZONES]
        assert item.inputs["securityGroupIds"] == ["network-endpoints-group-id"]


def test_endpoints_answer_https_from_the_vpc_and_nothing_else(full: Engine) -> None:
    (rule,) = full.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    opened = {key: rule.inputs[key] for key in ("cidrIpv4", "fromPort", "toPort", "ipProtocol")}
    assert opened == {"cidrIpv4": "10.0.0.0/16", "fromPort": 443, "toPort": 443, "ipProtocol": "tcp"}
    assert not full.all("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    group = full.one("aws:ec2/securityGroup:SecurityGroup").inputs
    assert not group.get("ingress")
    assert not group.get("egress")


def test_flow_logs_take_all_traffic_into_an_encrypted_group_that_ends(small: Engine) -> None:
    log, group = small.one("aws:ec2/flowLog:FlowLog").inputs, small.one("aws:cloudwatch/logGroup:LogGroup")
    assert (log["trafficType"], log["vpcId"]) == ("ALL", "network-vpc-id")
    assert log["logDestination"] == "arn:network-flow-logs-group"
    assert log["iamRoleArn"] == "arn:network-flow-logs-role"
    assert (group.inputs["retentionInDays"], group.inputs["kmsKeyId"]) == (30, KEY)
    assert group.inputs["name"].startswith("/aws/vpc/slipway-prod-"), "the key admits groups of this stack only"


def test_the_flow_log_role_writes_to_one_group_and_serves_this_account_only(small: Engine) -> None:
    (trust,) = document(small.one("aws:iam/role:Role"), "assumeRolePolicy")["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": NAMES.account}
    right, look = document(small.one("aws:iam/rolePolicy:RolePolicy"))["Statement"]
    assert (look["Action"], look["Resource"]) == (["logs:DescribeLogGroups"], ["*"]), "a list has no resource"
    group = small.one("aws:cloudwatch/logGroup:LogGroup").inputs["name"]
    arn = f"arn:aws:logs:eu-central-1:123456789012:log-group:{group}"
    assert right["Resource"] == [arn, f"{arn}:*"]
    assert "logs:CreateLogGroup" not in right["Action"], "late records would bring the group back after a destroy"
    assert not any("*" in action for action in right["Action"])
    assert "network-flow-logs-rights" in small.one("aws:ec2/flowLog:FlowLog").dependencies


def test_nodes_wait_for_every_way_out() -> None:
    seen: dict[str, Any] = {}

    def make(opts: ResourceOptions) -> None:
        handle = Network("network", FULL, opts).handle
        seen["ready"] = {resource._name for resource in handle.ready}
        seen["zones"] = [subnet.zone for subnet in handle.private], [subnet.zone for subnet in handle.public]
        Output.all(handle.vpc_id, [subnet.id for subnet in handle.private]).apply(lambda both: seen.update(ids=both))

    on_aws(make)
    assert {f"network-private-out-{zone}" for zone in ZONES} <= seen["ready"]
    assert {f"network-private-{zone}" for zone in ZONES} <= seen["ready"], "a subnet without its table has no way out"
    assert {"network-endpoints-s3", "network-endpoints-eks-auth", "network-endpoints-https"} <= seen["ready"]
    assert seen["zones"] == (ZONES, ZONES)
    assert seen["ids"] == ["network-vpc-id", [f"network-private-{zone}-id" for zone in ZONES]]


def test_what_cannot_be_laid_out_is_refused_before_anything_is_registered() -> None:
    engine = Engine()

    def program() -> None:
        with pytest.raises(ValueError, match=r"1 zones .* spans two or three"):
            Network("network", replace(ARGS, zones=ZONES[:1]))

    run(program, engine=engine)
    assert engine.registrations == []


def test_a_given_network_is_used_and_nothing_is_made_in_it() -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        handle = given_network("vpc-1", "10.1.0.0/16", {"b": "subnet-b", "a": "subnet-a"}, {"a": "subnet-p"})
        seen.update(zones=[subnet.zone for subnet in handle.private], ready=list(handle.ready))
        Output.all(handle.vpc_id, *[subnet.id for subnet in handle.private]).apply(lambda ids: seen.update(ids=ids))

    engine = run(program)
    assert engine.registrations == []
    assert seen == {"zones": ["b", "a"], "ready": [], "ids": ["vpc-1", "subnet-b", "subnet-a"]}, "the first stay first"
