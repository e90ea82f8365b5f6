"""The network of an environment: public and private subnets, ways out, flow logs; or an existing VPC by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.naming import Names


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
        super().__init__("slipway:aws:Network", name, None, opts)
        raise NotImplementedError


def given_network(
    vpc_id: Input[str], cidr: str, private: Mapping[str, Input[str]], public: Mapping[str, Input[str]]
) -> NetworkHandle:
    """A network that somebody else keeps; subnets by zone."""
    return NetworkHandle(
        vpc_id=Output.from_input(vpc_id),
        cidr=cidr,
        private=[Subnet(zone, Output.from_input(subnet)) for zone, subnet in sorted(private.items())],
        public=[Subnet(zone, Output.from_input(subnet)) for zone, subnet in sorted(public.items())],
        ready=[],
    )
