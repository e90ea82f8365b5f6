"""EC2: who may reach whom, by which private ways, and what is written down of it."""

from __future__ import annotations

from tests.standins.aws_plugin import tagging
from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work, first
from tests.standins.aws_plugin.rows_network import arn, described
from tests.standins.plugin.refused import Refused

_SOURCE = "internal/service/ec2/"
_DESCRIBED = described("describe_security_groups", "GroupIds", "SecurityGroups")


def _create_group(work: Work) -> str:
    params = work.params("name", "description", "vpcId")
    work.id = work.call("create_security_group", **params, **work.tags)["GroupId"]
    _revoke_all(work, egress_only=True)  # the official plugin takes AWS's "everything may go out" away
    return work.id


def _revoke_all(work: Work, *, egress_only: bool = False) -> None:
    group = _DESCRIBED(work)
    if group and group.get("IpPermissionsEgress"):
        work.call("revoke_security_group_egress", GroupId=work.id, IpPermissions=group["IpPermissionsEgress"])
    if group and group.get("IpPermissions") and not egress_only:
        work.call("revoke_security_group_ingress", GroupId=work.id, IpPermissions=group["IpPermissions"])


SECURITY_GROUP = Row(
    token="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    source=_SOURCE + "vpc_security_group.go",
    fields={
        "name": F(api="GroupName", new=True),
        "description": F(new=True, default="Managed by Pulumi"),
        "vpcId": F(new=True, computed=True),
        "revokeRulesOnDelete": F(local=True, default=False),
    },
    computed={"arn": arn("security-group"), "ownerId": "OwnerId"},
    create=_create_group,
    read=_DESCRIBED,
    delete=lambda work: work.call("delete_security_group", GroupId=work.id),
    tagging=tagging.ec2("security-group"),
    name_field="name",
)


def _adopt_group(work: Work) -> str:
    for side in ("ingress", "egress"):
        if work.value(side):
            raise Refused(f"DefaultSecurityGroup: `{side}` must be empty: give rules to a group of your own")
    filters = [{"Name": "vpc-id", "Values": [work.value("vpcId")]}, {"Name": "group-name", "Values": ["default"]}]
    group = first(work.call("describe_security_groups", Filters=filters)["SecurityGroups"])
    if group is None:
        raise Refused(f"VPC {work.value('vpcId')} has no default security group")
    work.id = str(group["GroupId"])
    _revoke_all(work)
    return work.id


def _rules(permissions: list[Values]) -> list[Values]:
    """Return rules as the inline properties write them; one that is there is drift."""
    return [
        {"protocol": one["IpProtocol"], "fromPort": one.get("FromPort", 0), "toPort": one.get("ToPort", 0)}
        for one in permissions
    ]


DEFAULT_SECURITY_GROUP = Row(
    token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    service="ec2",
    source=_SOURCE + "vpc_default_security_group.go",
    fields={
        "vpcId": F(new=True, computed=True),
        "ingress": F(api="IpPermissions", back=_rules),
        "egress": F(api="IpPermissionsEgress", back=_rules),
    },
    computed={
        "arn": arn("security-group"),
        "ownerId": "OwnerId",
        "name": "GroupName",
        "description": "Description",
    },
    create=_adopt_group,
    read=_DESCRIBED,
    update=_adopt_group,
    delete=lambda _: None,  # AWS deletes it with its VPC; the official plugin forgets it
    tagging=tagging.adopted_ec2(),
)

_RULE = {
    "ipProtocol": F(required=True),
    "fromPort": F(),
    "toPort": F(),
    "cidrIpv4": F(),
    "cidrIpv6": F(),
    "referencedSecurityGroupId": F(api="ReferencedGroupId"),
    "description": F(),
}


def _permission(work: Work) -> Values:
    """Return a rule as EC2's older calls take it: each kind of peer in a list of its own."""
    rule = work.params(*_RULE)
    description = {"Description": rule["Description"]} if "Description" in rule else {}
    permission: Values = {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in rule}
    for key, group, member in (
        ("CidrIpv4", "IpRanges", "CidrIp"),
        ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("ReferencedGroupId", "UserIdGroupPairs", "GroupId"),
    ):
        if key in rule:
            permission[group] = [{member: rule[key], **description}]
    return permission


def _read_rule(work: Work) -> Values | None:
    found: Values | None = first(
        work.call("describe_security_group_rules", SecurityGroupRuleIds=[work.id])["SecurityGroupRules"]
    )
    if found is None:
        return None
    peer = found.get("ReferencedGroupInfo", {}).get("GroupId")
    everything = found.get("IpProtocol") == "-1"
    ports = {"FromPort": None, "ToPort": None} if everything else {}
    return {**found, **ports, "ReferencedGroupId": peer}


def _create_rule(work: Work) -> str:
    group = work.params("securityGroupId")
    made = work.call("authorize_security_group_ingress", **group, IpPermissions=[_permission(work)], **work.tags)
    return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])


def _update_rule(work: Work) -> None:
    rule = {"SecurityGroupRuleId": work.id, "SecurityGroupRule": work.params(*_RULE)}
    work.call("modify_security_group_rules", GroupId=work.value("securityGroupId"), SecurityGroupRules=[rule])


