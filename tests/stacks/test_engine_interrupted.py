"""An `up` that is killed or interrupted in each phase, and the `up` or `destroy` after it."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stacks.engine_clone import Clone, is_running, make_clone, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return make_clone(tmp_path / "project")


def host_of(pid: int) -> int:
    """The language host that started a plugin."""
    return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])


def hold(clone: Clone, phase: str, pid_file: str, recorded: Callable[[], bool]) -> tuple[subprocess.Popen[str], int]:
    """Start an `up` that waits inside `phase`; the engine's process, and the pid that waits there."""
    (clone.root / f"hold-{phase}").touch()
    up = clone.start("up")
    wait_until(lambda: _number(clone.root / pid_file) is not None and recorded(), f"the {phase}")
    pid = _number(clone.root / pid_file)
    assert pid is not None
    return up, pid


def _number(file: Path) -> int | None:
    text = file.read_text() if file.exists() else ""
    return int(text) if text else None


def in_create(clone: Clone) -> tuple[subprocess.Popen[str], int]:
    """An `up` inside a create that the state knows to have begun."""
    state = clone.root / ".slipway/state/.pulumi/stacks/tiny/dev.json"
    return hold(clone, "create", "provider.pid", lambda: "pending_operations" in state.read_text())


def test_a_killed_engine_leaves_no_provider_and_no_host(clone: Clone) -> None:
    up, provider = in_create(clone)
    host = host_of(provider)
    assert is_running(host)
    up.kill()
    up.communicate()
    wait_until(lambda: not is_running(provider), "the provider's end")
    wait_until(lambda: not is_running(host), "the language host's end")


def test_a_killed_engine_leaves_no_program(clone: Clone) -> None:
    up, program = hold(clone, "program", "program.pid", lambda: True)
    up.kill()
    up.communicate()
    wait_until(lambda: not is_running(program), "the program's end")
    (clone.root / "hold-program").unlink()
    said = clone.run("up")
    assert f"process {up.pid}" in said
    assert "+ 2 created" in said or "+ 3 created" in said


def test_the_next_up_completes_without_a_question_and_the_one_after_is_quiet(clone: Clone) -> None:
    up, _ = in_create(clone)
    up.kill()
    up.communicate()
    (clone.root / "hold-create").unlink()
    said = clone.run("up")
    assert f"removed a stale lock of the stack 'dev': process {up.pid}" in said
    assert "slipway:local:Held::held was interrupted while creating" in said
    assert "+ 1 created" in said
    after = clone.run("up")
    assert "3 unchanged" in after
    assert "interrupted" not in after
    assert "pending" not in after


def test_a_destroy_after_a_kill_deletes_what_had_begun(clone: Clone) -> None:
    up, _ = in_create(clone)
    up.kill()
    up.communicate()
    (clone.root / "hold-create").unlink()
    assert "slipway:local:Held held deleted" in clone.run("destroy")
    assert clone.resources() == []


def test_ctrl_c_reaches_the_engine_once_and_lets_the_resource_in_flight_finish(clone: Clone) -> None:
    up, provider = in_create(clone)
    up.send_signal(signal.SIGINT)
    said, _ = up.communicate()
    assert up.returncode != 0
    assert said.count("^C received") == 1
    assert "Traceback" not in said
    # nobody ends it when its host is ended: it looks for that itself, several times a second
    wait_until(lambda: not is_running(provider), "the provider's end")
    assert "slipway:local:Held" in clone.resources()
    assert "3 unchanged" in clone.run("up")


def test_a_second_up_names_the_first_and_leaves_it_alone(clone: Clone) -> None:
    up, _ = in_create(clone)
    said = clone.run("up", status=1)
    assert f"is being changed by process {up.pid}" in said
    assert up.poll() is None
    (clone.root / "hold-create").unlink()
    said, _ = up.communicate()
    assert up.returncode == 0, said


def test_reading_is_possible_while_an_up_runs(clone: Clone) -> None:
    up, _ = in_create(clone)
    try:
        assert "slipway:local:Held" in clone.run("preview")
    finally:
        (clone.root / "hold-create").unlink()
        said, _ = up.communicate()
    assert up.returncode == 0, said
