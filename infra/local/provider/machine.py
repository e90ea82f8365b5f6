"""What all operations of one provider share: settings, records, HTTP, locks, and a voice towards the user."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.local.provider.engine_log import EngineLog
from infra.local.provider.http import Http
from infra.local.provider.records import Records

_STATUS_EVERY_S = 0.9


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The provider's configuration: which stack it works for and where that stack's files live."""

    state_directory: Path
    runtime_directory: Path
    project: str
    stack: str

    @property
    def logs(self) -> Path:
        return self.state_directory / "logs"

    @property
    def serve_logs(self) -> Path:
        """Where the Ray head of this stack writes the logs of its Serve replicas."""
        return self.runtime_directory / "ray" / "session_latest" / "logs" / "serve"


class Machine:
    """One provider's view of this machine."""

    def __init__(self, settings: Settings, log: EngineLog) -> None:
        self.settings = settings
        self.log = log
        self.http = Http()
        self.records = Records(settings.state_directory / "records")
        self._serve_locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._told: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    def serve_lock(self, url: str) -> asyncio.Lock:
        """Return the lock under which Serve's configuration at the dashboard of `url` is written.

        Each PUT states the whole configuration, so that an early and a late one must not change places.
        """
        return self._serve_locks[urlsplit(url).netloc]

    def may_tell(self, urn: str) -> bool:
        """Tell whether a status about a resource is due: one a second is what a person can read."""
        now = time.monotonic()
        due = now - self._told.get(urn, -_STATUS_EVERY_S) >= _STATUS_EVERY_S
        if due:
            self._told[urn] = now
        return due

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that no resource waits for."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Stop talking; processes go on."""
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.http.close()
        await self.log.close()


@dataclass(frozen=True)
class Work:
    """One operation on one resource."""

    machine: Machine
    urn: str

    async def say(self, message: str, *, stream: int = 0) -> None:
        await self.machine.log.info(self.urn, message, stream=stream)

    async def warn(self, message: str) -> None:
        await self.machine.log.warning(self.urn, message)

    async def status(self, message: str) -> None:
        """Show what is being waited for; call it as often as you like."""
        if self.machine.may_tell(self.urn):
            await self.machine.log.status(self.urn, message)
