"""Code snapshots: complete and right, or not there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.local.provider import snapshot
from infra.local.provider.failure import Failure
from training.identity import code_digest


@pytest.fixture
def code(tmp_path: Path) -> dict[str, Any]:
    root = tmp_path / "project"
    (root / "package").mkdir(parents=True)
    (root / "package" / "__init__.py").write_text("")
    (root / "package" / "step.py").write_text("VALUE = 1\n")
    (root / "lock.txt").write_text("a==1\n")
    files = ["package/__init__.py", "package/step.py"]
    return {"root": str(root), "files": files, "digest": code_digest(root, files), "lock": "lock.txt"}


def test_a_snapshot_holds_the_files_and_the_lock_under_the_digest(code: dict[str, Any], tmp_path: Path) -> None:
    folder = snapshot.take(code, str(tmp_path / "code"))
    assert folder.name.startswith(code["digest"][:16])
    assert code_digest(folder, code["files"]) == code["digest"]
    assert (folder / "lock.txt").read_text() == "a==1\n"


def test_editing_the_project_does_not_change_a_snapshot(code: dict[str, Any], tmp_path: Path) -> None:
    folder = snapshot.take(code, str(tmp_path / "code"))
    (Path(code["root"]) / "package" / "step.py").write_text("VALUE = 2\n")
    assert (folder / "package" / "step.py").read_text() == "VALUE = 1\n"


def test_code_that_changed_since_the_preview_is_refused(code: dict[str, Any], tmp_path: Path) -> None:
    (Path(code["root"]) / "package" / "step.py").write_text("VALUE = 2\n")
    with pytest.raises(Failure, match="was changed while `up` was running: run `up` again"):
        snapshot.take(code, str(tmp_path / "code"))
    assert list((tmp_path / "code").iterdir()) == [], "nothing half-made is left"


def test_a_file_that_is_gone_is_named(code: dict[str, Any], tmp_path: Path) -> None:
    (Path(code["root"]) / "package" / "step.py").unlink()
    with pytest.raises(Failure, match=r"package/step\.py is missing"):
        snapshot.take(code, str(tmp_path / "code"))


def test_a_damaged_snapshot_is_made_again(code: dict[str, Any], tmp_path: Path) -> None:
    folder = snapshot.take(code, str(tmp_path / "code"))
    (folder / "package" / "step.py").write_text("VALUE = 3\n")
    assert snapshot.take(code, str(tmp_path / "code")) == folder
    assert (folder / "package" / "step.py").read_text() == "VALUE = 1\n"


def test_another_lock_is_another_snapshot(code: dict[str, Any], tmp_path: Path) -> None:
    first = snapshot.take(code, str(tmp_path / "code"))
    (Path(code["root"]) / "lock.txt").write_text("a==2\n")
    second = snapshot.take(code, str(tmp_path / "code"))
    assert first != second
    assert (first / "lock.txt").read_text() == "a==1\n"


def git(root: str, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    subprocess.run(["git", "-C", root, *who, *arguments], check=True, capture_output=True)


def test_lineage_names_the_commit_and_whether_what_runs_differs_from_it(code: dict[str, Any]) -> None:
    assert snapshot.lineage(code) == {"commit": None, "dirty": None}, "outside git nothing is claimed"
    git(code["root"], "init", "-q")
    git(code["root"], "add", ".")
    git(code["root"], "commit", "-qm", "first")
    clean = snapshot.lineage(code)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (Path(code["root"]) / "notes.md").write_text("not code")
    assert snapshot.lineage(code)["dirty"] is False, "a file that does not run changes nothing"
    (Path(code["root"]) / "package" / "step.py").write_text("VALUE = 2\n")
    assert snapshot.lineage(code)["dirty"] is True
