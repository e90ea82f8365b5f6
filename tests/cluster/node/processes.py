"""What runs of the node, on record: processes by pid and start time, saved kernel settings, the port.

Owns /run/slipway-node/state.json. Every change is written before the next step, so that a node whose maker was killed
can still be taken down. A process is ended only when it is on record with its start time, or lives in the node's own
network namespace or cgroup: never by its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.engine.layout import StopError
from tests.cluster.node.layout import NETNS, RUN

STATE = RUN / "state.json"
POLL_S = 0.05


@dataclass
class State:
    """The record of one node."""

    fingerprint: str = ""
    home: str = ""
    port: int = 0
    ready: bool = False
    transient: bool = False
    """Made by tests, which take it down."""
    sysctls: dict[str, str] = field(default_factory=dict)
    processes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> pid and start time, in the order of the starts."""

    def write(self) -> None:
        RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = STATE.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(STATE)


def read() -> State | None:
    """The record of the node, or None when there is none."""
    try:
        found = json.loads(STATE.read_text())
        found["processes"] = {name: (int(pid), int(start)) for name, (pid, start) in found["processes"].items()}
        return State(**found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def start_time(pid: int) -> int | None:
    """Ticks since boot at which a process started; None when it is gone or only a zombie is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def alive(entry: tuple[int, int]) -> bool:
    return start_time(entry[0]) == entry[1]


def start(state: State, name: str, command: Sequence[str], log: Path, *, in_node: bool = True) -> None:
    """Start a daemon in the node's namespace, in a session of its own, and put it on record.

    `nsenter` becomes the daemon, so that the pid on record is the daemon's.
    """
    argv = [*(["nsenter", f"--net={NETNS}"] if in_node else []), *command]
    program = shutil.which(argv[0])
    if program is None:
        raise StopError(f"{argv[0]} is missing on this machine")
    log.parent.mkdir(parents=True, exist_ok=True)
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(program, argv, os.environ, file_actions=files, setsid=True)
    state.processes[name] = (pid, start_time(pid) or 0)
    state.write()


def stop(state: State, names: Iterable[str], timeout_s: float, how: signal.Signals = signal.SIGTERM) -> None:
    """End the named processes that are still those on record: politely, then not."""
    entries = [state.processes[name] for name in names if name in state.processes]
    end([entry for entry in entries if alive(entry)], timeout_s, how)


def end(entries: Sequence[tuple[int, int]], timeout_s: float, how: signal.Signals = signal.SIGTERM) -> None:
    """Signal processes and wait until they are gone; kill those that stay."""
    deadline = time.monotonic() + timeout_s
    for signal_now, until in ((how, deadline), (signal.SIGKILL, deadline + timeout_s)):
        for entry in entries:
            if alive(entry):
                _signal(entry[0], signal_now)
        while any(_reap(entry) for entry in entries) and time.monotonic() < until:
            time.sleep(POLL_S)


def in_namespace() -> list[tuple[int, int]]:
    """All processes whose network namespace is the node's, but for this one."""
    try:
        wanted = NETNS.stat().st_ino
    except OSError:
        return []
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            same = (folder / "ns" / "net").stat().st_ino == wanted
        except OSError:
            continue
        started = start_time(int(folder.name)) if same else None
        if started is not None:
            found.append((int(folder.name), started))
    return found


def _reap(entry: tuple[int, int]) -> bool:
    """Whether a process still runs; our own child is waited for, so that it does not stay as a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(entry[0], os.WNOHANG)
    return alive(entry)


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
