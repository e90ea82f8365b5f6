"""When the virtualenv counts as installed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.engine.dependencies import STAMP, exclusive, install, is_ready, stamp_for
from infra.engine.layout import Project, StopError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "requirements").mkdir()
    for kind in ("program", "dev"):
        (tmp_path / "requirements" / f"{kind}.txt").write_text(f"# {kind}\n")
    (tmp_path / ".venv").mkdir()
    return Project(tmp_path)


def stamp(project: Project, kind: str) -> None:
    (project.venv / STAMP).write_text(json.dumps(stamp_for(project, kind)))


def test_an_unstamped_virtualenv_is_not_ready(project: Project) -> None:
    assert not is_ready(project, dev=False)


def test_a_runtime_stamp_serves_environments_but_not_tests(project: Project) -> None:
    stamp(project, "program")
    assert is_ready(project, dev=False)
    assert not is_ready(project, dev=True)


def test_a_dev_stamp_serves_both(project: Project) -> None:
    stamp(project, "dev")
    assert is_ready(project, dev=False)
    assert is_ready(project, dev=True)


def test_a_changed_lock_is_noticed(project: Project) -> None:
    stamp(project, "program")
    (project.root / "requirements" / "program.txt").write_text("# other\n")
    assert not is_ready(project, dev=False)


def test_a_moved_clone_is_noticed(project: Project, tmp_path: Path) -> None:
    stamp(project, "program")
    moved = shutil.copytree(project.root, tmp_path / "moved")
    assert not is_ready(Project(moved), dev=False)


def test_a_linked_virtualenv_serves_a_clone_with_the_same_lock_and_is_never_changed(
    project: Project, tmp_path: Path
) -> None:
    stamp(project, "dev")
    other = Project(tmp_path / "other")
    shutil.copytree(project.root / "requirements", other.root / "requirements")
    other.venv.symlink_to(project.venv)
    assert is_ready(other, dev=True)
    (other.root / "requirements" / "dev.txt").write_text("# other\n")
    assert not is_ready(other, dev=True)
    with pytest.raises(StopError, match="is a link"):
        install(other, dev=True)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "none"}'])
def test_a_damaged_stamp_is_none(project: Project, content: str) -> None:
    (project.venv / STAMP).write_text(content)
    assert not is_ready(project, dev=False)


def test_a_step_that_fails_is_named_and_leaves_no_stamp(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\nexit 7\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    stamp(project, "program")
    (project.root / "requirements" / "program.txt").write_text("# other\n")
    with pytest.raises(StopError, match="status 7"):
        install(project, dev=False)
    assert not (project.venv / STAMP).exists()


def test_a_second_setup_waits_for_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "setup.lock"
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path; from infra.engine.dependencies import exclusive\n"
        f"with exclusive(Path({str(lock)!r}), 'the first'): print('in', flush=True)\n"
    )
    with exclusive(lock, "nobody"):
        second = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert second.stderr is not None
        assert "waiting for the first" in second.stderr.readline()
        assert second.poll() is None
    out, _ = second.communicate()
    assert out == "in\n"
    assert second.returncode == 0


def test_the_command_starts_without_anything_installed() -> None:
    """pulumiw must work before there is a virtualenv: only the standard library may be imported."""
    modules = "cli, prepare, doctor, install, outputs"
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from infra.engine import {modules}"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
