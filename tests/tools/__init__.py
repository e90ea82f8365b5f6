"""Tools that tests need, built of hash-pinned Go modules into the cache that clones share."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.engine.dependencies import exclusive
from infra.engine.install import GO_INSTALL, find_go
from infra.engine.layout import cache_folder

FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
_FOLDER = Path(__file__).parent


def actionlint() -> Path:
    """Return the linter of GitHub's workflows; half a minute when it has to be built."""
    return _built("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")


def _built(name: str, package: str) -> Path:
    module = _FOLDER / name
    parts = [(module / file).read_text() for file in ("go.mod", "go.sum")]
    made_of = hashlib.sha256("\0".join([*parts, *FLAGS]).encode()).hexdigest()[:12]
    tool = cache_folder() / "tools" / f"{name}-{made_of}" / name
    if tool.exists():
        return tool
    go = find_go()
    if go is None:
        pytest.skip(f"building {name} needs Go. Install it: {GO_INSTALL}")
    with exclusive(cache_folder() / "tools" / f"{name}.lock", f"another build of {name}"):
        if not tool.exists():
            _build(go, module, package, tool)
    return tool


def _build(go: str, module: Path, package: str, tool: Path) -> None:
    draft = tool.parent.with_name(f".{tool.parent.name}.{os.getpid()}")
    try:
        subprocess.run(
            [go, "build", *FLAGS, "-o", draft / tool.name, package],
            cwd=module,
            env=os.environ | {"CGO_ENABLED": "0"},
            check=True,
            capture_output=True,
        )
        draft.rename(tool.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
