"""What a stack file may say about the rules under `slipway:policies`: what is allowed by name, and bounds.

Plain data; nothing here switches a rule off.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.settings import Settings

Reason = Annotated[str, Field(min_length=10, max_length=400)]


class PolicySettings(Settings):
    """`slipway:policies`."""

    public: dict[str, Reason] = Field(
        default_factory=dict,
        description="RESOURCE NAME: why it (a bucket, database, load balancer, group) may be open to the world",
    )
    gpu_nodes: int = Field(default=16, ge=1, le=1000, description="the most nodes that one GPU pool may grow to")
