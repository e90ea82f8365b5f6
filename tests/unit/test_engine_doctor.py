"""What the doctor finds."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.seam import Place
from infra.engine import doctor
from infra.engine.doctor import Finding, examine, main, require, table
from infra.engine.holders import dev_ports, holder_of
from infra.engine.layout import Project, StopError
from infra.local.layout import Layout
from infra.local.provider.engine_log import EngineLog
from infra.local.provider.machine import Machine, Settings

SHARED_MEMORY = "/dev/shm"  # noqa: S108  a name only


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "requirements").mkdir()
    return Project(tmp_path)


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this test process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_unmet_need_is_shown_with_its_fix_and_a_met_one_without() -> None:
    shown = table(
        [Finding("git", met=True, seen="/usr/bin/git", fix="a"), Finding("make", met=False, seen="no", fix="b")]
    )
    assert shown == "ok      git   /usr/bin/git\nMISSING make  no\n              -> b\n"


def test_a_command_that_is_missing_is_named_with_the_package_manager_s_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", {"dnf": "/usr/bin/dnf"}.get)
    found = doctor._command("git")
    assert (found.met, found.fix) == (False, "sudo dnf install -y git")


def test_every_need_is_listed(project: Project) -> None:
    names = [finding.name for finding in examine(project)]
    assert names[:8] == ["git", "make", "python", "python venv", "pulumi engine", "disk", "memory", SHARED_MEMORY]
    assert len(names) == 11


def test_the_exit_status_is_the_verdict(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: [Finding("git", met=True, seen="")])
    assert main(project, ["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "git", "met": True, "seen": "", "fix": ""}]
    monkeypatch.setattr(doctor, "examine", lambda _: [Finding("git", met=False, seen="", fix="x")])
    assert main(project, []) == 1


def test_setup_stops_before_it_would_fail_half_way(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "INSTALL_GIB", 10**9)
    with pytest.raises(StopError, match=r"disk .*GiB free"):
        require(project)


def test_a_free_port_is_free(project: Project, listener: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert free != listener
    assert holder_of(project, free).allowed


def test_a_port_s_holder_is_named(project: Project, listener: int) -> None:
    holder = holder_of(project, listener)
    assert not holder.allowed
    assert "pytest" in str(holder)


def test_a_port_of_this_project_s_own_environment_is_no_clash(project: Project, listener: int) -> None:
    kept = Layout(Place(project="slipway", stack="dev", root=project.root)).state
    settings = Settings(state_directory=kept, runtime_directory=kept, project="slipway", stack="dev")
    record = Machine(settings, EngineLog(None)).records.path("tracking")
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"pid": -1}))
    assert not holder_of(project, listener).allowed, "the control: another process's record"
    record.write_text(json.dumps({"pid": os.getpid()}))
    assert holder_of(project, listener).allowed


def test_the_ports_are_those_of_the_stack_file(project: Project) -> None:
    assert dev_ports(project)["slipway:serving.port"] == 8000
    project.stack_file("dev").write_text("config:\n  slipway:serving: {port: 8080}\n  slipway:ray: {}\n")
    assert list(dev_ports(project).values()) == [5000, 8265, 8080]


def test_before_up_only_what_is_missing_is_told_and_nothing_is_stopped(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(project, ["--unmet"]) == 0
    met = capsys.readouterr().err
    monkeypatch.setattr(doctor, "_command", lambda name: Finding(name, met=False, seen="not on PATH", fix="get it"))
    assert main(project, ["--unmet"]) == 0
    told = capsys.readouterr().err
    assert "git" not in met, "the control: this machine has git"
    assert "MISSING git" in told
    assert "-> get it" in told
    assert "ok " not in told
