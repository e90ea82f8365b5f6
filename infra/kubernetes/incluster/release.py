"""Waiting for what the release controller makes of a candidate; it never moves an alias.

`python -m infra.kubernetes.incluster.release --tracking-uri URL --model NAME [--candidate V] --strategy S
--wait started|done --timeout S --result NAMESPACE/CONFIGMAP`: reads the release's state in the registry, and writes
which version is champion and which is challenger into the ConfigMap.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from infra.kubernetes.incluster.api import Api, write_result
from infra.kubernetes.incluster.ending import Failure, run, say
from serving.errors import RegistryUnavailable
from serving.registry import RegisteredModel, Registry

STATE_TAG = "slipway.release.state"
_ENDED = ("released", "failed", "refused")
_POLL_S = 0.5
_STALE_S = 20.0
"""A failure recorded before this Job began counts once the controller has had this long to get the candidate."""
_SHOWN_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the stack asked the service for."""

    model: str
    candidate: str | None
    strategy: str
    wait: str
    timeout_s: float


def main(arguments: Sequence[str]) -> None:
    """Wait as far as asked, and write the result."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.kubernetes.incluster.release", description="wait for the release of a candidate"
    )
    parser.add_argument("--tracking-uri", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--candidate", help="the version to be released; absent: nothing new")
    parser.add_argument("--strategy", required=True)
    parser.add_argument("--wait", choices=("started", "done"), required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds")
    parser.add_argument("--result", required=True, metavar="NAMESPACE/CONFIGMAP", help="where the result goes")
    given = parser.parse_args(arguments)
    wanted = Wanted(
        model=given.model,
        candidate=given.candidate or None,
        strategy=given.strategy,
        wait=given.wait,
        timeout_s=given.timeout,
    )
    api = Api.of_this_pod()
    result = wait(Registry(given.tracking_uri), wanted)
    write_result(api, given.result, result)
    say(f"champion: version {result['champion']}" if result["champion"] else "there is no champion yet")


def wait(registry: Registry, wanted: Wanted, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Return {champion, challenger, phase, warning} once the release has ended; with `started`, at once.

    Raises:
        Failure: there is nothing to serve, the candidate failed, or time is up.
    """
    begin = time.monotonic()
    deadline = begin + wanted.timeout_s
    model = _patiently(registry, wanted.model, deadline, sleep)
    if wanted.wait == "started":  # the stack does not wait for its training either: the model comes with a later `up`
        return _found(wanted, model)
    _refuse_nothing(wanted, model)
    before, said = _state(model), begin
    while True:
        state = _state(model)
        fresh = state != before or time.monotonic() - begin > _STALE_S
        if _decided(wanted, state, fresh=fresh):
            return _found(wanted, model)
        if time.monotonic() > deadline:
            raise Failure(_too_late(wanted, state))
        if time.monotonic() - said > _SHOWN_EVERY_S:
            said = time.monotonic()
            say(f"releasing version {wanted.candidate}: {state.get('phase', 'not begun')}, {said - begin:.0f} s")
        sleep(_POLL_S)
        model = _patiently(registry, wanted.model, deadline, sleep)


def _patiently(registry: Registry, name: str, deadline: float, sleep: Callable[[float], None]) -> RegisteredModel:
    while True:
        try:
            return registry.model(name) or RegisteredModel()
        except RegistryUnavailable as fault:
            if time.monotonic() > deadline:
                raise Failure(f"{fault}; the release goes on without this Job, and `up` again waits for it") from fault
        sleep(_POLL_S)


def _refuse_nothing(wanted: Wanted, model: RegisteredModel) -> None:
    if wanted.candidate is None and "champion" not in model.aliases:
        raise Failure(
            f"nothing to serve: the model {wanted.model} has no champion, and there is no candidate (the gate "
            "rejected it, or the training has not finished). Change the data, the parameters or slipway:gate, or give "
            "a version the alias `champion`; tracking and Ray stay up."
        )


def _decided(wanted: Wanted, state: dict[str, Any], *, fresh: bool) -> bool:
    """Tell whether the candidate's release has come to a good end; raise when to a bad one."""
    if wanted.candidate is None:
        return True  # nothing was asked for
    if state.get("candidate") != wanted.candidate or state.get("phase") not in _ENDED:
        return False
    if state["phase"] == "released":
        return True
    if not fresh:
        return False
    message = _not_released(wanted, state)
    if state["phase"] == "failed" or not state.get("champion"):
        raise Failure(f"{message}. Train another version, or give a version the alias `champion`.")
    say(f"warning: {message}")
    return True


def _not_released(wanted: Wanted, state: dict[str, Any]) -> str:
    serving = f"version {state['champion']} stays champion" if state.get("champion") else "nothing to serve"
    return f"version {wanted.candidate} was not released ({state['phase']}): {state.get('reason')}; {serving}"


def _too_late(wanted: Wanted, state: dict[str, Any]) -> str:
    begun = state.get("candidate") == wanted.candidate
    where = f"it is {state.get('phase')}" if begun else "the release controller has not begun it"
    return (
        f"version {wanted.candidate} was not released within {wanted.timeout_s:g} s: {where}. Look at the pods of "
        "the service (component=serving); `up` again goes on waiting."
    )


def _state(model: RegisteredModel) -> dict[str, Any]:
    text = model.tags.get(STATE_TAG)
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _found(wanted: Wanted, model: RegisteredModel) -> dict[str, Any]:
    state = _state(model)
    refused = state.get("candidate") == wanted.candidate and state.get("phase") in ("refused", "failed")
    return {
        "champion": model.aliases.get("champion"),
        "challenger": model.aliases.get("challenger"),
        "phase": state.get("phase"),
        "warning": state.get("reason") if refused else None,
    }


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
