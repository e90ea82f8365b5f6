"""What AWS refuses to remove because something still stands on it, and moto lets go: so that a wrong order is seen.

Each guard looks at the account through its public APIs; EKS's own resources it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.standins.aws_server.eks.state import EksState
from tests.standins.aws_server.faults import Fault

Given = dict[str, Any]
OVER = ("deleted", "terminated", "deleting", "shutting-down")


def _delete_subnet(state: EksState, given: Given) -> None:
    subnet = given["SubnetId"]
    _free(f"subnet '{subnet}'", [*_cluster_uses(state, "subnetIds", subnet), *_subnet_uses(state, subnet)])


def _subnet_uses(state: EksState, subnet: str) -> Iterator[str]:
    ec2 = state.world.ec2
    for gateway in _nat_gateways(state):
        if gateway["SubnetId"] == subnet:
            yield gateway["NatGatewayId"]
    for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        if subnet in endpoint.get("SubnetIds", []) and endpoint["State"] not in OVER:
            yield endpoint["VpcEndpointId"]
    for instance in _instances(state):
        if instance.get("SubnetId") == subnet:
            yield instance["InstanceId"]
    for database in state.world.client("rds").describe_db_instances()["DBInstances"]:
        if subnet in [entry["SubnetIdentifier"] for entry in database.get("DBSubnetGroup", {}).get("Subnets", [])]:
            yield database["DBInstanceIdentifier"]


def _delete_vpc(state: EksState, given: Given) -> None:
    ec2, vpc = state.world.ec2, given["VpcId"]
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    endpoints = [
        entry for entry in ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"] if entry["State"] not in OVER
    ]
    groups = [
        entry
        for entry in ec2.describe_security_groups(Filters=here)["SecurityGroups"]
        if entry["GroupName"] != "default"
    ]
    _free(
        f"vpc '{vpc}'",
        [
            *(entry["SubnetId"] for entry in ec2.describe_subnets(Filters=here)["Subnets"]),
            *(
                entry["InternetGatewayId"]
                for entry in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
            ),
            *(entry["GroupId"] for entry in groups),
            *(entry["VpcEndpointId"] for entry in endpoints),
        ],
    )


def _delete_security_group(state: EksState, given: Given) -> None:
    group = given.get("GroupId", "")
    _free(f"security group '{group}'", [*_cluster_uses(state, "securityGroupIds", group), *_group_uses(state, group)])


def _group_uses(state: EksState, group: str) -> Iterator[str]:
    ec2 = state.world.ec2
    for other in ec2.describe_security_groups()["SecurityGroups"]:
        rules = [*other["IpPermissions"], *other["IpPermissionsEgress"]]
        if other["GroupId"] != group and any(
            pair.get("GroupId") == group for rule in rules for pair in rule["UserIdGroupPairs"]
        ):
            yield f"a rule of {other['GroupId']}"
    for instance in _instances(state):
        if group in [entry["GroupId"] for entry in instance.get("SecurityGroups", [])]:
            yield instance["InstanceId"]
    for endpoint in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        if group in [entry["GroupId"] for entry in endpoint.get("Groups", [])] and endpoint["State"] not in OVER:
            yield endpoint["VpcEndpointId"]
    for database in state.world.client("rds").describe_db_instances()["DBInstances"]:
        if group in [entry["VpcSecurityGroupId"] for entry in database.get("VpcSecurityGroups", [])]:
            yield database["DBInstanceIdentifier"]


def _detach_internet_gateway(state: EksState, given: Given) -> None:
    used = [entry["NatGatewayId"] for entry in _nat_gateways(state) if entry["VpcId"] == given["VpcId"]]
    _free(f"internet gateway '{given['InternetGatewayId']}', with mapped public addresses,", used)


def _release_address(state: EksState, given: Given) -> None:
    allocation = given.get("AllocationId")
    used = [
        gateway["NatGatewayId"]
        for gateway in _nat_gateways(state)
        if allocation in [entry.get("AllocationId") for entry in gateway["NatGatewayAddresses"]]
    ]
    if used:
        raise Fault("InvalidIPAddress.InUse", f"The address {allocation} is in use by {', '.join(used)}")


def _delete_subnet_group(state: EksState, given: Given) -> None:
    name = given["DBSubnetGroupName"]
    databases = state.world.client("rds").describe_db_instances()["DBInstances"]
    used = [
        entry["DBInstanceIdentifier"]
        for entry in databases
        if entry.get("DBSubnetGroup", {}).get("DBSubnetGroupName") == name
    ]
    if used:
        raise Fault("InvalidDBSubnetGroupStateFault", f"the subnet group {name} is in use by {', '.join(used)}")


GUARDS: dict[str, Callable[[EksState, Given], None]] = {
    "ec2:DeleteSubnet": _delete_subnet,
    "ec2:DeleteVpc": _delete_vpc,
    "ec2:DeleteSecurityGroup": _delete_security_group,
    "ec2:DetachInternetGateway": _detach_internet_gateway,
    "ec2:ReleaseAddress": _release_address,
    "rds:DeleteDBSubnetGroup": _delete_subnet_group,
}


def _cluster_uses(state: EksState, member: str, value: str) -> Iterator[str]:
    for name, cluster in state.clusters.items():
        if value in cluster.view["resourcesVpcConfig"].get(member, []):
            yield f"the EKS cluster {name}"
        if member == "subnetIds":
            yield from (group for group, held in cluster.node_groups.items() if value in held.view["subnets"])


def _nat_gateways(state: EksState) -> list[dict[str, Any]]:
    return [entry for entry in state.world.ec2.describe_nat_gateways()["NatGateways"] if entry["State"] not in OVER]


def _instances(state: EksState) -> Iterator[dict[str, Any]]:
    for reservation in state.world.ec2.describe_instances()["Reservations"]:
        yield from (entry for entry in reservation["Instances"] if entry["State"]["Name"] not in OVER)


def _free(what: str, used: list[str]) -> None:
    if used:
        raise Fault("DependencyViolation", f"The {what} has dependencies and cannot be deleted: {', '.join(used)}")
