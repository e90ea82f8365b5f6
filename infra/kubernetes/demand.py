"""What an environment asks of a cluster, counted from its settings: the pods that run at the same time at most.

The sizes are those of the modules that make the pods.  What is counted is a lower bound: a preflight that refuses
must be right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from components.kubernetes.gpu_pools import node_labels, node_taints, placement
from components.model_service import ReleaseSettings
from components.ray_cluster import GpuPool, RaySettings
from components.seam import Place
from components.settings import ServingSettings, SettingError
from components.training_run import TrainingSettings
from infra.kubernetes.findings import Needs
from infra.kubernetes.fit import Amount, Pod, Pool, Taint, Toleration
from infra.kubernetes.foundation import kubeconfig, namespace_of
from infra.kubernetes.groups import pool_for, worker_memory
from infra.kubernetes.names import object_labels
from infra.kubernetes.serving import REPLICA_CPUS, REPLICA_GIB
from infra.kubernetes.settings import KubernetesConfig

_GIB = 2**30
_HEAD = (0.1, 2.0)
_TRACKING = (0.25, 1.0)
_DATABASE = (0.25, 0.5)


class Environment(Protocol):
    """The parts of an environment's config that decide how much it asks for."""

    @property
    def substrate(self) -> Any: ...
    @property
    def ray(self) -> RaySettings: ...
    @property
    def gpu_pools(self) -> Sequence[GpuPool]: ...
    @property
    def training(self) -> TrainingSettings: ...
    @property
    def serving(self) -> ServingSettings: ...
    @property
    def release(self) -> ReleaseSettings: ...


def needs(place: Place, env: Environment) -> Needs:
    """Return what the environment asks of its cluster."""
    config: KubernetesConfig = env.substrate
    serving = _serving(env)
    return Needs(
        config=config,
        kubeconfig=kubeconfig(place, config),
        namespace=namespace_of(place, config),
        environment=object_labels(place)["slipway/environment"],
        pods=[*_tracking(config), *_training(env, config), *serving],
        surge=serving,
        pools=[_pool(pool, config) for pool in env.gpu_pools],
    )


def _tracking(config: KubernetesConfig) -> list[Pod]:
    key = "slipway:substrate.tracking_replicas"
    found = [_pod("the tracking server", key, size=_TRACKING, count=config.tracking_replicas)]
    if config.database.image is not None:
        found.append(_pod("the database", "slipway:substrate.database.image", size=_DATABASE))
    return found


def _serving(env: Environment) -> list[Pod]:
    key = "slipway:serving.replicas"
    count = env.serving.replicas.min
    return [
        _pod("the head of the serving cluster", key, size=_HEAD),
        _pod("a replica", key, size=(REPLICA_CPUS, REPLICA_GIB), count=count),
    ]


def _training(env: Environment, config: KubernetesConfig) -> list[Pod]:
    resources = env.training.resources
    head = _pod("the head of the training cluster", "slipway:training", size=_HEAD)
    gpus = math.ceil(resources.gpus)
    key = f"slipway:training.resources.gpus = {resources.gpus:g}" if gpus else "slipway:training.resources"
    selector, tolerations = _placement(env, config)
    worker = Pod(
        name="a training worker",
        setting=key,
        cpu=resources.cpus,
        memory=((resources.memory_gib or 0) if gpus else worker_memory(resources.cpus, resources.memory_gib)) * _GIB,
        gpus=gpus,
        count=resources.workers,
        selector=selector,
        tolerations=tolerations,
    )
    return [head, worker]


def _pod(name: str, setting: str, *, size: tuple[float, float], count: int = 1) -> Pod:
    """Return pods without GPUs; `size` is CPUs and GiB of one."""
    cpu, gib = size
    return Pod(name=name, setting=setting, cpu=cpu, memory=gib * _GIB, count=count)


def _placement(env: Environment, config: KubernetesConfig) -> tuple[dict[str, str], list[Toleration]]:
    """Return where the workers go; anywhere when no pool has nodes of their size, so that only the size is told."""
    resources = env.training.resources
    anywhere = [Toleration(operator="Exists")]
    if not resources.gpus:
        return {}, []
    try:
        pool = pool_for(env.gpu_pools, resources.gpus, resources.cpus)
    except SettingError:
        return {}, anywhere
    placed = placement(pool, config.platform)
    return placed["nodeSelector"], [Toleration(**toleration) for toleration in placed["tolerations"]]


def _pool(pool: GpuPool, config: KubernetesConfig) -> Pool:
    return Pool(
        name=pool.name,
        each=Amount(cpu=pool.cpus, memory=pool.memory_gib * _GIB, gpus=pool.gpus),
        labels=node_labels(pool, config.platform),
        taints=[Taint(**taint) for taint in node_taints(pool, config.platform)],
        nodes=pool.max,
    )
