"""EksCluster: the control plane, who may enter it, and its logs.

It must not know nodes or what runs on them; add-ons are in addons.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import cloudwatch, eks, iam, vpc

from components.aws.iam import assumed_by, document, encrypt_cluster
from components.aws.naming import Names
from components.aws.network import NetworkHandle

_HTTPS = 443
_ZONES = 2
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ADMIN_POLICY = "cluster-access-policy/AmazonEKSClusterAdminPolicy"


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """What the control plane is made of."""

    names: Names
    version: str
    """Kubernetes' minor version, such as 1.36."""
    network: NetworkHandle
    key: Input[str]
    """ARN of the key that API objects are encrypted with."""
    log_key: Input[str]
    """ARN of the key of the log group."""
    public_cidrs: Sequence[str] = ()
    """Who may reach the API server from outside the network; nobody when empty, and then whoever is inside."""
    admins: Sequence[str] = ()
    """ARNs of the IAM principals that administer the cluster, the one that runs `up` among them."""
    log_days: int = 90
    deletion_protection: bool = True
    service_cidr: str | None = None
    """Addresses of Services; EKS chooses when absent."""


class EksCluster(ComponentResource):
    """A cluster that only listed principals enter, and only listed addresses reach."""

    names: Names
    name: str
    """Known before the cluster is."""
    cluster_name: Output[str]
    """The same, once the cluster exists: what is made in it takes this one."""
    arn: Output[str]
    endpoint: Output[str]
    certificate: Output[str]
    """The API server's certificate authority, base64."""
    security_group: Output[str]
    """The cluster's own group: control plane and nodes."""
    ready: Sequence[Resource]
    """The cluster and its administrators: nobody else could make anything in it."""

    def __init__(self, name: str, args: EksClusterArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:EksCluster", name, None, opts)
        self.names = args.names
        self.name = args.names.name("cluster")
        cluster = self._cluster(name, args, self._before(name, args))
        self.cluster_name = cluster.name
        self.arn = cluster.arn
        self.endpoint = cluster.endpoint
        self.certificate = cluster.certificate_authority.apply(lambda authority: authority.data)
        self.security_group = cluster.vpc_config.apply(lambda config: config.cluster_security_group_id)
        admins = [entry for arn in args.admins for entry in administrator(name, arn, self, cluster)]
        self.ready = [cluster, *admins, *self._inside(name, args)]
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "arn": self.arn,
                "endpoint": self.endpoint,
                "certificate": self.certificate,
                "security_group": self.security_group,
            }
        )

    def _inside(self, name: str, args: EksClusterArgs) -> Sequence[Resource]:
        """Let the VPC reach a cluster that has no other way in: its own group admits nodes alone."""
        if args.public_cidrs:
            return []
        entrance = vpc.SecurityGroupIngressRule(
            f"{name}-inside",
            security_group_id=self.security_group,
            description="The API server, from inside the VPC",
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            cidr_ipv4=args.network.cidr,
            opts=ResourceOptions(parent=self),
        )
        return [entrance]

    def _before(self, name: str, args: EksClusterArgs) -> tuple[iam.Role, Sequence[Resource]]:
        """Declare the role, its rights, and the log group: EKS makes one that keeps everything for ever, if none is."""
        child = ResourceOptions(parent=self)
        role = iam.Role(
            f"{name}-role",
            name=args.names.role("cluster"),
            description="The control plane of the cluster",
            assume_role_policy=document(assumed_by("eks.amazonaws.com")),
            opts=child,
        )
        rights = [
            iam.RolePolicyAttachment(
                f"{name}-rights",
                role=role.name,
                policy_arn=args.names.managed_policy("AmazonEKSClusterPolicy"),
                opts=child,
            ),
            iam.RolePolicy(f"{name}-key", role=role.name, policy=document(encrypt_cluster(args.key)), opts=child),
        ]
        logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{self.name}/cluster",
            retention_in_days=args.log_days,
            kms_key_id=args.log_key,
            opts=child,
        )
        return role, [*rights, logs]

    def _cluster(self, name: str, args: EksClusterArgs, before: tuple[iam.Role, Sequence[Resource]]) -> eks.Cluster:
        role, rest = before
        service = None if args.service_cidr is None else {"service_ipv4_cidr": args.service_cidr}
        public = {"public_access_cidrs": sorted(args.public_cidrs)} if args.public_cidrs else {}
        return eks.Cluster(
            f"{name}-cluster",
            name=self.name,
            version=args.version,
            role_arn=role.arn,
            vpc_config={
                # EKS never lets a cluster's zones change, and wants two: the first ones, so that nodes may get a third.
                # Nodes need no interface of the control plane in their own zone
                "subnet_ids": [subnet.id for subnet in args.network.private[:_ZONES]],
                "endpoint_private_access": True,
                "endpoint_public_access": bool(args.public_cidrs),
                **public,
            },
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            encryption_config={"provider": {"key_arn": args.key}, "resources": ["secrets"]},
            kubernetes_network_config=service,
            enabled_cluster_log_types=list(LOGS),
            # the other type lets a version's end of support pass, for six times the price
            upgrade_policy={"support_type": "STANDARD"},
            bootstrap_self_managed_addons=False,
            deletion_protection=args.deletion_protection,
            # destroy: a control plane without its rights leaves network interfaces behind, and writes its logs anew
            # protected here too: the engine then refuses before anything else of the environment is gone
            opts=ResourceOptions(parent=self, depends_on=[*rest], protect=args.deletion_protection),
        )


def administrator(name: str, arn: str, parent: EksCluster, cluster: Resource) -> Sequence[Resource]:
    """Declare that the principal `arn` administers the cluster; children of the cluster's component."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", arn.split(":", 4)[-1]).strip("-")
    inside = ResourceOptions(parent=parent, depends_on=[cluster])
    entry = eks.AccessEntry(
        f"{name}-entry-{slug}",
        cluster_name=parent.cluster_name,
        principal_arn=arn,
        type="STANDARD",
        opts=inside,
    )
    policy = eks.AccessPolicyAssociation(
        f"{name}-admin-{slug}",
        cluster_name=parent.cluster_name,
        principal_arn=entry.principal_arn,
        policy_arn=f"arn:{parent.names.partition}:eks::aws:{ADMIN_POLICY}",
        access_scope={"type": "cluster"},
        opts=inside,
    )
    return [entry, policy]
