"""Locks that a former engine left in the file backend.

Owns the decision about one stack's lock files: a lock whose process is gone is removed and named, any other stops the
command with its holder. It never removes a lock of a living process or of another machine.
"""

import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.engine.layout import StopError, say

CLOCK_SLACK_S = 2.0
"""/proc counts process starts in ticks since boot; the lock has wall-clock time."""


@dataclass(frozen=True)
class Lock:
    """One lock file: who holds the stack since when."""

    file: Path
    pid: int
    user: str
    host: str
    since: datetime


def release_stale_locks(folder: Path, project: str, stack: str) -> None:
    """Remove the stack's locks whose process is gone.

    Args:
        folder: `.pulumi` of the file backend.
        project: the project's name.
        stack: the stack's short name.

    Raises:
        StopError: a living process, or one that cannot be looked at from here, holds the stack.
    """
    for lock in _read(folder / "locks" / "organization" / project / stack):
        if lock.host != socket.gethostname():
            raise StopError(_held_elsewhere(lock, stack))
        command = _living_command(lock)
        if command is not None:
            raise StopError(_held_here(lock, stack, command))
        lock.file.unlink(missing_ok=True)
        say(
            f"removed a stale lock of the stack {stack!r}: process {lock.pid} of {lock.user}, "
            f"which took it at {lock.since:%Y-%m-%d %H:%M:%S %Z}, is gone"
        )


def drop_torn_attributes(folder: Path, project: str, stack: str) -> None:
    """Remove what a killed engine left of the files in which the backend notes the kind of a stack's state.

    It writes them in place, so that one can be empty; then no verb can read the state, though that is whole. A file
    without one is read all the same. Call it once nobody holds the stack.
    """
    for file in (folder / "stacks" / project).glob(f"{stack}.json*.attrs"):
        try:
            json.loads(file.read_text())
        except FileNotFoundError:
            continue
        except ValueError:
            file.unlink(missing_ok=True)


def _read(folder: Path) -> list[Lock]:
    locks = []
    for file in sorted(folder.glob("*.json")):
        try:
            content = json.loads(file.read_text())
            since = datetime.fromisoformat(content["timestamp"])
            locks.append(Lock(file, int(content["pid"]), content["username"], content["hostname"], since))
        except FileNotFoundError:
            continue  # released while we looked
        except (ValueError, KeyError, TypeError) as error:
            # written in one piece: a torn one comes from a machine that went down
            raise StopError(
                f"{file} is not a readable lock ({error}). If no `pulumi` runs for this stack, delete it"
            ) from error
    return locks


def _living_command(lock: Lock) -> str | None:
    """The command of the lock's process, or None if that process is gone and its pid free or taken by another."""
    try:
        os.kill(lock.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # another user's, alive
    proc = Path("/proc") / str(lock.pid)
    try:
        started, ended = _start_time(proc), _is_zombie(proc)
        command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None if Path("/proc/self").exists() else "an unknown command"
    if ended or started > lock.since.timestamp() + CLOCK_SLACK_S:
        return None  # ended but not reaped, or the pid was given to a process that is younger than the lock
    return command or "an unknown command"


def _start_time(proc: Path) -> float:
    """Seconds since the epoch at which a process started."""
    ticks = int((proc / "stat").read_text().rpartition(")")[2].split()[19])
    boot = next(
        int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")
    )
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def _is_zombie(proc: Path) -> bool:
    return (proc / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _held_here(lock: Lock, stack: str, command: str) -> str:
    minutes = (datetime.now(UTC) - lock.since).total_seconds() / 60
    return (
        f"the stack {stack!r} is being changed by process {lock.pid} ({command}) of {lock.user}, "
        f"since {lock.since:%H:%M:%S %Z} ({minutes:.0f} min). "
        f"Wait until it ends, or stop it with `kill -INT {lock.pid}`"
    )


def _held_elsewhere(lock: Lock, stack: str) -> str:
    return (
        f"the stack {stack!r} is locked by process {lock.pid} of {lock.user} on {lock.host} since "
        f"{lock.since:%Y-%m-%d %H:%M:%S %Z}, which cannot be looked at from here. "
        f"If it has ended there, `./pulumiw cancel -s {stack} --yes` removes the lock"
    )
