"""EC2: a VPC, its subnets and its ways out."""

from __future__ import annotations

from collections.abc import Callable

from tests.standins.aws_plugin import tagging
from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work, first

_SOURCE = "internal/service/ec2/"


def as_value(value: object) -> Values:
    """Return an attribute as EC2's modifying calls take it."""
    return {"Value": value}


def described(operation: str, param: str, answer: str) -> Callable[[Work], Values | None]:
    """Return a read that describes a resource by its id."""
    return lambda work: first(work.call(operation, **{param: [work.id]})[answer])


def modify(work: Work, operation: str, param: str, *names: str) -> None:
    """Set attributes, of which EC2 takes one a call."""
    for name in names:
        if work.touched(name) or (not work.changed and name in work.new):
            work.call(operation, **{param: work.id}, **work.params(name))


def _create_vpc(work: Work) -> str:
    params = work.params("cidrBlock", "instanceTenancy")
    work.id = work.call("create_vpc", **params, **work.tags)["Vpc"]["VpcId"]
    work.until(lambda: work.call("describe_vpcs", VpcIds=[work.id])["Vpcs"][0]["State"], ("available",))
    _modify_vpc(work)
    return work.id


def _modify_vpc(work: Work) -> None:
    # EC2 knows no host names without its resolver: support goes first
    modify(work, "modify_vpc_attribute", "VpcId", "enableDnsSupport", "enableDnsHostnames")


def _read_vpc(work: Work) -> Values | None:
    found: Values | None = first(work.call("describe_vpcs", VpcIds=[work.id])["Vpcs"])
    if found is None:
        return None
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        told = work.call("describe_vpc_attribute", VpcId=work.id, Attribute=attribute)
        found |= {key: value for key, value in told.items() if key != "VpcId"}
    return found


def _main_table(work: Work, _: Values) -> str | None:
    filters = [{"Name": "vpc-id", "Values": [work.id]}, {"Name": "association.main", "Values": ["true"]}]
    table = first(work.call("describe_route_tables", Filters=filters)["RouteTables"])
    return str(table["RouteTableId"]) if table else None


def _of_vpc(operation: str, answer: str, key: str, name: str, wanted: str) -> Callable[[Work, Values], str | None]:
    def found(work: Work, _: Values) -> str | None:
        filters = [{"Name": "vpc-id", "Values": [work.id]}, {"Name": name, "Values": [wanted]}]
        thing = first(work.call(operation, Filters=filters)[answer])
        return str(thing[key]) if thing else None

    return found


def arn(kind: str) -> Callable[[Work, Values], str]:
    """Return what tells the ARN of a resource that has none at the API."""
    return lambda work, _: work.arn("ec2", f"{kind}/{work.id}")


VPC = Row(
    token="aws:ec2/vpc:Vpc",
    service="ec2",
    source=_SOURCE + "vpc_.go",
    fields={
        "cidrBlock": F(new=True, computed=True),
        "instanceTenancy": F(default="default", new=True),
        "enableDnsSupport": F(api="EnableDnsSupport.Value", default=True),
        "enableDnsHostnames": F(api="EnableDnsHostnames.Value", computed=True),
    },
    computed={
        "arn": arn("vpc"),
        "ownerId": "OwnerId",
        "dhcpOptionsId": "DhcpOptionsId",
        "mainRouteTableId": _main_table,
        "defaultRouteTableId": _main_table,
        "defaultNetworkAclId": _of_vpc("describe_network_acls", "NetworkAcls", "NetworkAclId", "default", "true"),
        "defaultSecurityGroupId": _of_vpc(
            "describe_security_groups", "SecurityGroups", "GroupId", "group-name", "default"
        ),
    },
    create=_create_vpc,
    read=_read_vpc,
    update=_modify_vpc,
    delete=lambda work: work.call("delete_vpc", VpcId=work.id),
    tagging=tagging.ec2("vpc"),
)


def _create_subnet(work: Work) -> str:
    params = work.params("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId")
    work.id = work.call("create_subnet", **params, **work.tags)["Subnet"]["SubnetId"]
    _modify_subnet(work)
    return work.id


def _modify_subnet(work: Work) -> None:
    modify(work, "modify_subnet_attribute", "SubnetId", "mapPublicIpOnLaunch", "assignIpv6AddressOnCreation")


