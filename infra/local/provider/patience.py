"""Asking a service that may be busy for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable

PATIENCE_S = 15.0
_POLL_S = 0.3
Found = TypeVar("Found")


async def patiently(ask: Callable[[], Awaitable[Found]], who: str, *, patience_s: float = PATIENCE_S) -> Found:
    """Ask again until there is an answer.

    Args:
        ask: the question; may raise Unreachable.
        who: names the service and its address in the error.
        patience_s: seconds after which it counts as down.

    Raises:
        Failure: no answer in time; it says how to heal.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return await ask()
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise Failure(
                    f"{who} does not answer ({error}). If its process has died, `pulumi up --refresh` starts it again."
                ) from error
        await asyncio.sleep(_POLL_S)
