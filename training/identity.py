"""What makes a training run the same run: digests of code, lock, data, parameters, seed and split.

Standard library only: the Pulumi program imports this in every preview, the job inside Ray recomputes it
over what it really runs, and both must agree to the byte.  It must not read configuration or the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PARTS = ("code", "lock", "data", "parameters", "seed", "split")
"""The parts of an identity, in the order in which people read them."""


def digest_of(value: Any) -> str:
    """Return the sha256 (hex) of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest(root: Path, files: Iterable[str]) -> str:
    """Return one sha256 (hex) over the named files below ``root``: their relative names and contents.

    Raises:
        FileNotFoundError: a named file is not there.
    """
    return digest_of({name: file_digest(root / name) for name in sorted(files)})


def identity(parts: Mapping[str, str]) -> str:
    """Return the identity (sha256, hex) of a training run from its parts.

    Raises:
        ValueError: a part is missing or unknown.
    """
    if set(parts) != set(PARTS):
        missing, unknown = sorted(set(PARTS) - set(parts)), sorted(set(parts) - set(PARTS))
        raise ValueError(f"identity parts must be exactly {PARTS}: missing {missing}, unknown {unknown}")
    return digest_of(dict(parts))


def what_changed(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """Say to a person which parts differ, from what to what; None when none does."""
    names = [name for name in PARTS if before.get(name) != after.get(name)]
    lines = [f"  {name}: {before.get(name)} -> {after.get(name)}" for name in names]
    return "\n".join([f"another training run, because of its {', '.join(names)}:", *lines]) if names else None
