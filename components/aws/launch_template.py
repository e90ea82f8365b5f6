"""How a node starts: disk, metadata service, tags, and for GPU pools network adapters and reservations.

Shared by the pools. A template is changed in place, by versions: a node group cannot move to another template, so its
name never carries what may change. Image, subnets and instance profile belong to the node group, and are not set here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi import Input, ResourceOptions
from pulumi_aws import ec2

from components.aws.instance_types import InstanceType
from components.aws.naming import Names

ROOT = "/dev/xvda"
"""The root disk of AL2023's images."""


@dataclass(frozen=True, kw_only=True)
class LaunchTemplateSpec:
    """What the nodes of one pool have in common."""

    names: Names
    role: str
    """What the template's name ends in."""
    pool: str
    """The pool's name, in the tags."""
    disk_gib: int
    disk_key: Input[str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    adapters: InstanceType | None = None
    """The type whose network cards all get an Elastic Fabric Adapter."""
    adapters_group: Input[str] | None = None
    """The security group of these interfaces: a template that names interfaces must name it too."""
    placement_group: Input[str] | None = None
    reservation: tuple[str, str] | None = None
    """The capacity block, and the one instance type it is of."""


def launch_template(name: str, spec: LaunchTemplateSpec, opts: ResourceOptions) -> ec2.LaunchTemplate:
    """Declare the template of a pool."""
    tags = {**spec.tags, "Name": spec.names.name(spec.role, 128), "slipway:pool": spec.pool}
    return ec2.LaunchTemplate(
        name,
        name=spec.names.name(spec.role, 125),
        description=f"Nodes of the pool {spec.pool}",
        update_default_version=True,
        block_device_mappings=[{"device_name": ROOT, "ebs": _disk(spec)}],
        # one hop is the node itself: a pod on the network of pods gets no answer, and so not the node's role
        metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        # default tags stop at the template: what it starts is tagged by it
        tag_specifications=[{"resource_type": kind, "tags": tags} for kind in ("instance", "volume")],
        opts=opts,
        **_placed(spec),
    )


def _disk(spec: LaunchTemplateSpec) -> dict[str, Any]:
    key = {} if spec.disk_key is None else {"kms_key_id": spec.disk_key}
    return {
        "volume_type": "gp3",
        "volume_size": spec.disk_gib,
        "encrypted": "true",
        "delete_on_termination": "true",
        **key,
    }


def _placed(spec: LaunchTemplateSpec) -> dict[str, Any]:
    placed: dict[str, Any] = {}
    if spec.adapters is not None:
        placed["network_interfaces"] = interfaces(spec.adapters, spec.adapters_group)
    if spec.placement_group is not None:
        placed["placement"] = {"group_name": spec.placement_group}
    if spec.reservation is not None:
        block, instance_type = spec.reservation
        target = {"capacity_reservation_id": block}
        placed["instance_type"] = instance_type
        placed["instance_market_options"] = {"market_type": "capacity-block"}
        placed["capacity_reservation_specification"] = {"capacity_reservation_target": target}
    return placed


def interfaces(machine: InstanceType, group: Input[str] | None) -> Sequence[dict[str, Any]]:
    """Return an interface for each network card that takes an adapter.

    The first card must also carry IP: there the adapter has both, or, where the card takes no adapter (P6-B300), the
    interface is a plain one. All others carry the fabric alone, and use no address of the subnet.
    """
    first = machine.efa_first_card
    primary = _interface(0, "efa" if first == 0 else None, group)
    return [primary, *(_interface(card, "efa-only", group) for card in range(max(first, 1), first + machine.efa))]


def _interface(card: int, kind: str | None, group: Input[str] | None) -> dict[str, Any]:
    return {
        "network_card_index": card,
        "device_index": 0,
        "delete_on_termination": "true",
        **({} if kind is None else {"interface_type": kind}),
        **({} if group is None else {"security_groups": [group]}),
    }
