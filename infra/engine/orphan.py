"""Ends a process when the one that started it is gone.

Owns nothing but that watch. The engine stops its children when it ends by itself; after a `kill -9` of the engine
nobody does, and a program or a provider would live on beside the next `up`. Standard library only: it runs in a
provider's interpreter too, whatever that one has installed.
"""

import os
import signal
import threading
import time

POLL_S = 0.2
TERMINATE_S = 5.0


def end_with_parent(parent: int) -> None:
    """Terminate this process (then kill it) soon after `parent` is no longer its parent.

    Args:
        parent: pid that `os.getppid()` had when this process was started, taken by the caller as early as possible.

    PR_SET_PDEATHSIG would be faster, but it fires on the end of the *thread* that forked, and the engine's and gRPC's
    threads come and go.
    """
    threading.Thread(target=_watch, args=(parent,), name="end-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(TERMINATE_S)
    os._exit(1)
