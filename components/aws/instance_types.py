"""What an instance type has: read from instance_types.json, which names its date and sources; no account is asked.

It must not decide anything: rules over these rows are in gpu_nodes.py. The file is made by instance_types_update.py.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """One row of the file."""

    name: str
    vcpus: int
    memory_gib: float
    arm: bool = False
    gpus: int = 0
    """NVIDIA GPUs, as the device plugin counts them: a fraction of one is one."""
    gpu: str | None = None
    """The GPU's model, such as L4."""
    gpu_memory_gib: float = 0.0
    """Of one GPU."""
    efa: int = 0
    """How many Elastic Fabric Adapters it takes; 0 is none."""
    efa_first_card: int = 0
    """The first network card that takes one."""
    capacity_block: bool = False
    """Whether it can be bought as a capacity block."""
    usd_per_hour: float | None = None
    """On demand, Linux, us-east-1, at the date of the file; None where the source has none."""

    @property
    def accelerator(self) -> str | None:
        """The value of the label that the autoscaler tells GPU models apart by, such as nvidia-l4."""
        return None if self.gpu is None else f"nvidia-{self.gpu.lower().replace(' ', '-')}"


class UnknownInstanceTypeError(KeyError):
    """No such row; the message names the nearest ones."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        """Take the name that was asked for, and those that are like it."""
        fix = f"did you mean {' or '.join(near)}?" if near else "use a type of components/aws/instance_types.json"
        self.rule_and_fix = (f"is no instance type of the table of {dated()}", fix)
        super().__init__(f"{name} {self.rule_and_fix[0]}: {fix}")

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would quote the sentence


@cache
def _file() -> Mapping[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text())
    return content


def dated() -> str:
    """Return the date of the prices, YYYY-MM-DD."""
    return str(_file()["prices_dated"])


def names() -> list[str]:
    """Return every type that there is a row of."""
    return sorted(_file()["types"])


def lookup(name: str) -> InstanceType:
    """Return the row of `name`.

    Raises:
        UnknownInstanceTypeError: there is none.
    """
    row = _file()["types"].get(name)
    if row is None:
        raise UnknownInstanceTypeError(name, difflib.get_close_matches(name, _file()["types"], n=3))
    return InstanceType(name=name, **row)
