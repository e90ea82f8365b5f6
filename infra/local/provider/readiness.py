"""Whether a process answers as it should: HTTP requests and TCP connections, and waiting for them.

It asks; it never starts or ends anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from infra.local.provider.http import Http, Unreachable

Check = dict[str, Any]
"""`url` (with `method`, `body`, `status`, `token_file`), or `host` and `port`."""

_POLL_S = 0.1
_SHOWN = 500
"""Characters of an answer that are worth showing."""
_REQUEST_S = 15.0
"""The first request to a fresh service may create its database."""


def name_of(check: Check) -> str:
    """Return a check as people read it."""
    return f"{check.get('method', 'GET')} {check['url']}" if "url" in check else f"{check['host']}:{check['port']}"


async def answers(http: Http, check: Check, timeout_s: float = _REQUEST_S) -> str | None:
    """Try one check once; return None when it holds, else what was seen instead."""
    try:
        if "url" not in check:
            return await _connects(check["host"], check["port"], timeout_s)
        answer = await http.request(
            check.get("method", "GET"),
            check["url"],
            body=check.get("body"),
            token_file=check.get("token_file"),
            timeout_s=timeout_s,
        )
    except Unreachable as error:
        return str(error)
    wanted = check.get("status", 200)
    if answer.status == wanted:
        return None
    return f"status {answer.status} instead of {wanted}: {answer.text[:_SHOWN]}".rstrip(": ")


async def healthy(http: Http, checks: Sequence[Check], *, attempts: int = 2, timeout_s: float = 4) -> bool:
    """Tell whether every check holds now, with a few attempts so that a busy moment is no failure."""
    for _ in range(attempts):
        seen = await asyncio.gather(*(answers(http, check, timeout_s) for check in checks))
        if not any(seen):
            return True
        await asyncio.sleep(_POLL_S)
    return False


async def wait_until_ready(
    http: Http,
    checks: Sequence[Check],
    *,
    timeout_s: float,
    lives: Callable[[], bool],
    progress: Callable[[str], Awaitable[None]],
) -> str | None:
    """Wait until each check has held once, in order.

    Args:
        http: the session to ask with.
        checks: what must hold.
        timeout_s: seconds in all.
        lives: whether the process is still there; waiting ends when it is not.
        progress: told again and again what is being waited for.

    Returns:
        None when ready, else what the unmet check saw last.
    """
    begin = time.monotonic()
    for check in checks:
        while (seen := await answers(http, check)) is not None:
            now = time.monotonic()
            if not lives() or now - begin > timeout_s:
                return f"{name_of(check)}: {seen}"
            await progress(f"{name_of(check)} ... {now - begin:.0f} s")
            await asyncio.sleep(_POLL_S)
    return None if lives() else "it ended"


async def _connects(host: str, port: int, timeout_s: float) -> str | None:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        return str(error) or "no answer"
    writer.close()
    await writer.wait_closed()
    return None
