"""How a small Job ends: its last line says why, and so does the container's termination message.

The program that waits for the Job reads that message from the pod's status; it needs no access to logs for it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

TERMINATION_LOG = "/dev/termination-log"
_LONGEST = 4096
"""Bytes of a termination message that the kubelet keeps."""


class Failure(Exception):
    """The Job cannot do what it is for; the text is for the person who ran `up`."""


def run(work: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Do the work and return the exit status; what went wrong is the last line and the termination message."""
    try:
        work(arguments)
    except Failure as failure:
        return _failed(str(failure))
    except Exception as error:  # noqa: BLE001  the end of the process: shown whole, and in one line
        traceback.print_exc(file=sys.stdout)
        return _failed(f"{type(error).__name__}: {error}")
    return 0


def say(text: str) -> None:
    """Print a line of progress at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _failed(reason: str) -> int:
    say(reason)
    path = Path(os.environ.get("SLIPWAY_TERMINATION_LOG", TERMINATION_LOG))
    if path.exists():  # in a pod; the file is made by the kubelet
        path.write_bytes(reason.encode()[:_LONGEST])
    return 1
