"""The base of everything a user may write under `slipway:` in a stack file.

Each component keeps its own settings beside it; `stacks.config` puts them together.  Settings are plain data:
they must not read files, clocks or the network.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

_LONGEST_VALUE = 80
Ability = Literal[
    "gpu_pools",
    "fixed_ports",
    "local_data",
    "own_store",
    "folder_store",
    "given_store",
    "retained_store",
    "schedule",
    "budget",
    "lifetime",
]
"""What an environment may ask of its substrate; one that lacks it says so while the stack file is read."""


class SettingError(Exception):
    """A setting names something that is not there: a file, a module, a kind of source."""


class Settings(BaseModel):
    """Frozen, strict, and closed: an unknown key is an error, a number in quotes is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one setting."""

    path: str
    value: Any
    rule: str
    fix: str
    absent: bool = False

    def __str__(self) -> str:
        value = "" if self.absent else f" = {_shown(self.value)}"
        return f"slipway:{self.path}{value}: {self.rule}; fix: {self.fix}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


@dataclass(frozen=True)
class Refusal:
    """Why a substrate cannot do what is asked of it, and what to do instead."""

    rule: str
    fix: str


class GpuPoolSpec(Protocol):
    """What is asked of a pool's nodes; `slipway:gpu_pools` has this shape."""

    @property
    def name(self) -> str: ...
    @property
    def gpus(self) -> int: ...
    @property
    def cpus(self) -> float: ...
    @property
    def memory_gib(self) -> float: ...
    @property
    def min(self) -> int: ...
    @property
    def max(self) -> int: ...
    @property
    def accelerator(self) -> str | None: ...
    @property
    def spot(self) -> bool: ...


class SubstrateSettings(Settings):
    """The base of `slipway:substrate`: one class a substrate, told apart by `kind`."""

    kind: str

    def refuses(self, ability: Ability) -> Refusal | None:
        """Say why this substrate lacks an ability; None when it has it."""
        raise NotImplementedError

    def problems(self, secrets: Collection[str], pools: Sequence[GpuPoolSpec]) -> Iterator[Problem]:
        """Find settings of the substrate that cannot hold together.

        Args:
            secrets: the encrypted keys there are.
            pools: the GPU pools that the environment asks for.
        """
        raise NotImplementedError


class Replicas(Settings):
    """How many copies of a model answer; equal bounds switch autoscaling off."""

    min: int = Field(default=1, ge=1)
    max: int = Field(default=1, ge=1)


class ServingSettings(Settings):
    """`slipway:serving`: shared by the cluster, which opens the port, and the model service behind it."""

    port: int | None = Field(default=None, ge=1024, le=65535, description="the port of the model endpoint")
    replicas: Replicas = Replicas()
    request_timeout_s: float = Field(default=30, gt=0, le=3600, description="after this a request is answered with 408")
    max_body_bytes: int = Field(default=10 * 2**20, ge=1024, description="larger bodies are answered with 413")
    max_queued: int = Field(default=256, ge=1, description="requests that may wait per replica; more get 503")
