"""Which locks of a file backend are removed, and which stop the command."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.engine.layout import StopError
from infra.engine.locks import drop_torn_attributes, release_stale_locks


def write_lock(folder: Path, *, pid: int, host: str | None = None, age_s: float = 0, stack: str = "dev") -> Path:
    file = folder / "locks" / "organization" / "slipway" / stack / f"{pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    since = datetime.now(UTC) - timedelta(seconds=age_s)
    content = {"pid": pid, "username": "ada", "hostname": host or socket.gethostname(), "timestamp": since.isoformat()}
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def ended_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def release(folder: Path) -> None:
    release_stale_locks(folder, "slipway", "dev")


def test_no_lock_is_no_matter(tmp_path: Path) -> None:
    release(tmp_path)


def test_a_lock_of_a_process_that_is_gone_is_removed_and_named(
    tmp_path: Path, ended_pid: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = write_lock(tmp_path, pid=ended_pid)
    release(tmp_path)
    assert not lock.exists()
    said = capsys.readouterr().err
    assert f"process {ended_pid} of ada" in said
    assert "'dev'" in said


def test_a_lock_of_a_living_process_stays_and_its_holder_is_named(tmp_path: Path) -> None:
    lock = write_lock(tmp_path, pid=os.getpid())
    with pytest.raises(StopError, match=f"process {os.getpid()} .*pytest.* of ada"):
        release(tmp_path)
    assert lock.exists()


def test_a_pid_that_a_younger_process_got_does_not_hold_the_lock(tmp_path: Path) -> None:
    lock = write_lock(tmp_path, pid=os.getpid(), age_s=30 * 24 * 3600)
    release(tmp_path)
    assert not lock.exists()


def test_a_process_that_ended_but_was_not_reaped_holds_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        lock = write_lock(tmp_path, pid=child.pid)
        release(tmp_path)
        assert not lock.exists()
    finally:
        child.wait()


def test_a_lock_of_another_machine_is_never_removed(tmp_path: Path, ended_pid: int) -> None:
    lock = write_lock(tmp_path, pid=ended_pid, host="elsewhere")
    with pytest.raises(StopError, match=r"on elsewhere .*pulumiw cancel -s dev"):
        release(tmp_path)
    assert lock.exists()


def test_the_lock_of_another_stack_is_not_looked_at(tmp_path: Path) -> None:
    write_lock(tmp_path, pid=os.getpid(), stack="prod")
    release(tmp_path)


def test_an_unreadable_lock_stops_the_command_and_names_the_file(tmp_path: Path) -> None:
    lock = write_lock(tmp_path, pid=1)
    lock.write_text('{"pid": 1')
    with pytest.raises(StopError, match=str(lock)):
        release(tmp_path)


def test_a_torn_note_beside_a_state_is_dropped_and_a_whole_one_and_another_stacks_stay(tmp_path: Path) -> None:
    folder = tmp_path / "stacks" / "slipway"
    folder.mkdir(parents=True)
    whole, torn, half, other = (
        folder / name for name in ("dev.json.bak.attrs", "dev.json.attrs", "dev.json.0.attrs", "dev2.json.attrs")
    )
    whole.write_text("{}")
    half.write_text('{"user.cache_control": ')
    for file in (torn, other):
        file.write_text("")
    (folder / "dev.json").write_text("")

    drop_torn_attributes(tmp_path, "slipway", "dev")

    assert sorted(file.name for file in folder.iterdir()) == ["dev.json", whole.name, other.name]
