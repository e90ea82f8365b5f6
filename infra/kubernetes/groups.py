"""Groups of Ray workers: of what size, how many, in which GPU pool.

It knows the settings of a training and of the pools; how a pod of a group looks is the template's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.seam import RaySpec
from components.settings import GpuPoolSpec as Pool
from components.settings import SettingError

_LEAST_GIB = 2.0
_GIB_PER_CPU = 4.0
_SHARED_WORKERS = 8
"""How many a shared cluster may have, when its stack's own training does not ask for more."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Workers of one size; `cpus` and `memory_gib` are what one pod asks the cluster for."""

    name: str
    minimum: int
    maximum: int
    cpus: float
    memory_gib: float
    gpus: int = 0
    pool: Pool | None = None


def pool_for(pools: Sequence[Pool], gpus: float, cpus: float) -> Pool:
    """Return the smallest pool on one node of which a worker with so many GPUs and CPUs fits.

    Raises:
        SettingError: there is none.
    """
    fitting = [pool for pool in pools if pool.gpus >= gpus and pool.cpus >= cpus]
    if not fitting:
        listed = ", ".join(f"{pool.name} ({pool.gpus} GPUs, {pool.cpus:g} CPUs)" for pool in pools) or "none"
        raise SettingError(
            f"slipway:training.resources: a worker with {gpus:g} GPUs and {cpus:g} CPUs fits on a node of no pool "
            f"(slipway:gpu_pools: {listed}). Ask for less, or add a pool with nodes of that size."
        )
    return min(fitting, key=lambda pool: (pool.gpus, pool.cpus, pool.name))


def worker_memory(cpus: float, given: float | None) -> float:
    """Return the GiB of a worker without GPUs."""
    return given or max(_LEAST_GIB, _GIB_PER_CPU * cpus)


def shared_groups(spec: RaySpec) -> list[Group]:
    """Return the groups of a shared cluster: CPU workers, and one group a pool, each from zero to its size.

    A CPU worker is as large as the one of the stack's training: none would ever hold a larger one.
    """
    memory = worker_memory(spec.worker_cpus, spec.worker_memory_gib)
    cpu = Group(
        name="cpu", minimum=0, maximum=max(_SHARED_WORKERS, spec.workers), cpus=spec.worker_cpus, memory_gib=memory
    )
    gpu = [
        Group(
            name=pool.name,
            minimum=pool.min,
            maximum=pool.max,
            cpus=pool.cpus,
            memory_gib=pool.memory_gib,
            gpus=pool.gpus,
            pool=pool,
        )
        for pool in spec.gpu_pools
    ]
    return [cpu, *gpu]
