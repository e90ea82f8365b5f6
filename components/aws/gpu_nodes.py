"""Which machines a GPU pool gets, and what such machines must have in common.

Pure: no resource is declared and no account is asked. What a pool asks of one machine is the settings' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from components.aws.instance_types import InstanceType, lookup

Capacity = Literal["on_demand", "spot", "spot_with_fallback", "capacity_block"]
_RESERVATION = re.compile(r"cr-[0-9a-f]{8,17}")


@dataclass(frozen=True, kw_only=True)
class GpuNodes:
    """The machines of one pool."""

    instance_types: Sequence[str]
    """In the order of preference; all with the same GPUs, so that the pool's pods run alike on each."""
    capacity: Capacity = "on_demand"
    capacity_block_id: str | None = None
    """The reservation (`cr-...`) of a capacity block, already bought."""
    zones: Sequence[str] = ()
    """Only these of the network's zones; empty is all of them."""
    disk_gib: int = 200
    efa: bool = False
    """Elastic Fabric Adapters on every card, in a placement group: training over several nodes."""


@dataclass(frozen=True)
class Mismatch:
    """What is wrong with the machines of a pool: a field of GpuNodes, its value, the rule, the fix."""

    field: str
    value: object
    rule: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field} {self.value}: {self.rule}; {self.fix}"


def mismatches(nodes: GpuNodes, zones: Sequence[str]) -> Iterator[Mismatch]:
    """Find what no node group can be made of.

    Args:
        nodes: machines whose types are all known.
        zones: those of the network.

    Raises:
        UnknownInstanceTypeError: a type is not in the table.
    """
    machines = [lookup(name) for name in nodes.instance_types]
    if not machines:
        yield Mismatch("instance_types", [], "a pool has at least one type", "name one, such as g6.xlarge")
        return
    yield from _alike(nodes, machines)
    used = nodes.zones or zones
    if strange := sorted(set(used) - set(zones)):
        yield Mismatch("zones", strange, "is not in the network", f"use some of {', '.join(zones)}")
    if nodes.efa:
        yield from _efa(nodes, machines, used)
    yield from _capacity_block(nodes, machines, used)


def _alike(nodes: GpuNodes, machines: Sequence[InstanceType]) -> Iterator[Mismatch]:
    without = [machine.name for machine in machines if not machine.gpus]
    if without:
        yield Mismatch("instance_types", without, "has no NVIDIA GPU", "use a type with GPUs, such as g6.xlarge")
    first = machines[0]
    # the autoscaler reckons with the first type of a group, whatever then starts
    unlike = [m.name for m in machines if (m.gpus, m.gpu, m.arm) != (first.gpus, first.gpu, first.arm)]
    if unlike and not without:
        yield Mismatch(
            "instance_types",
            unlike,
            f"has other GPUs than {first.name}, {first.gpus} x {first.gpu}: pods would run differently on each",
            "make a pool of its own for them",
        )
    smaller = [m.name for m in machines if m.vcpus < first.vcpus or m.memory_gib < first.memory_gib]
    if smaller:
        yield Mismatch(
            "instance_types",
            smaller,
            f"is smaller than {first.name}, with which the autoscaler reckons",
            "put the smallest type first",
        )
    if len(set(nodes.instance_types)) != len(nodes.instance_types):
        yield Mismatch("instance_types", list(nodes.instance_types), "names a type twice", "remove one of them")


def _efa(nodes: GpuNodes, machines: Sequence[InstanceType], zones: Sequence[str]) -> Iterator[Mismatch]:
    if len(zones) != 1:
        yield Mismatch("efa", list(zones), "adapters do not reach into other zones", "name exactly one in zones")
    without = [machine.name for machine in machines if not machine.efa]
    if without:
        yield Mismatch("efa", without, "takes no Elastic Fabric Adapter", "use another type, or set efa: false")
    if len({(machine.efa, machine.efa_first_card) for machine in machines}) > 1:
        yield Mismatch(
            "efa",
            list(nodes.instance_types),
            "take different numbers of adapters, and the launch template names each",
            "use types with as many, or one type",
        )


def _capacity_block(nodes: GpuNodes, machines: Sequence[InstanceType], zones: Sequence[str]) -> Iterator[Mismatch]:
    block = nodes.capacity_block_id
    if (nodes.capacity == "capacity_block") != (block is not None):
        yield Mismatch(
            "capacity_block_id",
            block,
            f"and capacity {nodes.capacity} do not belong together",
            "a capacity block has both, or neither",
        )
    if nodes.capacity != "capacity_block":
        return
    if block is not None and not _RESERVATION.fullmatch(block):
        yield Mismatch("capacity_block_id", block, "is no reservation", "use its id, such as cr-0123456789abcdef0")
    if len(machines) != 1 or len(zones) != 1:
        yield Mismatch(
            "capacity_block_id",
            block,
            "is of one instance type in one zone",
            "name exactly these in instance_types and zones",
        )
    unsold = [machine.name for machine in machines if not machine.capacity_block]
    if unsold:
        yield Mismatch("instance_types", unsold, "is not sold in capacity blocks", "use a type such as p5.48xlarge")
