"""EC2: what nodes are made from, and how close to each other."""

from __future__ import annotations

from typing import Any

from tests.standins.aws_plugin import tagging
from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work, first
from tests.standins.aws_plugin.rows_network import arn

_SOURCE = "internal/service/ec2/"


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


# a truth that the official schema keeps as text, so that it may be unset
FLAG = F(to=_is_true, back=lambda value: "true" if value else "false", form=_is_true)

_EBS = {
    "volumeType": F(computed=True),
    "volumeSize": F(computed=True),
    "encrypted": FLAG,
    "deleteOnTermination": FLAG,
    "kmsKeyId": F(),
    "iops": F(computed=True),
    "throughput": F(computed=True),
    "snapshotId": F(),
}
_INTERFACE = {
    "networkCardIndex": F(),
    "deviceIndex": F(),
    "deleteOnTermination": FLAG,
    "interfaceType": F(),
    "securityGroups": F(api="Groups", unordered=True),
    "subnetId": F(),
    "description": F(),
    "associatePublicIpAddress": FLAG,
}
_METADATA = {
    "httpEndpoint": F(computed=True),
    "httpTokens": F(computed=True),
    "httpPutResponseHopLimit": F(computed=True),
    "httpProtocolIpv6": F(computed=True),
    "instanceMetadataTags": F(computed=True),
}
_RESERVATION = {
    "capacityReservationPreference": F(),
    "capacityReservationTarget": F(sub={"capacityReservationId": F()}),
}
_PLACEMENT = {"groupName": F(), "tenancy": F(), "availabilityZone": F(), "partitionNumber": F()}
_TAGGED = {"resourceType": F(), "tags": F(to=tagging.pairs, back=tagging.from_pairs)}
_DATA = {
    "imageId": F(),
    "instanceType": F(),
    "keyName": F(),
    "userData": F(),
    "ebsOptimized": FLAG,
    "vpcSecurityGroupIds": F(api="SecurityGroupIds", unordered=True),
    "monitoring": F(sub={"enabled": F()}),
    "blockDeviceMappings": F(many=True, sub={"deviceName": F(), "ebs": F(sub=_EBS), "noDevice": F()}),
    "networkInterfaces": F(many=True, sub=_INTERFACE),
    "metadataOptions": F(computed=True, sub=_METADATA),
    "tagSpecifications": F(many=True, sub=_TAGGED),
    "placement": F(sub=_PLACEMENT),
    "instanceMarketOptions": F(sub={"marketType": F()}),
    "capacityReservationSpecification": F(sub=_RESERVATION),
}


def _data(work: Work) -> Values:
    """Return a version's content; a version is whole, what is not in it is not inherited."""
    return {"LaunchTemplateData": work.params(*_DATA)}


def _create(work: Work) -> str:
    made = work.call("create_launch_template", **work.params("name", "description"), **_data(work), **work.tags)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def _update(work: Work) -> None:
    made = work.call(
        "create_launch_template_version", LaunchTemplateId=work.id, **work.params("description"), **_data(work)
    )
    if work.new.get("updateDefaultVersion"):
        version = str(made["LaunchTemplateVersion"]["VersionNumber"])
        work.call("modify_launch_template", LaunchTemplateId=work.id, DefaultVersion=version)


def _read(work: Work) -> Values | None:
    template: Values | None = first(
        work.call("describe_launch_templates", LaunchTemplateIds=[work.id])["LaunchTemplates"]
    )
    if template is None:
        return None
    versions = work.call("describe_launch_template_versions", LaunchTemplateId=work.id, Versions=["$Latest"])
    newest = versions["LaunchTemplateVersions"][0]
    return {**template, **newest["LaunchTemplateData"], "VersionDescription": newest.get("VersionDescription")}


LAUNCH_TEMPLATE = Row(
    token="aws:ec2/launchTemplate:LaunchTemplate",
    service="ec2",
    source=_SOURCE + "ec2_launch_template.go",
    fields={
        "name": F(api="LaunchTemplateName", new=True),
        "description": F(api="VersionDescription"),
        "updateDefaultVersion": F(local=True),
        **_DATA,
    },
    computed={
        "arn": arn("launch-template"),
        "latestVersion": "LatestVersionNumber",
        "defaultVersion": "DefaultVersionNumber",
    },
    create=_create,
    read=_read,
    update=_update,
    delete=lambda work: work.call("delete_launch_template", LaunchTemplateId=work.id),
    tagging=tagging.ec2("launch-template"),
    name_field="name",
    moving=("latestVersion", "defaultVersion"),
)


def _create_group(work: Work) -> str:
    work.call("create_placement_group", **work.all_but(), **work.tags)
    work.id = str(work.value("name"))
    return work.id


def _read_group(work: Work) -> Values | None:
    found: Values | None = first(work.call("describe_placement_groups", GroupNames=[work.id])["PlacementGroups"])
    return None if found is None or found.get("State") == "deleted" else found


def _delete_group(work: Work) -> None:
    work.call("delete_placement_group", GroupName=work.id)
    work.until_gone(lambda: _read_group(work))


PLACEMENT_GROUP = Row(
    token="aws:ec2/placementGroup:PlacementGroup",
    service="ec2",
    source=_SOURCE + "ec2_placement_group.go",
    fields={
        "name": F(api="GroupName", new=True),
        "strategy": F(new=True, required=True),
        "partitionCount": F(new=True, computed=True),
        "spreadLevel": F(new=True, computed=True),
    },
    computed={"arn": arn("placement-group"), "placementGroupId": "GroupId"},
    create=_create_group,
    wait=lambda work: work.until(lambda: str((_read_group(work) or {}).get("State")), ("available",)),
    read=_read_group,
    delete=_delete_group,
    tagging=tagging.ec2("placement-group", lambda work: str(work.old["placementGroupId"])),
    name_field="name",
)

ROWS = (LAUNCH_TEMPLATE, PLACEMENT_GROUP)
