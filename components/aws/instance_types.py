"""What an instance type has: read from instance_types.json, whose date and sources it holds; no account is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """One row of the file."""

    name: str
    vcpus: int
    memory_gib: float
    arm: bool
    gpus: int
    gpu: str | None
    """The GPU's model, such as L4."""
    gpu_memory_gib: float
    """Of one GPU."""
    efa: int
    """How many Elastic Fabric Adapters it takes; 0 is none."""
    usd_per_hour: float | None
    """On demand, Linux, us-east-1, at the date of the file; None where no source gives it."""


class UnknownInstanceTypeError(KeyError):
    """No such row; the message names the nearest ones."""


def lookup(name: str) -> InstanceType:
    """Return the row of `name`.

    Raises:
        UnknownInstanceTypeError: there is none.
    """
    raise NotImplementedError
