"""NodeRole: who nodes are.

It holds what a node itself needs and nothing of what runs on it: the network plugin and workloads have roles of their
own, and pods cannot ask for this one (launch_template.py lets no pod reach the metadata service).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, Resource, ResourceOptions
from pulumi_aws import iam

from components.aws.iam import assumed_by, document
from components.aws.naming import Names

POLICIES = {"worker": "AmazonEKSWorkerNodePolicy", "images": "AmazonEC2ContainerRegistryPullOnly"}
"""AWS' own: joining the cluster and lending Pod Identities; pulling images."""


@dataclass(frozen=True, kw_only=True)
class NodeRoleArgs:
    """Where it is."""

    names: Names


class NodeRole(ComponentResource):
    """The role of every node; EKS lets node groups of it into the cluster without an access entry."""

    arn: Output[str]
    ready: Sequence[Resource]
    """What node groups depend on, so that destroy takes them first: a node without its rights cannot leave."""

    def __init__(self, name: str, args: NodeRoleArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:NodeRole", name, None, opts)
        child = ResourceOptions(parent=self)
        role = iam.Role(
            f"{name}-role",
            name=args.names.role("node"),
            description="Nodes of the cluster",
            assume_role_policy=document(assumed_by("ec2.amazonaws.com")),
            opts=child,
        )
        attached = [
            iam.RolePolicyAttachment(
                f"{name}-{use}", role=role.name, policy_arn=args.names.managed_policy(policy), opts=child
            )
            for use, policy in POLICIES.items()
        ]
        self.arn = role.arn
        self.ready = [role, *attached]
        self.register_outputs({"arn": self.arn})
