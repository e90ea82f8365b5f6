"""Which machines a GPU pool gets, and what cannot hold together: pure, no resource is declared and no account is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Capacity = Literal["on_demand", "spot", "spot_with_fallback", "capacity_block"]


class GpuPool(Protocol):
    """What is asked of a pool; `slipway:gpu_pools` has this shape."""

    @property
    def name(self) -> str: ...
    @property
    def gpus(self) -> int: ...
    @property
    def cpus(self) -> float: ...
    @property
    def memory_gib(self) -> float: ...
    @property
    def min(self) -> int: ...
    @property
    def max(self) -> int: ...
    @property
    def spot(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class GpuNodes:
    """The machines of one pool."""

    instance_types: Sequence[str]
    """In the order of preference; all with the same GPU, so that the pool's pods run alike on each."""
    capacity: Capacity = "on_demand"
    capacity_block_id: str | None = None
    """The reservation (`cr-...`) of a capacity block, already bought."""
    zones: Sequence[str] = ()
    """Only these of the network's zones; empty is all of them."""
    disk_gib: int = 200
    efa: bool = False
    """Elastic Fabric Adapters on every card, in a placement group: training over several nodes."""


def problems(pool: GpuPool, nodes: GpuNodes, zones: Sequence[str]) -> list[str]:
    """Return what cannot hold together, each with its rule and its fix; empty when all does."""
    raise NotImplementedError
