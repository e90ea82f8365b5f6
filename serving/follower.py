"""Which versions this replica holds: it follows the ``champion`` alias and keeps the one before.

A version is loaded beside the one in use and swapped in by one assignment after its smoke prediction, so
requests never see a half-loaded model.  It must not move an alias: that is the release controller's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serving import loading
from serving.batching import Batcher
from serving.errors import UNUSABLE, ModelUnusable, RegistryUnavailable
from serving.models import Model, NativeModel, Outputs
from serving.registry import Registry

LOG = logging.getLogger("ray.serve")
CHAMPION = "champion"
_RETRY_S = 10.0
"""A version that proved unusable is tried again after this long: its artifact may have been repaired."""

Load = Callable[[Registry, str, str], tuple[Model, Outputs]]


@dataclass(frozen=True)
class Served:
    """A loaded version that has answered its smoke request."""

    version: str
    model: Model
    outputs: list[dict[str, Any]]
    batcher: Batcher | None = field(default=None, compare=False)


class Follower:
    """Holds the champion and the version before it, as the registry's alias says."""

    def __init__(self, registry: Registry, name: str, poll_s: float, load: Load = loading.load) -> None:
        self.champion: Served | None = None
        self.previous: Served | None = None
        self.problem: str | None = None
        """Why the version that the alias names is not the one served, in words; None when all is well."""
        self.notice: str | None = None
        """How the champion's inputs differ from those of the version before it."""
        self._registry, self._name, self._poll_s, self._load = registry, name, poll_s, load
        self._unusable: tuple[str, float] | None = None

    async def run(self) -> None:
        """Follow the alias until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._poll_s)

    async def look(self) -> None:
        """Ask the registry once and do as it says; whatever goes wrong leaves the champion as it is."""
        try:
            version = await asyncio.to_thread(self._registry.alias, self._name, CHAMPION)
            if version is None:
                self._say(f"the registry has no {CHAMPION} of model {self._name}; release a version")
            elif self.champion is not None and version == self.champion.version:
                self._say(None)
            else:
                await self._follow(version)
        except RegistryUnavailable as fault:
            self._say(str(fault))
        except ModelUnusable as fault:
            self._say(f"the alias {CHAMPION} names version {version}, {UNUSABLE}: {fault}")
        except Exception as fault:
            LOG.exception("following the champion failed")
            self._say(f"following the champion failed: {type(fault).__name__}: {fault}")

    async def _follow(self, version: str) -> None:
        if self.previous is not None and version == self.previous.version:
            self._swap(self.previous)
            return
        if self._unusable and self._unusable[0] == version and time.monotonic() < self._unusable[1]:
            return
        try:
            model, outputs = await asyncio.to_thread(self._load, self._registry, self._name, version)
        except ModelUnusable:
            self._unusable = (version, time.monotonic() + _RETRY_S)
            raise
        batcher = Batcher(model) if isinstance(model, NativeModel) else None
        self._swap(Served(version, model, outputs.describe(), batcher))

    def _swap(self, served: Served) -> None:
        before, self.champion = self.champion, served
        self.previous = before
        self._unusable = None
        self.notice = None
        if before is not None and (difference := before.model.signature.difference(served.model.signature)):
            self.notice = f"version {served.version} has another signature than {before.version}: {difference}"
            LOG.warning("%s", self.notice)
        LOG.info("serving version %s of model %s (%s)", served.version, self._name, served.model.platform)
        self._say(None)

    def _say(self, problem: str | None) -> None:
        if problem and problem != self.problem:
            LOG.error("%s", problem)
        self.problem = problem
