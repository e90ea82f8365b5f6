"""Starts and ends recorded processes.

It owns the order in which disk and processes change: record, then process; session empty, then the next process.
It never ends anything but the sessions of its records.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from infra.local.provider.failure import Failure
from infra.local.provider.procfs import command_of, port_holder
from infra.local.provider.records import Record, Records

_LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_POLL_S = 0.05
_KILL_S = 30.0
_LEAST_FREE = 64 * 1024 * 1024  # bytes
# what the surrounding shell, engine or virtualenv set for themselves; a process gets what its resource says
_PRIVATE = ("PULUMI_", "PYTHON", "RAY_", "MLFLOW_", "_MLFLOW_", "GRPC_", "VIRTUAL_ENV", "COVERAGE_", "PYTEST_", "UV_")
_LOOPBACK = "127.0.0.1,localhost"
_TAIL_LINES = 20


async def start(
    records: Records, lock: int, record: Record, ports: Mapping[str, int], folder: str, own: Mapping[str, str]
) -> Record:
    """Start a process in a session of its own, and return its completed record.

    Args:
        records: where the record goes.
        lock: descriptor of the held lock; the new process holds it until it executes its command.
        record: the intent.
        ports: config key -> port that it will listen on.
        folder: its working directory.
        own: its own part of the environment.

    Raises:
        Failure: a port is taken, the disk is full, or the command cannot be executed.
    """
    refuse_taken_ports(record.name, ports)
    try:
        remove_paths(record.clean)
        _make_temporary(own)
        log = _fresh_log(Path(record.log_file))
        records.save(record)
    except OSError as error:
        raise Failure(_disk_message(record, error)) from error
    try:
        pid = _spawn(records, record.name, lock, log, {**environment(os.environ), **own}, folder)
    finally:
        os.close(log)
    ended = False
    while True:
        written = records.load(record.name)
        if written and written.pid == pid:
            return written
        if ended:
            break
        await asyncio.sleep(_POLL_S)
        ended = _has_ended(pid)
    raise Failure(f"{record.name} could not be started:\n{tail(record.log_file)}\nlog: {record.log_file}")


async def stop(record: Record) -> None:
    """End a process and everything of its session; being gone already is success.

    Raises:
        Failure: something survives SIGKILL.
    """
    if record.is_running() and record.pid:
        _signal(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + record.stop_timeout_s
        while record.is_running() and time.monotonic() < deadline:
            exit_code(record.pid)
            await asyncio.sleep(_POLL_S)
    deadline = time.monotonic() + _KILL_S
    while members := record.members():
        if time.monotonic() > deadline:
            listed = "; ".join(f"{pid} ({command_of(pid)})" for pid in members)
            raise Failure(f"{record.name}: these processes do not end, even by SIGKILL: {listed}")
        for pid in members:
            _signal(pid, signal.SIGKILL)
        await asyncio.sleep(_POLL_S)
    if record.pid:
        exit_code(record.pid)


def exit_code(pid: int) -> int | None:
    """Return the exit code of a child that ended (negative: the signal); None otherwise, and for who is no child."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, leaving its exit code for `exit_code`."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def environment(surrounding: Mapping[str, str]) -> dict[str, str]:
    """Return what a process takes over from the surroundings: home, path, locale, credentials of the user's tools."""
    kept = {key: value for key, value in surrounding.items() if not key.startswith(_PRIVATE)}
    for key in ("no_proxy", "NO_PROXY"):
        kept[key] = f"{kept[key]},{_LOOPBACK}" if kept.get(key) else _LOOPBACK
    return kept


def refuse_taken_ports(name: str, ports: Mapping[str, int]) -> None:
    """Raise a Failure that names every taken port, its config key and its holder."""
    taken = [
        f"port {port} ({key}) is in use by {holder}" for key, port in ports.items() if (holder := port_holder(port))
    ]
    if taken:
        raise Failure(f"{name} cannot start: {'; '.join(taken)}. End that process, or set another port.")


def tail(log_file: str, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a log; a hint when there is none."""
    try:
        with Path(log_file).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def free_bytes(path: str) -> int:
    """Return what is free on the disk of a path, for this user."""
    there = next(folder for folder in (Path(path), *Path(path).parents) if folder.exists())
    numbers = os.statvfs(there)
    return numbers.f_bavail * numbers.f_frsize


def disk_hint(path: str) -> str | None:
    """Return a sentence when the disk of `path` is (nearly) full."""
    free = free_bytes(path)
    if free >= _LEAST_FREE:
        return None
    return f"the disk of {path} is full: {free // 2**20} MB are free. Free some space, then run `up` again."


def remove_paths(paths: list[str]) -> None:
    """Remove files and folders; absent ones are fine."""
    for name in paths:
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _make_temporary(own: Mapping[str, str]) -> None:
    """Make the folder that a process is told to put temporary files in: without it Python quietly uses everybody's."""
    if "TMPDIR" in own:
        Path(own["TMPDIR"]).mkdir(mode=0o700, parents=True, exist_ok=True)


def _spawn(records: Records, name: str, lock: int, log: int, environ: Mapping[str, str], folder: str) -> int:
    """Start the launcher in a new session; returns its pid, which the command keeps."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-I", "-S", _LAUNCHER, str(records.path(name)), str(lock), folder]
    os.set_inheritable(lock, True)  # noqa: FBT003  positional only
    try:
        return os.posix_spawn(
            command[0],
            command,
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    finally:
        os.set_inheritable(lock, False)  # noqa: FBT003  see above


def _fresh_log(path: Path) -> int:
    """Open an empty log; the log of the former process is kept beside it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        path.replace(path.with_suffix(".previous.log"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _disk_message(record: Record, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{record.name} cannot start: {disk_hint(record.log_file) or error}"
    return f"{record.name} cannot start: {error}"


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself meanwhile
