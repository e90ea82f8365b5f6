"""The base of everything a user may write under `slipway:` in a stack file.

Each component keeps its own settings beside it; `stacks.config` puts them together.  Settings are plain data:
they must not read files, clocks or the network.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SettingError(Exception):
    """A setting names something that is not there: a file, a module, a kind of source."""


class Settings(BaseModel):
    """Frozen, strict, and closed: an unknown key is an error, a number in quotes is not a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
