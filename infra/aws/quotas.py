"""How many vCPUs of GPU machines a stack may need at once, by the quotas that AWS counts them against.

Pure: what the quotas are in an account is for `infra.aws.preflight` to ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from components.aws.instance_types import lookup
from components.settings import GpuPoolSpec
from infra.aws.settings import GpuNodeSettings

SERVICE = "ec2"


@dataclass(frozen=True)
class Quota:
    """A quota of EC2, in vCPUs."""

    code: str
    name: str


# read in November 2026 from the Service Quotas console's list for EC2; P6 has no spot quota listed there
_G = (
    Quota("L-DB2E81BA", "Running On-Demand G and VT instances"),
    Quota("L-3819A6DF", "All G and VT Spot Instance Requests"),
)
_P_ON_DEMAND = Quota("L-417A185B", "Running On-Demand P instances")
_OLDER_P_SPOT = Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests")
_P5_SPOT = Quota("L-C4BD4855", "All P5 Spot Instance Requests")
FAMILIES: Mapping[str, tuple[Quota, Quota | None]] = MappingProxyType(
    {
        "g": _G,
        "gr": _G,
        "p3": (_P_ON_DEMAND, _OLDER_P_SPOT),
        "p4": (_P_ON_DEMAND, _OLDER_P_SPOT),
        "p5": (_P_ON_DEMAND, _P5_SPOT),
        "p": (_P_ON_DEMAND, None),
    }
)
"""By the letters of a family, with its generation where that matters: the quotas on demand and for spot."""


@dataclass(frozen=True)
class Need:
    """What the pools need of one quota: one node of the largest type, and everything at its maximum."""

    quota: Quota
    one_node: int
    at_most: int
    pools: tuple[str, ...]


def quotas_of(type_name: str) -> tuple[Quota, Quota | None] | None:
    """Return the quotas that an instance type counts against, on demand and for spot; None for an unknown family."""
    found = re.match(r"([a-z]+)([0-9]*)", type_name)
    if found is None:
        return None
    return FAMILIES.get(f"{found[1]}{found[2]}") or FAMILIES.get(found[1])


def needs(pools: Sequence[GpuPoolSpec], nodes: Mapping[str, GpuNodeSettings]) -> list[Need]:
    """Return what the pools may need of each quota, the ones that are known; capacity blocks count against none."""
    wanted: dict[Quota, list[tuple[str, int, int]]] = {}
    for pool in pools:
        machines = nodes.get(pool.name)
        if machines is None or machines.capacity_block is not None:
            continue
        for quota, vcpus in _largest(machines.instance_types, _markets(pool, machines)).items():
            wanted.setdefault(quota, []).append((pool.name, vcpus, pool.max))
    return [
        Need(
            quota,
            max(vcpus for _, vcpus, _ in asked),
            sum(vcpus * count for _, vcpus, count in asked),
            tuple(name for name, _, _ in asked),
        )
        for quota, asked in wanted.items()
    ]


def _markets(pool: GpuPoolSpec, machines: GpuNodeSettings) -> tuple[int, ...]:
    """Return 0 for on demand, 1 for spot: where the pool's nodes may come from."""
    if not pool.spot:
        return (0,)
    return (0, 1) if machines.on_demand_fallback else (1,)


def _largest(types: Iterable[str], markets: Sequence[int]) -> dict[Quota, int]:
    """Return the vCPUs of the largest type that counts against each quota."""
    found: dict[Quota, int] = {}
    for type_name in types:
        both = quotas_of(type_name) or (None, None)
        for quota in [both[market] for market in markets]:
            if quota is not None:
                found[quota] = max(found.get(quota, 0), lookup(type_name).vcpus)
    return found
