"""What `slipway:substrate` may say when its kind is `local`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from components.settings import Settings
from infra.local.ports import BLOCK_SIZE


class LocalConfig(Settings):
    """This machine: processes of the current user, listening on loopback only."""

    kind: Literal["local"]
    port_block: int | None = Field(
        default=None,
        ge=1024,
        le=65535 - BLOCK_SIZE,
        description=f"the first of {BLOCK_SIZE} ports for Ray; derived from project folder and stack when absent",
    )
