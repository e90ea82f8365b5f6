"""What a node group is made of outside EKS, launch template and Auto Scaling group, and what EC2 lets it ask for."""

from __future__ import annotations

import uuid
from typing import Any

from tests.standins.aws_server.eks.state import Members
from tests.standins.aws_server.faults import invalid_parameter, invalid_request
from tests.standins.aws_server.world import World

MOST_TYPES = 20
# what of a launch template is carried over into the one that EKS makes of it
CARRIED = ("TagSpecifications", "MetadataOptions", "BlockDeviceMappings", "SecurityGroupIds", "UserData")
SPREAD = "k8s.io/cluster-autoscaler"


def template(world: World, given: Members) -> Members | None:
    """Return the launch template that a node group is to be made of, checked with what it is combined with."""
    types = given.get("instanceTypes", [])
    found = None
    if asked := given.get("launchTemplate"):
        found = world.launch_template(asked)
        if found is None:
            raise invalid_parameter(f"Launch template {asked} does not exist")
        _combined(given, found["data"])
    if len(types) > MOST_TYPES:
        raise invalid_parameter(f"More than {MOST_TYPES} instance types")
    _runs(world, given.get("amiType", ""), types or [(found or {"data": {}})["data"].get("InstanceType", "t3.medium")])
    if given.get("capacityType") == "CAPACITY_BLOCK":
        _reserved(given, (found or {"data": {}})["data"])
    return found


def _combined(given: Members, data: Members) -> None:
    if given.get("instanceTypes") and data.get("InstanceType"):
        raise invalid_request("You cannot specify instance types both in the launch template and in the node group")
    for member, name in (("diskSize", "disk size"), ("remoteAccess", "remote access")):
        if member in given:
            raise invalid_request(f"{name} must be specified within the launch template")
    if data.get("ImageId") and ("version" in given or given.get("amiType", "CUSTOM") != "CUSTOM"):
        raise invalid_request("You cannot specify an AMI type or version with an image id within the launch template")
    if "IamInstanceProfile" in data or "HibernationOptions" in data:
        raise invalid_request("The launch template must have neither an instance profile nor hibernation")
    for interface in data.get("NetworkInterfaces", []):
        if "SubnetId" in interface:
            raise invalid_request("The launch template must not name a subnet: the node group does")


def _runs(world: World, image: str, types: list[str]) -> None:
    known = world.instance_types(types)
    if known is None:
        raise invalid_parameter(f"The following supplied instance types do not exist: {types}")
    for name, entry in known.items():
        architecture = "arm64" if "ARM_64" in image else "x86_64"
        if image and image != "CUSTOM" and architecture not in entry["ProcessorInfo"]["SupportedArchitectures"]:
            raise invalid_parameter(f"{name} is not of the architecture of {image}")
        if "NVIDIA" in image and not entry.get("GpuInfo"):
            raise invalid_parameter(f"{name} has no GPU, which {image} is for")


def _reserved(given: Members, data: Members) -> None:
    target = data.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    if data.get("InstanceMarketOptions", {}).get("MarketType") != "capacity-block" or not target:
        raise invalid_parameter(
            "CAPACITY_BLOCK needs a launch template whose market type is capacity-block and that names the reservation"
        )
    if given.get("instanceTypes"):
        raise invalid_parameter("With CAPACITY_BLOCK the instance type stands in the launch template")


def start(world: World, view: Members, data: Members, group: str) -> str:
    """Make the Auto Scaling group of a node group and return its name."""
    unique = uuid.uuid4()
    made = f"eks-{unique}"
    world.ec2.create_launch_template(LaunchTemplateName=made, LaunchTemplateData=_launch(world, view, data, group))
    name = f"eks-{view['nodegroupName']}-{unique}"
    cluster = view["clusterName"]
    tags = {
        "eks:cluster-name": cluster,
        "eks:nodegroup-name": view["nodegroupName"],
        f"kubernetes.io/cluster/{cluster}": "owned",
        f"{SPREAD}/enabled": "true",
        f"{SPREAD}/{cluster}": "owned",
    }
    scaling = view["scalingConfig"]
    world.scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=scaling["minSize"],
        MaxSize=scaling["maxSize"],
        DesiredCapacity=scaling["desiredSize"],
        VPCZoneIdentifier=",".join(view["subnets"]),
        LaunchTemplate={"LaunchTemplateName": made, "Version": "$Latest"},
        Tags=[
            {
                "Key": key,
                "Value": value,
                "PropagateAtLaunch": True,
                "ResourceType": "auto-scaling-group",
                "ResourceId": name,
            }
            for key, value in tags.items()
        ],
    )
    return name


def _launch(world: World, view: Members, data: Members, group: str) -> Members:
    """Return what instances are started from; without a group of its own the cluster's."""
    kind = (view["instanceTypes"] or [data.get("InstanceType")])[0]
    carried = {key: data[key] for key in CARRIED if key in data}
    return {"ImageId": data.get("ImageId", world.image), "InstanceType": kind, "SecurityGroupIds": [group], **carried}


def resize(world: World, view: Members) -> None:
    """Hand new bounds on to the Auto Scaling group."""
    scaling = view["scalingConfig"]
    world.scaling.update_auto_scaling_group(
        AutoScalingGroupName=_group(view),
        MinSize=scaling["minSize"],
        MaxSize=scaling["maxSize"],
        DesiredCapacity=scaling["desiredSize"],
    )
    world.release_interfaces()


def replace_template(world: World, view: Members, data: Members, group: str) -> None:
    """Make new instances from another version of the launch template."""
    world.ec2.create_launch_template_version(
        LaunchTemplateName=_template(view), LaunchTemplateData=_launch(world, view, data, group)
    )


def stop(world: World, view: Members) -> None:
    """Remove the Auto Scaling group with its instances, and the launch template that EKS made."""
    world.scaling.delete_auto_scaling_group(AutoScalingGroupName=_group(view), ForceDelete=True)
    world.release_interfaces()
    world.ec2.delete_launch_template(LaunchTemplateName=_template(view))


def _group(view: Members) -> Any:
    return view["resources"]["autoScalingGroups"][0]["name"]


def _template(view: Members) -> str:
    return f"eks-{_group(view)[-36:]}"  # both end in the same unique id
