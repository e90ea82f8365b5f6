"""Which processes exist: liveness held against pid reuse, sessions, who holds a port.

It only looks.  A zombie counts as gone, for it runs nothing and holds no port, unless threads of it are left: the first
thread of a killed process is a zombie already while others still hold what they share, its ports too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.local.provider.launcher import boot_id, start_ticks, stat_fields

__all__ = ["PortHolder", "boot_id", "command_of", "is_alive", "port_holder", "session_members", "start_ticks"]

_STATE, _SESSION, _THREADS = 0, 3, 17  # fields 3, 6 and 20 of /proc/PID/stat
_ENDED = ("Z", "X")
_LISTED = 200  # characters of a command line in a message


def is_alive(pid: int, ticks: int) -> bool:
    """Tell whether the process that was started at `ticks` still runs under `pid`."""
    try:
        return start_ticks(pid) == ticks and not _is_gone(stat_fields(pid))
    except OSError:
        return False


def session_members(leader: int, ticks: int) -> list[int]:
    """Return the live processes of the session that `leader`, started at `ticks`, opened.

    A session outlives its leader, and keeps the leader's pid from being given away until it is empty: when another
    process has that pid now, the session has ended.
    """
    try:
        if start_ticks(leader) != ticks:
            return []
    except OSError:
        pass  # the leader is gone, its session may be not
    return [pid for pid in _pids() if _session_of(pid) == leader]


def command_of(pid: int) -> str:
    """Return the command line of a process, shortened; empty when it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
    return text[:_LISTED]


@dataclass(frozen=True)
class PortHolder:
    """Who listens on a port; `pid` is None when the process belongs to another user."""

    pid: int | None

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"process {self.pid} ({command_of(self.pid)})"


def port_holder(port: int) -> PortHolder | None:
    """Return who listens on a TCP port, on whichever address; None when it is free."""
    pids = {
        socket.pid
        for socket in psutil.net_connections(kind="tcp")
        if socket.status == psutil.CONN_LISTEN and socket.laddr and socket.laddr.port == port
    }
    if not pids:
        return None
    return PortHolder(min((pid for pid in pids if pid is not None), default=None))


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208  a hundred paths for nothing


def _session_of(pid: int) -> int | None:
    try:
        fields = stat_fields(pid)
    except OSError:
        return None
    return None if _is_gone(fields) else int(fields[_SESSION])


def _is_gone(fields: list[str]) -> bool:
    return fields[_STATE] in _ENDED and int(fields[_THREADS]) <= 1
