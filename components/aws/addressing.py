"""CIDR arithmetic of an environment's network: which subnet gets which addresses.

Pure: it knows AWS's limits for a VPC and nothing of how one is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

LARGEST, SMALLEST = 16, 22
"""Prefix lengths: AWS makes no VPC larger than a /16; below a /22 a zone has fewer than 250 addresses for pods."""
_ZONES = range(2, 4)
_QUARTER = 2  # bits
# what AWS routes inside a VPC without taking somebody's public addresses away
_PRIVATE = tuple(IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The addresses of a network, by zone."""

    cidr: str
    private: Mapping[str, str]
    """Zone -> CIDR: nodes, pods, database. A quarter each: every pod takes an address."""
    public: Mapping[str, str]
    """Zone -> CIDR: load balancers and NAT. A sixteenth each."""


def plan(cidr: str, zones: Sequence[str]) -> Plan:
    """Lay out the subnets of two or three zones.

    A zone's place depends on its position only, so a third zone appended later moves nothing: the first three quarters
    are private subnets, the last one holds the public ones.

    Raises:
        ValueError: each rule that is broken, with its fix.
    """
    if wrong := [*_block_problems(cidr), *_zone_problems(zones)]:
        raise ValueError("; ".join(wrong))
    quarters = list(IPv4Network(cidr).subnets(prefixlen_diff=_QUARTER))
    sixteenths = quarters[-1].subnets(prefixlen_diff=_QUARTER)
    return Plan(
        cidr=cidr,
        private={zone: str(block) for zone, block in zip(zones, quarters, strict=False)},
        public={zone: str(block) for zone, block in zip(zones, sixteenths, strict=False)},
    )


def overlaps(one: str, other: str) -> bool:
    """Whether two blocks share an address.

    Raises:
        ValueError: one of them is no block of IPv4 addresses.
    """
    return IPv4Network(one, strict=False).overlaps(IPv4Network(other, strict=False))


def _block_problems(cidr: str) -> Iterator[str]:
    try:
        block = IPv4Network(cidr, strict=False)
    except ValueError:
        yield f"{cidr!r} is no block of IPv4 addresses: write one such as 10.0.0.0/16"
        return
    if str(block) != cidr:
        yield f"{cidr} is not how the block is written: write {block}"
    if not LARGEST <= block.prefixlen <= SMALLEST:
        yield f"{cidr} is a /{block.prefixlen}: a network has between /{LARGEST} and /{SMALLEST}, such as 10.0.0.0/16"
    if not any(block.subnet_of(private) for private in _PRIVATE):
        ranges = ", ".join(map(str, _PRIVATE))
        yield f"{cidr} holds public addresses, which nodes could no longer reach: choose a block within {ranges}"


def _zone_problems(zones: Sequence[str]) -> Iterator[str]:
    if len(zones) not in _ZONES:
        yield f"{len(zones)} zones ({', '.join(zones)}): a network spans two or three; EKS and RDS need two"
    twice = sorted({zone for zone in zones if zones.count(zone) > 1})
    if twice:
        yield f"{', '.join(twice)} is named twice among the zones: name each once"
