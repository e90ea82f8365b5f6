"""From a GPU pool and its machines to node groups: pure; labels and taints are those that pods ask for and tolerate."""

from __future__ import annotations

from components.aws.gpu_nodes import Capacity, GpuNodes
from components.kubernetes.gpu_pools import node_labels, node_taints
from components.kubernetes.platforms import PLATFORMS
from components.settings import GpuPoolSpec
from infra.aws.settings import GpuNodeSettings

PLATFORM = PLATFORMS["aws"]


def capacity(pool: GpuPoolSpec, settings: GpuNodeSettings) -> Capacity:
    """Return how the pool's nodes are bought."""
    if settings.capacity_block is not None:
        return "capacity_block"
    if pool.spot:
        return "spot_with_fallback" if settings.on_demand_fallback else "spot"
    return "on_demand"


def machines(pool: GpuPoolSpec, settings: GpuNodeSettings) -> GpuNodes:
    """Return the machines of the pool."""
    return GpuNodes(
        instance_types=settings.instance_types,
        capacity=capacity(pool, settings),
        capacity_block_id=settings.capacity_block,
        zones=settings.zones,
        disk_gib=settings.disk_gib,
        efa=settings.efa,
    )


def labels(pool: GpuPoolSpec) -> dict[str, str]:
    """Return the labels of the pool's nodes; the node groups add the GPU's model where the pool names none."""
    return node_labels(pool, PLATFORM.name)


def taints(pool: GpuPoolSpec) -> list[dict[str, str]]:
    """Return the taints of the pool's nodes."""
    return node_taints(pool, PLATFORM.name)
