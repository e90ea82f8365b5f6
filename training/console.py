"""What a training run tells the person who watches: one line per step, and refusals that name thing, rule and fix."""

from __future__ import annotations

import sys
from collections.abc import Sequence


class Refused(Exception):
    """The run cannot go on because of what it was given; the text is for the person who gave it."""

    def __init__(self, summary: str, problems: Sequence[object] = ()) -> None:
        super().__init__("\n".join([summary, *(f"  - {problem}" for problem in problems)]))


class Stopped(BaseException):
    """The job was told to stop; no part of it may take this for an error of its own."""


def say(step: str, text: str) -> None:
    """Print one line of progress at once: these lines are watched while the job runs."""
    sys.stdout.write(f"{step:<9} {text}\n")
    sys.stdout.flush()


def names(values: Sequence[object], limit: int = 8) -> str:
    """Return values as readable text, shortened after `limit` of them."""
    shown = ", ".join(str(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"


def count(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
