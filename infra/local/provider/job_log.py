"""A job's log, line by line, to the user and into a file: none lost, none twice, whatever the connection does."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

from infra.local.provider.engine_log import new_stream
from infra.local.provider.http import Unreachable
from infra.local.provider.machine import Work
from infra.local.provider.ray_client import Ray

_RETRY_S = 0.5
_OF_RAY = re.compile(r"\tINFO job_manager\.py:\d+ -- |^Running entrypoint for job ")
"""Lines that Ray writes into every job's log; they stay in the file and are no news to the user."""


def of_the_job(lines: list[str]) -> list[str]:
    """Return the lines without those that Ray puts before a job's own."""
    return [line for line in lines if not _OF_RAY.search(line)]


class Lines:
    """Turns pieces of a text, sent again from the beginning after each reconnection, into new whole lines. Pure."""

    def __init__(self) -> None:
        self._seen = 0
        self._position = 0
        self._rest = ""

    def restart(self) -> None:
        """The next piece is the beginning of the text again."""
        self._position = 0

    def take(self, piece: str) -> list[str]:
        """Return the whole lines that `piece` completes."""
        fresh = piece[max(0, self._seen - self._position) :]
        self._position += len(piece)
        self._seen = max(self._seen, self._position)
        *lines, self._rest = (self._rest + fresh).split("\n")
        return lines

    def end(self) -> list[str]:
        """Return the last line, when it was not ended."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []


class JobLog:
    """Follows the log of one job while it runs."""

    def __init__(self, work: Work, ray: Ray, submission_id: str, copy: Path) -> None:
        self._work, self._ray, self._id, self._copy = work, ray, submission_id, copy
        copy.unlink(missing_ok=True)
        self._lines, self._stream = Lines(), new_stream()
        self._following = asyncio.create_task(self._follow())

    async def finish(self) -> str:
        """Tell what is left once the job is over, and return the whole log; empty when Ray does not say."""
        await self.stop()
        try:
            text = await self._ray.job_log(self._id)
        except Unreachable:
            return ""
        self._lines.restart()
        await self._tell([*self._lines.take(text), *self._lines.end()])
        return text

    async def stop(self) -> None:
        """Stop following; the job goes on."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self) -> None:
        """Follow until stopped: a connection that ends may have broken off as well as come to its end."""
        while True:
            self._lines.restart()
            with contextlib.suppress(Unreachable):
                async for piece in self._ray.follow_log(self._id):
                    await self._tell(self._lines.take(piece))
            await asyncio.sleep(_RETRY_S)

    async def _tell(self, lines: list[str]) -> None:
        if not lines:
            return
        await asyncio.to_thread(_append, self._copy, "\n".join(lines) + "\n")
        if own := of_the_job(lines):
            await self._work.say("\n".join(own) + "\n", stream=self._stream)


def _append(copy: Path, text: str) -> None:
    with copy.open("a", encoding="utf-8") as file:
        file.write(text)
