"""GpuNodePool: the node groups of one GPU pool, from zero.

Which pods land on them is said in their labels and taints, which are arguments: no Kubernetes type is known here.
Whoever runs on the pool selects its label `slipway/pool`, not a capacity type or a GPU's model: of two pools with the
same GPU, one on demand and one for spot, each keeps its own pods, and a pool with two groups may use both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import ec2

from components.aws.eks_cluster import EksCluster
from components.aws.gpu_nodes import GpuNodes, mismatches
from components.aws.instance_types import InstanceType, lookup
from components.aws.launch_template import LaunchTemplateSpec, launch_template
from components.aws.naming import Names
from components.aws.network import NetworkHandle
from components.aws.node_group import NodeGroupSpec, Size, Surroundings, node_group, physical_name
from components.aws.node_role import NodeRole
from components.settings import GpuPoolSpec

__all__ = ["GpuNodePool", "GpuNodePoolArgs", "GpuNodes"]

CAPACITY_LABEL = "slipway/capacity"
"""Tells the groups of one pool apart, so that the autoscaler does not keep them at the same size."""
GROUPS: Mapping[str, Sequence[str]] = {
    "on_demand": ["ON_DEMAND"],
    "spot": ["SPOT"],
    "spot_with_fallback": ["SPOT", "ON_DEMAND"],
    "capacity_block": ["CAPACITY_BLOCK"],
}
PRIORITIES = {"CAPACITY_BLOCK": 100, "SPOT": 50, "ON_DEMAND": 10}
"""What is paid for already, what is cheap, what is there."""


@dataclass(frozen=True, kw_only=True)
class GpuNodePoolArgs:
    """How many nodes, which, and where."""

    names: Names
    pool: GpuPoolSpec
    nodes: GpuNodes
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]
    """As Kubernetes writes them: key, value, effect (NoSchedule)."""
    cluster: EksCluster
    network: NetworkHandle
    role: NodeRole
    version: str
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of instances and volumes, which default tags do not reach."""
    disk_key: Input[str] | None = None
    """ARN of the key of the disks, which EC2's Auto Scaling may use; the account's own for EBS when absent."""
    after: Sequence[Resource] = ()
    """What nodes need to become ready: the network add-ons."""
    sizes: Mapping[str, Size] | None = None
    """Of the cluster's node groups now, by name; None where nobody asked."""


class GpuNodePool(ComponentResource):
    """One node group, or two: spot, and on-demand for when there is none.

    Each may grow to the pool's `max`, since either may have to carry the whole pool; `min` is kept by the first.
    """

    node_groups: Output[Sequence[str]]
    ready: Sequence[Resource]
    priorities: Mapping[int, Sequence[str]]
    """For the autoscaler's priority expander: patterns of the groups' names, the higher number first."""

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:GpuNodePool", name, None, opts)
        wrong = list(mismatches(args.nodes, [subnet.zone for subnet in args.network.private]))
        if wrong:
            raise ValueError(f"GPU pool {args.pool.name}: {'; '.join(str(one) for one in wrong)}")
        where = self._where(name, args)
        specs = [_group(args, kind, first=index == 0) for index, kind in enumerate(GROUPS[args.nodes.capacity])]
        groups = [node_group(f"{name}-{_slug(spec.capacity_type)}", spec, where, self) for spec in specs]
        self.ready = groups
        self.node_groups = Output.all(*(group.node_group_name for group in groups))
        self.priorities = {
            # EKS names the group behind a node group eks-NAME-ID
            PRIORITIES[spec.capacity_type]: [f".*{physical_name(spec, args.cluster, args.network)}.*"]
            for spec in specs
        }
        self.register_outputs({"node_groups": self.node_groups})

    def _where(self, name: str, args: GpuNodePoolArgs) -> Surroundings:
        child = ResourceOptions(parent=self)
        nodes, machine = args.nodes, lookup(args.nodes.instance_types[0])
        block = nodes.capacity_block_id
        template = LaunchTemplateSpec(
            names=args.names,
            role=_role(args),
            pool=args.pool.name,
            disk_gib=nodes.disk_gib,
            disk_key=args.disk_key,
            tags=args.tags,
            adapters=machine if nodes.efa else None,
            adapters_group=args.cluster.security_group if nodes.efa else None,
            placement_group=_together(name, args, child) if nodes.efa else None,
            reservation=None if block is None else (block, machine.name),
        )
        return Surroundings(
            cluster=args.cluster,
            network=args.network,
            role=args.role,
            template=launch_template(f"{name}-template", template, child),
            after=args.after,
            sizes=args.sizes,
        )


def _role(args: GpuNodePoolArgs) -> str:
    """What physical names end in: a pool may be called as anything else is."""
    return f"gpu-{args.pool.name}"


def _together(name: str, args: GpuNodePoolArgs, opts: ResourceOptions) -> Output[str]:
    """Declare that the pool's nodes lie close to each other."""
    group = ec2.PlacementGroup(
        f"{name}-placement", name=args.names.name(_role(args), 255), strategy="cluster", opts=opts
    )
    placed: Output[str] = group.name
    return placed


def _group(args: GpuNodePoolArgs, capacity_type: str, *, first: bool) -> NodeGroupSpec:
    pool, nodes, machine = args.pool, args.nodes, lookup(args.nodes.instance_types[0])
    block = capacity_type == "CAPACITY_BLOCK"
    return NodeGroupSpec(
        role=_role(args),
        capacity_type=capacity_type,
        ami_type="AL2023_ARM_64_NVIDIA" if machine.arm else "AL2023_x86_64_NVIDIA",
        # of a capacity block, the launch template names the type
        instance_types=[] if block else nodes.instance_types,
        zones=nodes.zones,
        # nothing can start before the block does
        min=pool.min if first and not block else 0,
        max=pool.max,
        version=args.version,
        labels=_labels(args.labels, machine, capacity_type),
        taints=args.taints,
        template_resources=_resources(nodes, machine),
        # GPUs are scarce: a node goes before its successor is asked for
        update={"max_unavailable": 1, "update_strategy": "MINIMAL"},
        reservation=nodes.capacity_block_id,
    )


def _labels(given: Mapping[str, str], machine: InstanceType, capacity_type: str) -> dict[str, str]:
    # without the model's label, the autoscaler adds more nodes while the device plugin of the first still starts
    model = {} if machine.accelerator is None else {"k8s.amazonaws.com/accelerator": machine.accelerator}
    return {**model, **given, CAPACITY_LABEL: _slug(capacity_type)}


def _resources(nodes: GpuNodes, machine: InstanceType) -> dict[str, str]:
    """What a new node will offer; the autoscaler knows no disk, and no adapter."""
    adapters = {"vpc.amazonaws.com/efa": str(machine.efa)} if nodes.efa else {}
    return {"nvidia.com/gpu": str(machine.gpus), "ephemeral-storage": f"{nodes.disk_gib * 8 // 10}Gi", **adapters}


def _slug(capacity_type: str) -> str:
    return capacity_type.lower().replace("_", "-")
