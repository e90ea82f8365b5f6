"""CIDR arithmetic of an environment's network: which subnet gets which addresses. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The addresses of a network, by zone."""

    cidr: str
    private: Mapping[str, str]
    """Zone -> CIDR: nodes, pods, database. The larger part: every pod takes an address."""
    public: Mapping[str, str]
    """Zone -> CIDR: load balancers and NAT."""


def plan(cidr: str, zones: Sequence[str]) -> Plan:
    """Lay the subnets of two or three zones out."""
    raise NotImplementedError


def overlaps(one: str, other: str) -> bool:
    """Whether two blocks share an address."""
    raise NotImplementedError