INGRESS_RULE = Row(
    token="aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    service="ec2",
    source=_SOURCE + "vpc_security_group_ingress_rule.go",
    fields={"securityGroupId": F(api="GroupId", new=True, required=True), **_RULE},
    computed={"arn": arn("security-group-rule"), "securityGroupRuleId": "SecurityGroupRuleId"},
    create=_create_rule,
    read=_read_rule,
    update=_update_rule,
    delete=lambda work: work.call(
        "revoke_security_group_ingress", GroupId=work.value("securityGroupId"), SecurityGroupRuleIds=[work.id]
    ),
    tagging=tagging.ec2("security-group-rule"),
)


_ENDPOINT_LISTS = {
    "routeTableIds": "RouteTableIds",
    "subnetIds": "SubnetIds",
    "securityGroupIds": "SecurityGroupIds",
}


def _read_endpoint(work: Work) -> Values | None:
    found: Values | None = first(work.call("describe_vpc_endpoints", VpcEndpointIds=[work.id])["VpcEndpoints"])
    if found is None or found.get("State") in ("deleted", "deleting"):
        return None
    return found | {"SecurityGroupIds": [group["GroupId"] for group in found.get("Groups", [])]}


def _prefix_list(work: Work, found: Values) -> str | None:
    if found.get("VpcEndpointType") != "Gateway":
        return None
    filters = [{"Name": "prefix-list-name", "Values": [found["ServiceName"]]}]
    lists = work.call("describe_managed_prefix_lists", Filters=filters)["PrefixLists"]
    return str(lists[0]["PrefixListId"]) if lists else None


def _update_endpoint(work: Work) -> None:
    params: Values = {}
    for name, key in _ENDPOINT_LISTS.items():
        if work.touched(name):
            before, after = set(work.old.get(name) or ()), set(work.new.get(name) or ())
            params |= {f"Add{key}": sorted(after - before), f"Remove{key}": sorted(before - after)}
    changed = work.params(*(name for name in ("privateDnsEnabled", "policy") if work.touched(name)))
    sent = {key: value for key, value in {**params, **changed}.items() if value not in ([], None)}
    work.call("modify_vpc_endpoint", VpcEndpointId=work.id, **sent)


def _delete_endpoint(work: Work) -> None:
    work.call("delete_vpc_endpoints", VpcEndpointIds=[work.id])
    work.until_gone(lambda: _read_endpoint(work))


VPC_ENDPOINT = Row(
    token="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    source=_SOURCE + "vpc_endpoint.go",
    fields={
        "vpcId": F(new=True, required=True),
        "serviceName": F(new=True),
        "vpcEndpointType": F(new=True, default="Gateway"),
        "privateDnsEnabled": F(computed=True),
        "policy": F(api="PolicyDocument", text=True, computed=True),
        **{name: F(computed=True, unordered=True) for name in _ENDPOINT_LISTS},
    },
    computed={
        "arn": arn("vpc-endpoint"),
        "ownerId": "OwnerId",
        "state": "State",
        "requesterManaged": "RequesterManaged",
        "networkInterfaceIds": "NetworkInterfaceIds",
        "prefixListId": _prefix_list,
    },
    create=lambda work: str(
        work.call("create_vpc_endpoint", **work.all_but(), **work.tags)["VpcEndpoint"]["VpcEndpointId"]
    ),
    wait=lambda work: work.until(
        lambda: str(work.call("describe_vpc_endpoints", VpcEndpointIds=[work.id])["VpcEndpoints"][0]["State"]).lower(),
        ("available", "pendingacceptance"),
        ("failed", "rejected", "expired"),
    ),
    read=_read_endpoint,
    update=_update_endpoint,
    delete=_delete_endpoint,
    tagging=tagging.ec2("vpc-endpoint"),
)


def _create_flow_log(work: Work) -> str:
    place = {"ResourceIds": [work.value("vpcId")], "ResourceType": "VPC"}
    made = work.call("create_flow_logs", **place, **work.all_but("vpcId"), **work.tags)
    if made.get("Unsuccessful"):
        raise Refused(f"FlowLog: {made['Unsuccessful'][0]['Error']['Message']}")
    return str(made["FlowLogIds"][0])


FLOW_LOG = Row(
    token="aws:ec2/flowLog:FlowLog",
    service="ec2",
    source=_SOURCE + "vpc_flow_log.go",
    fields={
        "vpcId": F(api="ResourceId", new=True, required=True),
        "trafficType": F(new=True),
        "logDestinationType": F(new=True, default="cloud-watch-logs"),
        "logDestination": F(new=True, computed=True),
        "iamRoleArn": F(api="DeliverLogsPermissionArn", new=True),
        "maxAggregationInterval": F(new=True, default=600),
        "logFormat": F(new=True, computed=True),
    },
    computed={"arn": arn("vpc-flow-log")},
    create=_create_flow_log,
    read=described("describe_flow_logs", "FlowLogIds", "FlowLogs"),
    delete=lambda work: work.call("delete_flow_logs", FlowLogIds=[work.id]),
    tagging=tagging.ec2("vpc-flow-log"),
)


ROWS = (
    SECURITY_GROUP,
    DEFAULT_SECURITY_GROUP,
    INGRESS_RULE,
    VPC_ENDPOINT,
    FLOW_LOG,
)
