"""The network of an environment: public and private subnets, ways out, flow logs; or an existing VPC by id.

It owns everything in the VPC that is not a node's or a service's. What goes into an existing VPC is not its matter:
that one is used as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import ec2

from components.aws import addressing
from components.aws.flow_logs import FlowLogs, FlowLogsArgs
from components.aws.naming import Names
from components.aws.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs

_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Subnet:
    """A subnet and the zone that it lies in."""

    zone: str
    id: Output[str]


@dataclass(frozen=True)
class NetworkHandle:
    """What others need of a network, made here or given."""

    vpc_id: Output[str]
    cidr: str
    private: Sequence[Subnet]
    public: Sequence[Subnet]
    ready: Sequence[Resource]
    """What nodes need to get out: NAT, routes, endpoints. Empty where the network is given."""


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Addresses, zones and ways out."""

    names: Names
    cidr: str
    zones: Sequence[str]
    """Two or three, by name; never read from the provider, so that a preview needs no call."""
    nat: Literal["single", "per_zone"] = "single"
    endpoints: bool = False
    """Interface endpoints for the services that nodes call, so that they need no way out for them."""
    flow_log_days: int = 30
    log_key: Input[str]


class Network(ComponentResource):
    """A VPC with subnets, routes, endpoints and flow logs."""

    handle: NetworkHandle

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        plan = addressing.plan(args.cidr, args.zones)
        super().__init__("slipway:aws:Network", name, None, opts)
        self._name, self._names = name, args.names
        self._child = ResourceOptions(parent=self)
        vpc = self._vpc(args.cidr)
        public = {zone: self._subnet(vpc, "public", zone, cidr) for zone, cidr in plan.public.items()}
        private = {zone: self._subnet(vpc, "private", zone, cidr) for zone, cidr in plan.private.items()}
        public_table, entrance = self._public_routes(vpc, public)
        nats = self._nats(args.nat, public, entrance)
        private_tables, ways = self._private_routes(vpc, private, nats)
        flow_args = FlowLogsArgs(names=args.names, vpc_id=vpc.id, days=args.flow_log_days, key=args.log_key)
        FlowLogs(f"{name}-flow-logs", flow_args, self._child)
        endpoints = VpcEndpoints(
            f"{name}-endpoints",
            VpcEndpointsArgs(
                names=args.names,
                vpc_id=vpc.id,
                cidr=args.cidr,
                route_tables={"public": public_table.id, **{zone: table.id for zone, table in private_tables.items()}},
                interface_subnets=[subnet.id for subnet in private.values()] if args.endpoints else [],
            ),
            self._child,
        )
        self.handle = NetworkHandle(
            vpc_id=vpc.id,
            cidr=args.cidr,
            private=[Subnet(zone, subnet.id) for zone, subnet in private.items()],
            public=[Subnet(zone, subnet.id) for zone, subnet in public.items()],
            ready=[*entrance, *ways, *endpoints.ready],
        )
        self.register_outputs({
            "vpc_id": self.handle.vpc_id,
            "private": [subnet.id for subnet in self.handle.private],
            "public": [subnet.id for subnet in self.handle.public],
        })  # fmt: skip

    def _vpc(self, cidr: str) -> ec2.Vpc:
        vpc = ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # EKS and private endpoints answer by name
            tags={"Name": self._names.stem},
            opts=self._child,
        )
        # AWS makes it, open inside; whoever forgets to choose a group lands in it
        ec2.DefaultSecurityGroup(
            f"{self._name}-default-closed",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags={"Name": self._names.name("default-closed")},
            opts=self._child,
        )
        return vpc

    def _subnet(self, vpc: ec2.Vpc, kind: Literal["public", "private"], zone: str, cidr: str) -> ec2.Subnet:
        """By these tags load-balancer controllers find them."""
        role = "kubernetes.io/role/elb" if kind == "public" else "kubernetes.io/role/internal-elb"
        return ec2.Subnet(
            f"{self._name}-{kind}-{zone}",
            vpc_id=vpc.id,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,  # load balancers and NAT bring their own addresses
            tags={"Name": self._names.name(f"{kind}-{zone}"), role: "1"},
            opts=self._child,
        )

    def _table(self, vpc: ec2.Vpc, role: str) -> ec2.RouteTable:
        return ec2.RouteTable(
            f"{self._name}-{role}", vpc_id=vpc.id, tags={"Name": self._names.name(role)}, opts=self._child
        )

    def _public_routes(
        self, vpc: ec2.Vpc, subnets: Mapping[str, ec2.Subnet]
    ) -> tuple[ec2.RouteTable, Sequence[Resource]]:
        gateway = ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=vpc.id, tags={"Name": self._names.stem}, opts=self._child
        )
        table = self._table(vpc, "public")
        route = ec2.Route(
            f"{self._name}-public-out",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        return table, [route, *self._associations("public", dict.fromkeys(subnets, table), subnets)]

    def _associations(
        self, kind: str, tables: Mapping[str, ec2.RouteTable], subnets: Mapping[str, ec2.Subnet]
    ) -> Sequence[Resource]:
        return [
            ec2.RouteTableAssociation(
                f"{self._name}-{kind}-{zone}", subnet_id=subnet.id, route_table_id=tables[zone].id, opts=self._child
            )
            for zone, subnet in subnets.items()
        ]

    def _nats(
        self, kind: Literal["single", "per_zone"], public: Mapping[str, ec2.Subnet], entrance: Sequence[Resource]
    ) -> Mapping[str, ec2.NatGateway]:
        """A way out by zone; one for all of them is cheaper and goes with its zone."""
        with_nat = list(public) if kind == "per_zone" else list(public)[:1]
        # without a route to the internet AWS makes no NAT gateway, and cannot give its address back in time
        after = ResourceOptions(parent=self, depends_on=list(entrance))
        made = {}
        for zone in with_nat:
            tags = {"Name": self._names.name(f"nat-{zone}")}
            address = ec2.Eip(f"{self._name}-nat-{zone}", domain="vpc", tags=tags, opts=after)
            made[zone] = ec2.NatGateway(
                f"{self._name}-nat-{zone}",
                allocation_id=address.allocation_id,
                subnet_id=public[zone].id,
                tags=tags,
                opts=after,
            )
        return {zone: made.get(zone, made[with_nat[0]]) for zone in public}

    def _private_routes(
        self, vpc: ec2.Vpc, subnets: Mapping[str, ec2.Subnet], nats: Mapping[str, ec2.NatGateway]
    ) -> tuple[Mapping[str, ec2.RouteTable], Sequence[Resource]]:
        """A table a zone, also with one NAT: that a second one comes later moves no subnet to another table."""
        tables = {zone: self._table(vpc, f"private-{zone}") for zone in subnets}
        routes = [
            ec2.Route(
                f"{self._name}-private-out-{zone}",
                route_table_id=table.id,
                destination_cidr_block=_ANYWHERE,
                nat_gateway_id=nats[zone].id,
                opts=self._child,
            )
            for zone, table in tables.items()
        ]
        return tables, [*routes, *self._associations("private", tables, subnets)]


def given_network(
    vpc_id: Input[str], cidr: str, private: Mapping[str, Input[str]], public: Mapping[str, Input[str]]
) -> NetworkHandle:
    """A network that somebody else keeps; subnets by zone, the private ones in the order of the zones' importance."""
    return NetworkHandle(
        vpc_id=Output.from_input(vpc_id),
        cidr=cidr,
        private=[Subnet(zone, Output.from_input(subnet)) for zone, subnet in private.items()],
        public=[Subnet(zone, Output.from_input(subnet)) for zone, subnet in sorted(public.items())],
        ready=[],
    )
