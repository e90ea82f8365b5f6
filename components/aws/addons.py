"""Add-ons of the cluster that AWS maintains, in the order in which nodes need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulumi import ComponentResource, Input, Resource, ResourceOptions

from components.aws.eks_cluster import EksCluster


@dataclass(frozen=True, kw_only=True)
class AddonsArgs:
    """Of the add-ons that must be there before nodes."""

    cluster: EksCluster
    versions: Mapping[str, str] = field(default_factory=dict)
    """By the add-on's name, such as vpc-cni: v1.20.1-eksbuild.1; the cluster's default version when absent."""


@dataclass(frozen=True, kw_only=True)
class WorkloadAddonsArgs:
    """Of the add-ons that run on nodes."""

    cluster: EksCluster
    versions: Mapping[str, str] = field(default_factory=dict)
    ebs_role: Input[str]
    """ARN of the role that makes and attaches volumes."""
    nodes: Sequence[Resource] = ()
    """What must be there first: the system nodes, and the Pod Identity agent."""


class NetworkAddons(ComponentResource):
    """vpc-cni with NetworkPolicy, kube-proxy, the Pod Identity agent: nodes are not ready without them."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: AddonsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:NetworkAddons", name, None, opts)
        raise NotImplementedError


class WorkloadAddons(ComponentResource):
    """coredns, the EBS driver, metrics-server, the node monitoring agent."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: WorkloadAddonsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:WorkloadAddons", name, None, opts)
        raise NotImplementedError
