"""The smoke test of a candidate in a process of its own: ``python -m serving.smoke URI NAME VERSION``.

A process, so that the controller stays small at rest, and a model that crashes or never returns takes only
this test with it.  It prints one line of JSON: ``{"passed": bool, "reason": str}``, or exits 75 when the tracking
server did not answer and the test says nothing about the model.
"""

from __future__ import annotations

import asyncio
import json
import sys

from serving import loading
from serving.errors import ModelUnusable, RegistryUnavailable
from serving.registry import Registry
from serving.release import Verdict

_TRY_LATER = 75
_REASON = 500


def main(arguments: list[str]) -> int:
    """Load the version and let it answer its smoke request; print the verdict."""
    uri, name, version = arguments
    try:
        loading.load(Registry(uri), name, version)
    except ModelUnusable as fault:
        return _print(passed=False, reason=str(fault)[:_REASON])
    except RegistryUnavailable as fault:
        print(fault, file=sys.stderr)  # noqa: T201  for the parent's log
        return _TRY_LATER
    return _print(passed=True)


def _print(*, passed: bool, reason: str = "") -> int:
    print(json.dumps({"passed": passed, "reason": reason}))  # noqa: T201  the answer to the parent
    return 0


async def run(uri: str, name: str, version: str, timeout_s: float = 60.0) -> Verdict:
    """Return the verdict of a smoke test of the version.

    Raises:
        RegistryUnavailable: the tracking server did not answer; nothing is known about the model.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "serving.smoke", uri, name, version,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        return Verdict(version, passed=False, reason=f"version {version}: no smoke prediction within {timeout_s:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    tail = err.decode(errors="replace").strip()[-_REASON:]
    if process.returncode == _TRY_LATER:
        raise RegistryUnavailable(tail)
    if process.returncode != 0:
        reason = f"version {version}: its smoke test ended with status {process.returncode}: {tail}"
        return Verdict(version, passed=False, reason=reason)
    answer = json.loads(out.decode().strip().splitlines()[-1])
    return Verdict(version, passed=answer["passed"], reason=answer["reason"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
