"""Which pod fits which pool of nodes, and whether all of them fit under a quota: arithmetic, before anything is made.

It is pure: no cluster is asked.  It refuses only what is certain not to fit; what may fit is left to the scheduler.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

GPU = "nvidia.com/gpu"
_FACTORS = {
    **{prefix + "i": Decimal(2 ** (10 * power)) for power, prefix in enumerate("KMGTPE", start=1)},
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
}
_EVICTING = {"NoSchedule", "NoExecute"}  # PreferNoSchedule keeps nobody out


def quantity(text: str | float) -> float:
    """Return a Kubernetes quantity ("500m", "2Gi", 4) as a number."""
    value = str(text).strip()
    for suffix, factor in _FACTORS.items():
        if value.endswith(suffix):
            return float(Decimal(value.removesuffix(suffix)) * factor)
    return float(Decimal(value))


@dataclass(frozen=True, kw_only=True)
class Amount:
    """An amount of what pods ask for; `None` is "as much as anybody wants" on the side that gives."""

    cpu: float | None = None
    memory: float | None = None
    gpus: float | None = None


@dataclass(frozen=True, kw_only=True)
class Taint:
    """What keeps pods off a node."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """What lets a pod onto a tainted node."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def covers(self, taint: Taint) -> bool:
        """Return whether a node with this taint is open to the pod."""
        if self.effect not in ("", taint.effect):
            return False
        if not self.key:
            return self.operator == "Exists"
        return self.key == taint.key and (self.operator == "Exists" or self.value == taint.value)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """`count` equal pods that the stack makes, and the setting that asks for them."""

    name: str
    setting: str
    """The config key to change when the pod fits nowhere."""
    cpu: float
    memory: float
    gpus: float = 0
    count: int = 1
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Toleration] = ()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Equal nodes: what one of them gives to pods, and how many there can be (`None`: unknown)."""

    name: str
    each: Amount
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Taint] = ()
    nodes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A pod that no pool can take."""

    pod: Pod
    nearest: Pool | None
    missing: Sequence[str]

    def __str__(self) -> str:
        if self.nearest is None:
            return f"{self.pod.setting}: {self.pod.name} has no node to run on: there is no pool of nodes"
        return (
            f"{self.pod.setting}: {self.pod.name} fits no pool. "
            f"Nearest is {self.nearest.name}: {'; '.join(self.missing)}"
        )


def missing(pod: Pod, pool: Pool) -> list[str]:
    """Return what a node of the pool lacks for one such pod; empty when it fits."""
    found = [
        f"its nodes lack the label {key}={value}"
        + (f" (they have {key}={pool.labels[key]})" if key in pool.labels else "")
        for key, value in sorted(pod.selector.items())
        if pool.labels.get(key) != value
    ]
    found += [
        f"the taint {taint.key}={taint.value}:{taint.effect} is not tolerated"
        for taint in pool.taints
        if taint.effect in _EVICTING and not any(one.covers(taint) for one in pod.tolerations)
    ]
    return found + [text for text, _ in _shortfalls(pod, pool)]


def _shortfalls(pod: Pod, pool: Pool) -> list[tuple[str, float]]:
    """Return each resource of which one node has too little, and the share that is lacking."""
    pairs = (
        ("GPUs", pod.gpus, pool.each.gpus, 1.0, ""),
        ("CPUs", pod.cpu, pool.each.cpu, 1.0, ""),
        ("memory", pod.memory, pool.each.memory, 2.0**30, " GiB"),
    )
    return [
        (
            f"asks for {_plain(wanted / unit)}{suffix} {name}, a node has {_plain(there / unit)}{suffix}",
            (wanted - there) / wanted,
        )
        for name, wanted, there, unit, suffix in pairs
        if there is not None and wanted > there
    ]


def _plain(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def misfits(pods: Sequence[Pod], pools: Sequence[Pool]) -> list[Misfit]:
    """Return every pod that fits no pool, with the nearest pool; then those of which there are too many."""
    found = []
    for pod in pods:
        if not pod.count:
            continue
        lacking = {pool.name: missing(pod, pool) for pool in pools}
        open_pools = [pool for pool in pools if not lacking[pool.name]]
        if not open_pools:
            nearest = min(pools, key=lambda pool: _distance(pod, pool), default=None)
            found.append(Misfit(pod=pod, nearest=nearest, missing=lacking[nearest.name] if nearest else ()))
            continue
        room = [_room(pod, pool) for pool in open_pools]
        if sum(room) < pod.count:
            largest = open_pools[room.index(max(room))]
            told = f"there is room for {int(sum(room))} such pods on all its nodes, {pod.count} are asked for"
            found.append(Misfit(pod=pod, nearest=largest, missing=[told]))
    return found


def _distance(pod: Pod, pool: Pool) -> tuple[int, float]:
    """Order pools by how little they lack: a pool of the right kind that is too small comes before a wrong one."""
    short = _shortfalls(pod, pool)
    return len(missing(pod, pool)), sum(share for _, share in short)


def _room(pod: Pod, pool: Pool) -> float:
    """Return how many such pods all nodes of an empty pool take; exact, since they are equal."""
    if pool.nodes is None:
        return math.inf
    pairs = ((pod.cpu, pool.each.cpu), (pod.memory, pool.each.memory), (pod.gpus, pool.each.gpus))
    one = min((there // wanted for wanted, there in pairs if wanted and there is not None), default=math.inf)
    return pool.nodes * one


def over_quota(pods: Sequence[Pod], surge: Sequence[Pod], hard: Mapping[str, str]) -> list[str]:
    """Return what a ResourceQuota lacks.

    Args:
        pods: what runs at most at the same time.
        surge: what runs besides while a second serving cluster takes over.
        hard: the quota's `spec.hard`.
    """
    rest, most = _demand(pods), _demand([*pods, *surge])
    found = []
    for key, limit in sorted(hard.items()):
        name = key.removeprefix("requests.")
        if name not in most:
            continue
        there = quantity(limit)
        if rest[name] > there:
            found.append(f"{key} is {limit}, the stack asks for {_amount(name, rest[name])}")
        elif most[name] > there:
            found.append(
                f"{key} is {limit}, an upgrade of serving asks for {_amount(name, most[name])}: "
                "a second cluster runs until it has taken over"
            )
    return found


def _demand(pods: Sequence[Pod]) -> dict[str, float]:
    return {
        "cpu": sum(pod.cpu * pod.count for pod in pods),
        "memory": sum(pod.memory * pod.count for pod in pods),
        GPU: sum(pod.gpus * pod.count for pod in pods),
        "pods": sum(pod.count for pod in pods),
    }


def _amount(name: str, value: float) -> str:
    return f"{_plain(value / 2**30)}Gi" if name == "memory" else _plain(value)