SUBNET = Row(
    token="aws:ec2/subnet:Subnet",
    service="ec2",
    source=_SOURCE + "vpc_subnet.go",
    fields={
        "vpcId": F(new=True, required=True),
        "cidrBlock": F(new=True),
        "availabilityZone": F(new=True, computed=True),
        "availabilityZoneId": F(new=True, computed=True),
        "mapPublicIpOnLaunch": F(default=False, to=as_value),
        "assignIpv6AddressOnCreation": F(default=False, to=as_value),
    },
    computed={"arn": arn("subnet"), "ownerId": "OwnerId"},
    create=_create_subnet,
    read=described("describe_subnets", "SubnetIds", "Subnets"),
    update=_modify_subnet,
    delete=lambda work: work.call("delete_subnet", SubnetId=work.id),
    tagging=tagging.ec2("subnet"),
)


def _create_gateway(work: Work) -> str:
    work.id = work.call("create_internet_gateway", **work.tags)["InternetGateway"]["InternetGatewayId"]
    _attach(work)
    return work.id


def _attach(work: Work) -> None:
    before, after = work.old.get("vpcId"), work.value("vpcId")
    if before and before != after:
        work.call("detach_internet_gateway", InternetGatewayId=work.id, VpcId=before)
    if after and before != after:
        work.call("attach_internet_gateway", InternetGatewayId=work.id, VpcId=after)


def _read_gateway(work: Work) -> Values | None:
    found: Values | None = first(
        work.call("describe_internet_gateways", InternetGatewayIds=[work.id])["InternetGateways"]
    )
    attached = first(found["Attachments"]) if found else None
    return found and found | {"VpcId": attached and attached["VpcId"]}


def _delete_gateway(work: Work) -> None:
    for attached in (_read_gateway(work) or {}).get("Attachments", []):
        work.call("detach_internet_gateway", InternetGatewayId=work.id, VpcId=attached["VpcId"])
    work.call("delete_internet_gateway", InternetGatewayId=work.id)


INTERNET_GATEWAY = Row(
    token="aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    source=_SOURCE + "vpc_internet_gateway.go",
    fields={"vpcId": F(computed=True)},
    computed={"arn": arn("internet-gateway"), "ownerId": "OwnerId"},
    create=_create_gateway,
    read=_read_gateway,
    update=_attach,
    delete=_delete_gateway,
    tagging=tagging.ec2("internet-gateway"),
)

EIP = Row(
    token="aws:ec2/eip:Eip",
    service="ec2",
    source=_SOURCE + "ec2_eip.go",
    fields={"domain": F(new=True, computed=True)},
    computed={
        "arn": arn("elastic-ip"),
        "allocationId": "AllocationId",
        "publicIp": "PublicIp",
        "associationId": "AssociationId",
        "privateIp": "PrivateIpAddress",
    },
    create=lambda work: str(work.call("allocate_address", **work.params("domain"), **work.tags)["AllocationId"]),
    read=described("describe_addresses", "AllocationIds", "Addresses"),
    delete=lambda work: work.call("release_address", AllocationId=work.id),
    tagging=tagging.ec2("elastic-ip"),
)


def _read_nat(work: Work) -> Values | None:
    found: Values | None = first(work.call("describe_nat_gateways", NatGatewayIds=[work.id])["NatGateways"])
    if found is None or found["State"] in ("deleted", "deleting"):
        return None
    return found | (first(found.get("NatGatewayAddresses", [])) or {})


def _delete_nat(work: Work) -> None:
    work.call("delete_nat_gateway", NatGatewayId=work.id)

    def is_there() -> bool:
        found = first(work.call("describe_nat_gateways", NatGatewayIds=[work.id])["NatGateways"])
        return bool(found) and found["State"] != "deleted"

    work.until_gone(is_there)


NAT_GATEWAY = Row(
    token="aws:ec2/natGateway:NatGateway",
    service="ec2",
    source=_SOURCE + "vpc_nat_gateway.go",
    fields={
        "allocationId": F(new=True),
        "subnetId": F(new=True),
        "connectivityType": F(new=True, default="public"),
    },
    computed={
        "publicIp": "PublicIp",
        "privateIp": "PrivateIpAddress",
        "networkInterfaceId": "NetworkInterfaceId",
        "associationId": "AssociationId",
    },
    create=lambda work: str(
        work.call("create_nat_gateway", **work.all_but(), **work.tags)["NatGateway"]["NatGatewayId"]
    ),
    wait=lambda work: work.until(
        lambda: str(work.call("describe_nat_gateways", NatGatewayIds=[work.id])["NatGateways"][0]["State"]),
        ("available",),
        ("failed", "deleted"),
    ),
    read=_read_nat,
    delete=_delete_nat,
    tagging=tagging.ec2("natgateway"),
)


ROWS = (VPC, SUBNET, INTERNET_GATEWAY, EIP, NAT_GATEWAY)
