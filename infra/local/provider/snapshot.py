"""Copies of the code that runs, named by its digest: editing the project never changes what a job or replica runs.

A snapshot is complete and right, or not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from infra.local.provider.failure import Failure
from infra.local.provider.supervisor import disk_hint
from training.identity import code_digest, file_digest

_SHORT = 16


def take(code: dict[str, Any], directory: str) -> Path:
    """Copy the files of `code` (`root`, `files`, `digest`, `lock`) below `directory`, unless they are there.

    Returns:
        The folder of the copy: what goes on PYTHONPATH.

    Raises:
        Failure: a file is missing, or the files do not have the digest that was asked for.
    """
    root, files, lock = Path(code["root"]), list(code["files"]), code.get("lock")
    name = code["digest"][:_SHORT]
    try:
        if lock:
            name = f"{name}-{file_digest(root / lock)[:8]}"
        target: Path = Path(directory) / name
        if _holds(target, files, code["digest"]):
            return target
        written = Path(directory) / f".{name}.{os.getpid()}"
        shutil.rmtree(written, ignore_errors=True)
        _copy(root, [*files, *([lock] if lock else [])], written)
    except FileNotFoundError as error:
        raise Failure(f"the code file {error.filename} is missing: run `up` again, or restore it") from error
    except OSError as error:
        raise Failure(f"cannot copy the code into {directory}: {disk_hint(directory) or error}") from error
    if code_digest(written, files) != code["digest"]:
        shutil.rmtree(written)
        raise Failure(f"the code in {root} was changed while `up` was running: run `up` again")
    shutil.rmtree(target, ignore_errors=True)
    written.rename(target)
    return target


def lineage(code: dict[str, Any]) -> dict[str, Any]:
    """Return the git commit of the code's project and whether the files of `code` differ from it; nulls outside git."""
    paths = [*code["files"], *([code["lock"]] if code.get("lock") else [])]
    commit = _git(code["root"], "rev-parse", "HEAD")
    changes = _git(code["root"], "status", "--porcelain", "--", *paths)
    return {"commit": commit or None, "dirty": None if not commit or changes is None else bool(changes)}


def _holds(target: Path, files: list[str], digest: str) -> bool:
    try:
        return code_digest(target, files) == digest
    except FileNotFoundError:
        return False


def _copy(root: Path, files: list[str], target: Path) -> None:
    for name in files:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, copy)


def _git(root: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
