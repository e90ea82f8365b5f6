"""What `slipway:substrate` may say when its kind is `local`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from pydantic import Field

from components.settings import Ability, GpuPoolSpec, Problem, Refusal, SubstrateSettings
from infra.local.ports import BLOCK_SIZE

_REFUSED: dict[Ability, Refusal] = {
    "gpu_pools": Refusal(
        "the substrate local has no GPU node pools: this machine's GPUs are used as they are",
        "remove gpu_pools; ask for GPUs with slipway:training.resources.gpus",
    ),
    "budget": Refusal("the substrate local costs nothing: this machine is yours", "remove budget"),
    "lifetime": Refusal(
        "the substrate local costs nothing at rest: nothing ends by itself",
        "remove lifetime, and take the environment down with `make down`",
    ),
    "schedule": Refusal(
        "the substrate local starts nothing by itself between two `up`s",
        "remove it, and let a timer of this machine run `up`: it trains when local or pinned data have changed",
    ),
}


class LocalConfig(SubstrateSettings):
    """This machine: processes of the current user, listening on loopback only."""

    kind: Literal["local"]
    port_block: int | None = Field(
        default=None,
        ge=1024,
        le=65535 - BLOCK_SIZE,
        description=f"the first of {BLOCK_SIZE} ports for Ray; derived from project folder and stack when absent",
    )

    def refuses(self, ability: Ability) -> Refusal | None:
        """Say why this machine lacks an ability."""
        return _REFUSED.get(ability)

    def problems(self, secrets: Collection[str], pools: Sequence[GpuPoolSpec]) -> Iterator[Problem]:  # noqa: ARG002
        """Find keys that only other substrates use."""
        for key in sorted(secrets):
            yield Problem(key, None, "the substrate local does not use it", f"pulumi config rm {key}", absent=True)
