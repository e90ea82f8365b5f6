"""Private ways from a VPC to AWS's own services: S3 always, since it costs nothing; the others on demand.

It owns the endpoints and who may call them. It promises no node that it needs no other way out: images lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Resource, ResourceOptions
from pulumi_aws import ec2, vpc

from components.aws.naming import Names

INTERFACES = (
    "autoscaling",
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "logs",
    "secretsmanager",
    "ssm",
    "sts",
)
"""What nodes and the workloads of an environment call."""
_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class VpcEndpointsArgs:
    """Which VPC, and from where."""

    names: Names
    vpc_id: Input[str]
    cidr: str
    """Who may call the interface endpoints: everything in the VPC."""
    route_tables: Mapping[str, Input[str]]
    """Whose traffic to S3 stays inside AWS; by a name that is only for order."""
    interface_subnets: Sequence[Input[str]]
    """Where interface endpoints get an address, one a zone; none are made when empty."""


class VpcEndpoints(ComponentResource):
    """A gateway endpoint for S3 and, where asked for, interface endpoints."""

    ready: Sequence[Resource]

    def __init__(self, name: str, args: VpcEndpointsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:VpcEndpoints", name, None, opts)
        child = ResourceOptions(parent=self)
        gateway = ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.vpc_id,
            service_name=service(args.names, "s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=[args.route_tables[table] for table in sorted(args.route_tables)],
            tags={"Name": args.names.name("s3")},
            opts=child,
        )
        self.ready = [gateway, *(self._interfaces(name, args) if args.interface_subnets else [])]
        self.register_outputs({"s3": gateway.id})

    def _interfaces(self, name: str, args: VpcEndpointsArgs) -> Sequence[Resource]:
        child = ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            f"{name}-group",
            name=args.names.name("endpoints"),
            description="Interface endpoints: HTTPS from inside the VPC",
            vpc_id=args.vpc_id,
            tags={"Name": args.names.name("endpoints")},
            opts=child,
        )
        entrance = vpc.SecurityGroupIngressRule(
            f"{name}-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            cidr_ipv4=args.cidr,
            opts=child,
        )
        made: list[Resource] = [
            ec2.VpcEndpoint(
                f"{name}-{interface.replace('.', '-')}",
                vpc_id=args.vpc_id,
                service_name=service(args.names, interface),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,  # SDKs find it under the service's own name
                subnet_ids=list(args.interface_subnets),
                security_group_ids=[group.id],
                tags={"Name": args.names.name(interface.replace(".", "-"))},
                opts=child,
            )
            for interface in INTERFACES
        ]
        return [entrance, *made]


def service(names: Names, interface: str) -> str:
    """The name under which a region offers a service to VPCs."""
    return f"com.amazonaws.{names.region}.{interface}"
