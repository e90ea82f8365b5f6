"""SystemNodePool: nodes for everything that needs no GPU: operators, tracking, databases, heads of Ray clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.eks_cluster import EksCluster
from components.aws.instance_types import lookup
from components.aws.launch_template import LaunchTemplateSpec, launch_template
from components.aws.naming import Names
from components.aws.network import NetworkHandle
from components.aws.node_group import NodeGroupSpec, Size, Surroundings, node_group
from components.aws.node_role import NodeRole

POOL = "system"


@dataclass(frozen=True, kw_only=True)
class SystemNodePoolArgs:
    """How many nodes, which, and where."""

    names: Names
    cluster: EksCluster
    network: NetworkHandle
    role: NodeRole
    instance_types: Sequence[str]
    """All of one architecture."""
    min: int
    max: int
    disk_gib: int = 80
    version: str
    """Kubernetes' minor version of the nodes: the cluster's, or one below it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of instances and volumes, which default tags do not reach."""
    disk_key: Input[str] | None = None
    """ARN of the key of the disks, which EC2's Auto Scaling may use; the account's own for EBS when absent."""
    after: Sequence[Resource] = ()
    """What nodes need to become ready: the network add-ons."""
    sizes: Mapping[str, Size] | None = None
    """Of the cluster's node groups now, by name; None where nobody asked."""


class SystemNodePool(ComponentResource):
    """On-demand nodes without GPUs, in every zone of the network."""

    node_group: Output[str]
    ready: Sequence[Resource]

    def __init__(self, name: str, args: SystemNodePoolArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:SystemNodePool", name, None, opts)
        template = LaunchTemplateSpec(
            names=args.names, role=POOL, pool=POOL, disk_gib=args.disk_gib, disk_key=args.disk_key, tags=args.tags
        )
        where = Surroundings(
            cluster=args.cluster,
            network=args.network,
            role=args.role,
            template=launch_template(f"{name}-template", template, ResourceOptions(parent=self)),
            after=args.after,
            sizes=args.sizes,
        )
        group = node_group(f"{name}-nodes", self._spec(args), where, self)
        self.node_group = group.node_group_name
        self.ready = [group]
        self.register_outputs({"node_group": self.node_group})

    def _spec(self, args: SystemNodePoolArgs) -> NodeGroupSpec:
        arm = {lookup(name).arm for name in args.instance_types}
        if len(arm) != 1:
            raise ValueError(
                f"system nodes {', '.join(args.instance_types)}: ARM and x86 in one pool, which has one image; "
                "name types of one architecture"
            )
        return NodeGroupSpec(
            role=POOL,
            capacity_type="ON_DEMAND",
            ami_type="AL2023_ARM_64_STANDARD" if arm == {True} else "AL2023_x86_64_STANDARD",
            instance_types=args.instance_types,
            min=args.min,
            max=args.max,
            version=args.version,
            labels={"slipway/pool": POOL},
            template_resources={"ephemeral-storage": f"{args.disk_gib * 8 // 10}Gi"},
            update={"max_unavailable_percentage": 33},
        )
