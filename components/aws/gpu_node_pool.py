"""GpuNodePool: the node groups of one GPU pool, from zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulumi import ComponentResource, Input, Resource, ResourceOptions

from components.aws.eks_cluster import EksCluster
from components.aws.gpu_nodes import GpuNodes, GpuPool
from components.aws.naming import Names
from components.aws.network import NetworkHandle
from components.aws.node_role import NodeRole

__all__ = ["GpuNodePool", "GpuNodePoolArgs", "GpuNodes", "GpuPool"]


@dataclass(frozen=True, kw_only=True)
class GpuNodePoolArgs:
    """How many nodes, which, and where."""

    names: Names
    pool: GpuPool
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
    """ARN of the key of the disks; the account's own for EBS when absent."""
    after: Sequence[Resource] = ()
    """What nodes need to become ready: the network add-ons."""


class GpuNodePool(ComponentResource):
    """One node group, or two: spot, and on-demand for when there is none."""

    ready: Sequence[Resource]
    priorities: Mapping[int, Sequence[str]]
    """For the autoscaler's priority expander: patterns of the groups' names, the higher number first."""

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:GpuNodePool", name, None, opts)
        raise NotImplementedError
