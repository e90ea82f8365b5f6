"""Add-ons of the cluster that AWS maintains, in the order in which nodes need them.

The cluster starts with none (`bootstrap_self_managed_addons` is off): what runs in kube-system is what stands here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi import ComponentResource, CustomTimeouts, Input, Resource, ResourceOptions
from pulumi_aws import eks, iam

from components.aws.eks_cluster import EksCluster
from components.aws.iam import document, pod_identity

CNI_ACCOUNT = "aws-node"
EBS_ACCOUNT = "ebs-csi-controller-sa"
# NetworkPolicy is off unless it is asked for: the environment's default deny would be written and not enforced
CNI = {"enableNetworkPolicy": "true"}
BEFORE_NODES = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni")
ON_NODES = ("aws-ebs-csi-driver", "coredns", "eks-node-monitoring-agent", "metrics-server")


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
    """ARN of the role that makes and attaches volumes; the add-on associates it."""
    volume_tags: Mapping[str, str] = field(default_factory=dict)
    """Of the volumes that are made for claims: default tags do not reach them."""
    nodes: Sequence[Resource] = ()
    """What must be there first: the system nodes, and the Pod Identity agent."""


class NetworkAddons(ComponentResource):
    """vpc-cni with NetworkPolicy, kube-proxy, the Pod Identity agent: nodes are not ready without them."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: AddonsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:NetworkAddons", name, None, opts)
        made = {addon: _addon(name, addon, self, args, after=args.cluster.ready) for addon in BEFORE_NODES[:2]}
        role, rights = self._network_role(name, args)
        made["vpc-cni"] = _addon(
            name,
            "vpc-cni",
            self,
            args,
            after=[*args.cluster.ready, *rights, made["eks-pod-identity-agent"]],
            configuration=CNI,
            identity=(CNI_ACCOUNT, role.arn),
        )
        self.ready = list(made.values())
        self.register_outputs({})

    def _network_role(self, name: str, args: AddonsArgs) -> tuple[iam.Role, Sequence[Resource]]:
        """Declare who the network plugin is: addresses are its business, not the node's."""
        child = ResourceOptions(parent=self)
        names = args.cluster.names
        trust = pod_identity(names, args.cluster.cluster_name, "kube-system", CNI_ACCOUNT)
        role = iam.Role(
            f"{name}-cni-role",
            name=names.role("cni"),
            description="The network plugin",
            assume_role_policy=document(trust),
            opts=child,
        )
        rights = iam.RolePolicyAttachment(
            f"{name}-cni-rights", role=role.name, policy_arn=names.managed_policy("AmazonEKS_CNI_Policy"), opts=child
        )
        return role, [role, rights]


class WorkloadAddons(ComponentResource):
    """coredns, the EBS driver, metrics-server, node monitoring: without a node they would never be healthy."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: WorkloadAddonsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:WorkloadAddons", name, None, opts)
        after = [*args.cluster.ready, *args.nodes]
        tags = {"controller": {"extraVolumeTags": dict(args.volume_tags)}} if args.volume_tags else None
        driver = _addon(
            name,
            "aws-ebs-csi-driver",
            self,
            args,
            after=after,
            configuration=tags,
            identity=(EBS_ACCOUNT, args.ebs_role),
        )
        self.ready = [driver, *(_addon(name, addon, self, args, after=after) for addon in ON_NODES[1:])]
        self.register_outputs({})


def _addon(
    name: str,
    addon: str,
    parent: ComponentResource,
    args: AddonsArgs | WorkloadAddonsArgs,
    *,
    after: Sequence[Resource],
    configuration: Mapping[str, Any] | None = None,
    identity: tuple[str, Input[str]] | None = None,
) -> eks.Addon:
    association = None
    if identity is not None:
        association = [{"service_account": identity[0], "role_arn": identity[1]}]
    return eks.Addon(
        f"{name}-{addon}",
        cluster_name=args.cluster.cluster_name,
        addon_name=addon,
        addon_version=args.versions.get(addon),
        configuration_values=None if configuration is None else json.dumps(configuration, sort_keys=True),
        pod_identity_associations=association,
        # what an interrupted `up` left is taken over, and what a hand changed is set back
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=ResourceOptions(
            parent=parent, depends_on=[*after], custom_timeouts=CustomTimeouts(create="20m", update="20m", delete="20m")
        ),
    )
