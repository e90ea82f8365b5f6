"""Ports for servers that a test starts: free, all different, and never those of outgoing connections."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

# below the range from which Linux takes ports of outgoing connections (32768 and up): a port that the kernel gives to
# a probe and that is let go again may be somebody's before the server listens
_FIRST, _LAST = 22000, 22999


def free_ports(count: int) -> list[int]:
    """Return as many ports; all are held until all are found.

    Raises:
        RuntimeError: there are not as many.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(range(_FIRST, _LAST + 1), _LAST + 1 - _FIRST):
            if len(found) == count:
                break
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    if len(found) < count:
        raise RuntimeError(f"no {count} free ports from {_FIRST} to {_LAST}: stop what holds them")
    return found


def free_port() -> int:
    """Return one."""
    return free_ports(1)[0]


def free_block(size: int, first: int = _FIRST, last: int = _LAST) -> int:
    """Return the first of as many free ports in a row, from `first` to `last`; any, as others may be looking too.

    Raises:
        RuntimeError: there is no such row.
    """
    starts = range(first, last - size + 2, size)
    for start in random.sample(starts, len(starts)):
        with ExitStack() as held, suppress(OSError):
            for port in range(start, start + size):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return start
    raise RuntimeError(f"no {size} free ports in a row from {first} to {last}: stop what holds them")
