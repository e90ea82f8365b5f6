"""WorkloadIdentity: who the pods of one ServiceAccount are, and what they may do.

It must not know what the workload is: its rights are arguments, built in components.aws.iam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import eks, iam

from components.aws.iam import document, pod_identity
from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """Which account, and its rights."""

    names: Names
    role: str
    """What it is for, such as training; part of the role's name."""
    cluster_name: Input[str]
    """The Output of the cluster, so that the association waits for it."""
    namespace: Input[str]
    service_account: str
    statements: Sequence[Mapping[str, Any]]
    """Of components.aws.iam."""
    associate: bool = True
    """False where an add-on associates the role itself; a second association would be refused."""


class WorkloadIdentity(ComponentResource):
    """A role for one ServiceAccount of one cluster, with one policy.

    A pod gets it without any annotation, from the Pod Identity agent of its node.
    """

    role_arn: Output[str]
    ready: Sequence[Resource]
    """What pods wait for: without the association, they would start as nobody."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:WorkloadIdentity", name, None, opts)
        child = ResourceOptions(parent=self)
        trust = pod_identity(args.names, args.cluster_name, args.namespace, args.service_account)
        role = iam.Role(
            f"{name}-role",
            name=args.names.role(args.role),
            description=f"Pods of the ServiceAccount {args.service_account}",
            assume_role_policy=document(trust),
            opts=child,
        )
        policy = iam.RolePolicy(f"{name}-policy", role=role.name, policy=document(args.statements), opts=child)
        self.role_arn = role.arn
        self.ready = [role, policy, *self._association(name, args, role)]
        self.register_outputs({"role_arn": self.role_arn})

    def _association(self, name: str, args: WorkloadIdentityArgs, role: iam.Role) -> Sequence[Resource]:
        if not args.associate:
            return []
        return [
            eks.PodIdentityAssociation(
                f"{name}-association",
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=args.service_account,
                role_arn=role.arn,
                opts=ResourceOptions(parent=self),
            )
        ]
