"""What a preflight is told and what it says: plain data, for the checks and for who prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.kubernetes import fit
from infra.kubernetes.connection import ClusterUnusable
from infra.kubernetes.settings import KubernetesConfig

OFFLINE = "SLIPWAY_OFFLINE"
"""Set to 1, nothing asks a cluster: previews on a machine that does not reach it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at: `ok` None is a warning."""

    name: str
    ok: bool | None
    seen: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an environment asks of a cluster."""

    config: KubernetesConfig
    kubeconfig: str | None
    """As it is read here: relative paths in the config mean the folder of Pulumi.yaml."""
    namespace: str
    environment: str
    """The label `slipway/environment` of everything that is the environment's own."""
    pods: Sequence[fit.Pod]
    surge: Sequence[fit.Pod]
    """What runs besides while a second serving cluster takes over."""
    pools: Sequence[fit.Pool]
    """The GPU pools of the config."""


def unusable(name: str, error: ClusterUnusable) -> Finding:
    """Return the finding that the cluster could not be asked."""
    fix = f"check slipway:substrate.context and kubeconfig, or preview without the cluster: {OFFLINE}=1"
    return Finding(name=name, ok=False, seen=str(error), fix=fix)
