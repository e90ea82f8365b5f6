"""Which ports an environment uses on this machine: pure arithmetic, so that URLs are known in a preview.

Every port that Ray, Serve and HAProxy would otherwise choose for the whole machine is named here, one block a stack.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

BLOCK_SIZE = 128
# below Linux's ephemeral range (32768 and up), so that no outgoing connection holds one of ours
_LOWEST, _HIGHEST = 10240, 32768


@dataclass(frozen=True, kw_only=True)
class PortBlock:
    """One port, or one range (first, last), for each use."""

    gcs: int
    object_manager: int
    node_manager: int
    ray_client: int
    agent_http: int
    agent_grpc: int
    runtime_env_agent: int
    metrics: int
    autoscaler_metrics: int
    dashboard_metrics: int
    haproxy_metrics: int
    haproxy_stats: int
    fallback_http: int
    fallback_grpc: int
    serve_grpc: int
    tracking: int
    """Used when `slipway:tracking.port` is absent."""
    dashboard: int
    """Used when `slipway:ray.dashboard_port` is absent."""
    serving: int
    """Used when `slipway:serving.port` is absent."""
    replica_http: tuple[int, int]
    replica_grpc: tuple[int, int]
    workers: tuple[int, int]


def block_at(first: int) -> PortBlock:
    """Return the block of `BLOCK_SIZE` ports that begins at `first`."""
    return PortBlock(
        gcs=first,
        object_manager=first + 1,
        node_manager=first + 2,
        ray_client=first + 3,
        agent_http=first + 5,
        agent_grpc=first + 6,
        runtime_env_agent=first + 7,
        metrics=first + 8,
        autoscaler_metrics=first + 9,
        dashboard_metrics=first + 10,
        haproxy_metrics=first + 11,
        haproxy_stats=first + 12,
        fallback_http=first + 13,
        fallback_grpc=first + 14,
        serve_grpc=first + 15,
        tracking=first + 16,
        dashboard=first + 17,
        serving=first + 18,
        replica_http=(first + 20, first + 27),
        replica_grpc=(first + 28, first + 35),
        workers=(first + 40, first + BLOCK_SIZE - 1),
    )


def derived_block(root: Path, stack: str) -> PortBlock:
    """Return the block of a stack: always the same for the same project folder and stack."""
    seed = hashlib.sha256(f"{root}\0{stack}".encode()).digest()
    slots = (_HIGHEST - _LOWEST) // BLOCK_SIZE
    return block_at(_LOWEST + int.from_bytes(seed[:4]) % slots * BLOCK_SIZE)
