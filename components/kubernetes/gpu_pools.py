"""From the spec of a GPU pool to the nodes its pods land on: pure, no object is declared and no cluster is asked.

`placement` and `gpu_resources` go into pod templates; `node_labels`, `node_taints` say what a node of the pool looks
like, for whoever makes such nodes (node groups, test clusters) or computes what fits on them.
"""

from __future__ import annotations

from typing import Any

from components.kubernetes.platforms import PLATFORMS, Platform, PlatformName, Taint
from components.settings import GpuPoolSpec

GPU_RESOURCE = "nvidia.com/gpu"
POOL_LABEL = "slipway/pool"
"""On nodes that Slipway makes: which pool they belong to; a given cluster's nodes lack it."""


def placement(pool: GpuPoolSpec, platform: PlatformName) -> dict[str, Any]:
    """Return `nodeSelector` and `tolerations` of a pod that must land on the pool's nodes, and on no others."""
    row = PLATFORMS[platform]
    return {"nodeSelector": _selector(pool, row), "tolerations": [_toleration(taint) for taint in _taints(pool, row)]}


def gpu_resources(gpus: int) -> dict[str, str]:
    """Return the part of `limits`, and of `requests`, that asks for whole GPUs; nothing for none."""
    return {GPU_RESOURCE: str(gpus)} if gpus else {}


def node_labels(pool: GpuPoolSpec, platform: PlatformName) -> dict[str, str]:
    """Return the labels of the pool's nodes."""
    row = PLATFORMS[platform]
    model = {row.accelerator_label: pool.accelerator} if pool.accelerator else {}
    return {**dict([row.gpu_label] if row.gpu_label else []), **model, **_selector(pool, row), POOL_LABEL: pool.name}


def node_taints(pool: GpuPoolSpec, platform: PlatformName) -> list[dict[str, str]]:
    """Return the taints of the pool's nodes; `placement` tolerates exactly these."""
    return [
        {"key": taint.key, "value": taint.value or "true", "effect": taint.effect}
        for taint in _taints(pool, PLATFORMS[platform])
    ]


def _selector(pool: GpuPoolSpec, row: Platform) -> dict[str, str]:
    """The GPU limit alone keeps a pod off nodes without GPUs; labels choose among those that have some."""
    if row.own_nodes:
        return {POOL_LABEL: pool.name}
    selector = {} if pool.accelerator is None else {row.accelerator_label: pool.accelerator}
    if pool.spot and row.spot_label is not None:
        selector[row.spot_label[0]] = row.spot_label[1]
    return selector


def _taints(pool: GpuPoolSpec, row: Platform) -> list[Taint]:
    return [row.gpu_taint, *([row.spot_taint] if pool.spot and row.spot_taint is not None else [])]


def _toleration(taint: Taint) -> dict[str, str]:
    """A key with a domain means GPUs, or spot, whatever its value here; a bare word such as `sku` does not."""
    if taint.value is None or "/" in taint.key:
        return {"key": taint.key, "operator": "Exists", "effect": taint.effect}
    return {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}
