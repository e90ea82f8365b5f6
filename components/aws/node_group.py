"""One managed node group: what both kinds of pools have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi import CustomTimeouts, Resource, ResourceOptions
from pulumi_aws import ec2, eks

from components.aws.eks_cluster import EksCluster
from components.aws.naming import digest
from components.aws.network import NetworkHandle
from components.aws.node_role import NodeRole

_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}
_RESERVED = "eks.amazonaws.com/"
"""Labels that EKS puts on nodes itself and refuses from others, such as the capacity type."""
_DESIRED = "scalingConfig.desiredSize"


@dataclass(frozen=True, kw_only=True)
class NodeGroupSpec:
    """What one group is made of."""

    role: str
    """What the group's name ends in, before its digest."""
    capacity_type: str
    """ON_DEMAND, SPOT or CAPACITY_BLOCK."""
    ami_type: str
    instance_types: Sequence[str] = ()
    """Empty where the launch template names the type."""
    zones: Sequence[str] = ()
    """Only these; empty is all."""
    min: int
    max: int
    version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    template_resources: Mapping[str, str] = field(default_factory=dict)
    """What a node of the group offers beside CPU, memory and GPUs, for the autoscaler while there is none."""
    update: Mapping[str, Any]
    reservation: str | None = None


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many nodes a group may have and has, as EKS says now."""

    min: int
    max: int
    desired: int


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the group is."""

    cluster: EksCluster
    network: NetworkHandle
    role: NodeRole
    template: ec2.LaunchTemplate
    after: Sequence[Resource] = ()
    sizes: Mapping[str, Size] | None = None
    """Of the groups that are there, by name; None where nobody asked."""


def physical_name(spec: NodeGroupSpec, cluster: EksCluster, network: NetworkHandle) -> str:
    """Return the group's name, with a digest of what EKS cannot change in it.

    A changed one replaces the group, and the new nodes must be there before the old ones go: under another name.
    """
    zones = sorted(spec.zones) or sorted(subnet.zone for subnet in network.private)
    fixed = [spec.capacity_type, spec.ami_type, list(spec.instance_types), zones, spec.reservation]
    return f"{cluster.names.name(spec.role, 56)}-{digest(json.dumps(fixed))}"


def node_group(name: str, spec: NodeGroupSpec, where: Surroundings, parent: Resource) -> eks.NodeGroup:
    """Declare the group.

    The autoscaler owns how many nodes there are (`scaling`). For a group without
    nodes the autoscaler asks EKS itself: labels and taints of the group, and of its tags those that name resources
    (`cloudprovider/aws/aws_manager.go`, buildNodeFromTemplate). The group behind it needs no copy of them as tags.
    """
    zones = set(spec.zones) or {subnet.zone for subnet in where.network.private}
    tags = {f"k8s.io/cluster-autoscaler/node-template/resources/{k}": v for k, v in spec.template_resources.items()}
    group_name = physical_name(spec, where.cluster, where.network)
    sizes, ignored = scaling(spec, where.sizes, group_name)
    return eks.NodeGroup(
        name,
        cluster_name=where.cluster.cluster_name,
        node_group_name=group_name,
        node_role_arn=where.role.arn,
        subnet_ids=[subnet.id for subnet in where.network.private if subnet.zone in zones],
        capacity_type=spec.capacity_type,
        ami_type=spec.ami_type,
        instance_types=list(spec.instance_types) or None,
        version=spec.version,
        labels={key: value for key, value in spec.labels.items() if not key.startswith(_RESERVED)},
        taints=[_taint(taint) for taint in spec.taints],
        launch_template={"id": where.template.id, "version": where.template.latest_version.apply(str)},
        scaling_config=sizes,
        update_config=dict(spec.update),
        node_repair_config={"enabled": True},
        tags=tags or None,
        opts=ResourceOptions(
            parent=parent,
            depends_on=[*where.role.ready, *where.cluster.ready, *where.network.ready, *where.after],
            ignore_changes=ignored,
            custom_timeouts=CustomTimeouts(create="30m", update="2h", delete="1h"),
        ),
    )


def scaling(spec: NodeGroupSpec, now: Mapping[str, Size] | None, name: str) -> tuple[dict[str, int], list[str]]:
    """Return the group's scaling, and what of it is ignored: how many nodes there are, while nothing else changes.

    When a bound changes, the provider sends the three numbers together, and the ignored one as the state has it, from
    the last `up` or refresh. EKS then ends the nodes above it, trainings included, or refuses a `min` above it. So a
    change of bounds takes along how many nodes there are now; a group in place of another starts with its own `min`.
    """
    bounds = {"min_size": spec.min, "max_size": spec.max}
    size = (now or {}).get(name)
    if size is None:
        replaces = any(_stem(one) == _stem(name) for one in now or ())
        return {**bounds, "desired_size": spec.min}, [] if replaces else [_DESIRED]
    if (size.min, size.max) == (spec.min, spec.max):
        return {**bounds, "desired_size": spec.min}, [_DESIRED]
    return {**bounds, "desired_size": min(max(size.desired, spec.min), spec.max)}, []


def _stem(name: str) -> str:
    return name.rpartition("-")[0]


def _taint(taint: Mapping[str, str]) -> dict[str, str]:
    return {"key": taint["key"], "value": taint.get("value", ""), "effect": _EFFECTS[taint["effect"]]}
