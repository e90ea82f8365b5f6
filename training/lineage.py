"""Where a model comes from: the digests of what really runs, and the tags that say so on run and version."""

from __future__ import annotations

import os
from pathlib import Path

from training.console import Refused
from training.identity import PARTS, code_digest, file_digest, identity
from training.spec import RunSpec

ROOT = Path(__file__).parents[1]
"""The folder that this package was imported from: the snapshot on a laptop, the image on a cluster."""

IMAGE_FILE = "image.json"
"""Beside the code when, and only when, it came in an image."""

SCHEDULED_TAG = "slipway.scheduled"
STACK_IDENTITY_TAG = "slipway.identity.stack"
"""Of a run that a schedule began: the identity that the stack asked for; its own has newer data."""

_LONGEST_TAG = 500
_SHOWN = 12


def verify(spec: RunSpec, root: Path = ROOT) -> None:
    """Check that the code and lock that run are the ones the identity was made of.

    Raises:
        Refused: a file is missing or differs, or the identity is not that of its parts.
    """
    parts = spec.identity_parts
    try:
        found = {"code": code_digest(root, spec.code.files), "lock": file_digest(root / spec.code.lock)}
    except FileNotFoundError as error:
        name = Path(error.filename).relative_to(root)
        raise Refused(
            f"{_holder(root)} does not hold {name}, which the stack wants to run{_cure(root, name)}"
        ) from error
    for part, digest in found.items():
        if digest != parts[part]:
            wanted = parts[part][:_SHOWN]
            raise Refused(f"{_holder(root)} holds {part} {digest[:_SHOWN]}, the stack wants {wanted}{_cure(root)}")
    if identity(parts) != spec.identity:
        raise Refused(f"the identity {spec.identity[:12]} is not that of its parts: run `up` again")


def _holder(root: Path) -> str:
    """Name what the code came in: an image names itself by a file beside the code, and by its reference in the pod."""
    return f"image {os.environ.get('SLIPWAY_IMAGE', '(unknown)')}" if (root / IMAGE_FILE).exists() else str(root)


def _cure(root: Path, missing: Path | None = None) -> str:
    if (root / IMAGE_FILE).exists():
        top = missing.parts[0] if missing else ""
        extra = f" --extra {top}" if top and top != "training" else ""
        return (
            f"; build with `python -m infra.image build --archive FILE{extra}` (or `docker build .`) from the commit "
            "that `up` runs from, and pin the result as `image` of slipway:substrate"
        )
    if (root / ".git").exists():
        return ": a file changed since `up` looked; run it again"
    return ": run `up` again, which takes a new snapshot"


def tags(spec: RunSpec) -> dict[str, str]:
    """Return the tags of the run; the stack is only the first that asked for this identity."""
    found = {
        "slipway.identity": spec.identity,
        "slipway.project": spec.project,
        "slipway.stack": spec.stack,
        "mlflow.source.name": spec.training.entrypoint,
        "mlflow.source.type": "JOB",
    }
    found |= {f"slipway.identity.{part}": spec.identity_parts[part][:_LONGEST_TAG] for part in PARTS}
    if spec.lineage.commit:
        found["mlflow.source.git.commit"] = spec.lineage.commit
    if spec.lineage.dirty is not None:
        found["slipway.git.dirty"] = str(spec.lineage.dirty).lower()
    if spec.lineage.stack_identity is not None:
        found |= {SCHEDULED_TAG: "true", STACK_IDENTITY_TAG: spec.lineage.stack_identity}
    return found


def version_tags(spec: RunSpec) -> dict[str, str]:
    """Return what a model version repeats of its run's tags, so that the registry alone answers where it is from."""
    wanted = ("slipway.identity", "mlflow.source.git.commit", "slipway.git.dirty", "slipway.stack", SCHEDULED_TAG)
    digests = {f"slipway.identity.{part}" for part in ("code", "lock", "data", "stack")}
    return {name: value for name, value in tags(spec).items() if name in wanted or name in digests}
