"""A job's log, line by line, to the user and into a file: none lost, none twice, whatever the connection does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from infra.local.provider.engine_log import new_stream
from infra.local.provider.http import Unreachable
from infra.local.provider.machine import Work
from infra.local.provider.ray_client import Ray

_RETRY_S = 0.5


class Lines:
    """Turns pieces of a text, sent again from the beginning after each reconnection, into new whole lines. Pure."""

    def __init__(self) -> None:
        self._seen = 0
        self._position = 0
        self._rest = ""

    def reconnected(self) -> None:
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


async def stream(work: Work, ray: Ray, submission_id: str, copy: Path) -> None:
    """Follow the log of a job until it ends; lines go to the user and into the file `copy`."""
    lines, number = Lines(), new_stream()
    while True:
        lines.reconnected()
        try:
            async for piece in ray.follow_log(submission_id):
                await _tell(work, lines.take(piece), number, copy)
            break
        except Unreachable:
            await asyncio.sleep(_RETRY_S)
    await _tell(work, lines.end(), number, copy)


async def _tell(work: Work, lines: list[str], number: int, copy: Path) -> None:
    if not lines:
        return
    text = "\n".join(lines) + "\n"
    await asyncio.to_thread(_append, copy, text)
    await work.say(text, stream=number)


def _append(copy: Path, text: str) -> None:
    with copy.open("a", encoding="utf-8") as file:
        file.write(text)
