"""What is on disk about each supervised process, so that no kill of anything loses or doubles one.

A record is written before its process starts; the process completes it (`launcher`).  Every decision about a process
is taken while holding its lock, which ends with whoever holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from infra.local.provider.procfs import boot_id, is_alive, session_members

_LOCK_POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Record:
    """One supervised process; without `pid` it was about to be started."""

    name: str
    digest: str
    """Of everything whose change needs another process."""
    command: list[str]
    log_file: str
    stop_timeout_s: float
    clean: list[str]
    pid: int | None = None
    ticks: int | None = None
    boot: str | None = None
    announced: bool = False
    """Whether its `after_ready` requests have been sent; they are sent at most once."""

    @property
    def started(self) -> str:
        """Start time and boot, which together with the pid name one process for ever."""
        return f"{self.ticks}-{(self.boot or '')[:8]}"

    def is_running(self) -> bool:
        """Tell whether the very process of this record lives."""
        if self.pid is None or self.ticks is None or self.boot != boot_id():
            return False
        return is_alive(self.pid, self.ticks)

    def members(self) -> list[int]:
        """Return every live process of its session: itself, children and orphans of dead children."""
        if self.pid is None or self.ticks is None or self.boot != boot_id():
            return []
        return session_members(self.pid, self.ticks)


class Records:
    """The records of one stack, a file each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def load(self, name: str) -> Record | None:
        """Return the record of a process, or None."""
        try:
            stored: dict[str, Any] = json.loads(self.path(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        known = {field.name for field in fields(Record)}
        return Record(**{key: value for key, value in stored.items() if key in known})

    def save(self, record: Record) -> None:
        """Write a record so that a reader sees the old or the new one, whole."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.path(record.name)
        written = path.with_suffix(f".{os.getpid()}")
        with written.open("w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Return the names of all recorded processes."""
        return sorted(path.stem for path in self._directory.glob("*.json"))

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[int]:
        """Hold the lock of one process; yields its descriptor, which a launched child may inherit.

        It is let go by closing, never by unlocking: a child that inherited it keeps it until its exec.
        """
        descriptor = self._open_lock(name)
        try:
            while not _try_lock(descriptor):  # noqa: ASYNC110  the holder may be another process
                await asyncio.sleep(_LOCK_POLL_S)
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(self._directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
