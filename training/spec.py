"""The run spec: what the program hands to the job, read into frozen types.

The program has validated its configuration; here only the contract is checked, so that a file of another version or
a hand-written one fails with its name and not in the middle of a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from training.console import Refused
from training.identity import PARTS, digest_of

CONTRACT = 1


@dataclass(frozen=True, kw_only=True)
class Code:
    """The files that are hashed into the identity, relative to the folder that the job runs from."""

    root: str
    files: tuple[str, ...]
    lock: str


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the rows are, and which columns have a special role."""

    uri: str
    target: str
    version: str | None = None
    key: str | None = None
    format: str = "auto"
    sha256: str | None = None
    """The content that the run is for (hex), where it was looked at before; other content is refused."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Per worker."""

    workers: int = 1
    cpus: float = 1
    gpus: float = 0


@dataclass(frozen=True, kw_only=True)
class Training:
    entrypoint: str = "training.train:train"
    task: str = "auto"
    params: Mapping[str, Any]
    rounds: int = 50
    seed: int = 7
    test_fraction: float = 0.2
    resources: Resources = Resources()


@dataclass(frozen=True, kw_only=True)
class Gate:
    floors: Mapping[str, float]
    """Metric -> the least, for errors and losses the most, that passes."""
    tolerance: float | None = None
    """How much worse than the champion is accepted; None: two standard errors of the paired difference."""
    on_failure: str = "keep-champion"

    @property
    def digest(self) -> str:
        """Names what the verdict depends on; `on_failure` is the program's business."""
        return digest_of({"floors": dict(self.floors), "tolerance": self.tolerance})


@dataclass(frozen=True, kw_only=True)
class Lineage:
    commit: str | None = None
    dirty: bool | None = None
    stack_identity: str | None = None
    """Of a run that a schedule began: the identity of the run that the stack asked for."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    project: str
    stack: str
    identity: str
    identity_parts: Mapping[str, str]
    model_name: str
    tracking_uri: str
    code: Code
    data: Data
    training: Training
    gate: Gate
    lineage: Lineage
    storage: str


def read(path: Path) -> RunSpec:
    """Read a run spec from a JSON file.

    Raises:
        Refused: no such file, not JSON, or not a spec of this contract; names every missing and unknown key.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"the run spec {path} cannot be read: {error}") from error
    return parse(raw)


def parse(raw: Any) -> RunSpec:
    """Build the spec from decoded JSON; see `read`."""
    if not isinstance(raw, dict) or raw.get("contract") != CONTRACT:
        found = raw.get("contract") if isinstance(raw, dict) else type(raw).__name__
        raise Refused(f"the run spec is of contract {found}, this code reads {CONTRACT}: run `up` again")
    problems: list[str] = []
    training = raw.get("training", {})
    nested = {
        "code": _build(Code, raw.get("code"), "code", problems),
        "data": _build(Data, raw.get("data"), "data", problems),
        "gate": _build(Gate, raw.get("gate"), "gate", problems),
        "lineage": _build(Lineage, raw.get("lineage", {}), "lineage", problems),
    }
    resources = _build(Resources, training.get("resources", {}), "training.resources", problems)
    nested["training"] = _build(Training, training | {"resources": resources}, "training", problems)
    top = {key: value for key, value in raw.items() if key != "contract"} | nested
    spec: RunSpec | None = _build(RunSpec, top, "", problems)
    if spec is not None and set(spec.identity_parts) != set(PARTS):
        problems.append(f"identity_parts must be exactly {', '.join(PARTS)}")
    if problems:
        raise Refused("the run spec is malformed", problems)
    return cast("RunSpec", spec)


def _build(kind: type[Any], raw: Any, where: str, problems: list[str]) -> Any:
    """Return `kind(**raw)`, or None after noting what is missing or unknown."""
    if not isinstance(raw, Mapping):
        problems.append(f"{where}: an object is needed, not {raw!r}")
        return None
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(raw) - known)
    problems += [f"{where}.{key}: unknown key; known are {', '.join(sorted(known))}".lstrip(".") for key in unknown]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items() if key in known}
    try:
        return kind(**values)
    except TypeError as error:
        problems.append(f"{where or 'spec'}: {str(error).partition('() ')[2]}")
        return None
