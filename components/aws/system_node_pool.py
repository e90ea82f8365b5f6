"""SystemNodePool: nodes for everything that needs no GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulumi import ComponentResource, Input, Resource, ResourceOptions

from components.aws.eks_cluster import EksCluster
from components.aws.naming import Names
from components.aws.network import NetworkHandle
from components.aws.node_role import NodeRole


@dataclass(frozen=True, kw_only=True)
class SystemNodePoolArgs:
    """How many nodes, which, and where."""

    names: Names
    cluster: EksCluster
    network: NetworkHandle
    role: NodeRole
    instance_types: Sequence[str]
    min: int
    max: int
    disk_gib: int = 80
    version: str
    """Kubernetes' minor version of the nodes: the cluster's, or one below it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of instances and volumes, which default tags do not reach."""
    disk_key: Input[str] | None = None
    """ARN of the key of the disks; the account's own for EBS when absent."""
    after: Sequence[Resource] = ()
    """What nodes need to become ready: the network add-ons."""


class SystemNodePool(ComponentResource):
    """On-demand nodes without GPUs."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: SystemNodePoolArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:SystemNodePool", name, None, opts)
        raise NotImplementedError
