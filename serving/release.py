"""Releases as a pure state machine: ``step(state, seen, now) -> (state, actions)``.

The runner (`serving.controller`) observes, steps, saves a changed state *before* it performs the actions, and
begins again.  An alias is moved only under a saved intent, and an intent ends only when its effect is observed;
so a crash between any two lines is finished, never repeated and never undone, by whoever steps next.
This module must not do or read anything: no clock, no network, no logging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from serving.release_state import HISTORY, Event, Intent, State

BARRED = frozenset({"rolled_back", "rejected"})
"""A version whose ``slipway.release`` tag is one of these is never made champion by the controller."""


@dataclass(frozen=True)
class Command:
    """What a person asked the controller to do, once."""

    id: str
    action: str
    by: str = "person"
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """The result of the smoke test of a version; ``reason`` is why it failed."""

    version: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True)
class Seen:
    """The world as observed just now."""

    champion: str | None = None
    """The version that the alias names."""
    asked: str | None = None
    """The candidate that the stack asks for; None asks for nothing."""
    strategy: str = "rolling"
    command: Command | None = None
    versions: Mapping[str, str | None] = ()  # type: ignore[assignment]
    """The ``slipway.release`` tag (or None) of every existing version among those of `interesting`."""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Smoke:
    """Load the version and let it answer a request; the result is the next observation's verdict."""

    version: str


@dataclass(frozen=True)
class Promote:
    """Let the alias ``champion`` name the version."""

    version: str


@dataclass(frozen=True)
class Tag:
    """Set the version's ``slipway.release`` tag."""

    version: str
    value: str


Action = Smoke | Promote | Tag
Step = tuple[State, tuple[Action, ...]]


def interesting(state: State, champion: str | None, asked: str | None) -> set[str]:
    """Return the versions whose existence and tag the next step may need to know."""
    names = {asked, state.previous, state.champion, champion}
    if state.intent is not None:
        names |= {state.intent.to, state.intent.frm}
    return {name for name in names if name is not None}


def step(state: State, seen: Seen, now: str) -> Step:
    """Return the next state, and what to do once it is saved; the same arguments give the same answer.

    Returning the state unchanged and no actions means that nothing is to be done.
    """
    for move in (_finish, _notice, _obey, _ask, _strategy):
        done = move(state, seen, now)
        if done is not None:
            after, actions = done
            return (after if after == state else replace(after, updated_at=now)), actions
    return state, ()


def _finish(state: State, seen: Seen, now: str) -> Step | None:
    """Carry out the intent that was saved, until its effect is seen; then record it."""
    intent = state.intent
    if intent is None:
        return None
    if fault := _overtaken(intent, seen):
        return _abandon(state, intent, seen, fault)
    tags = _tags(seen, (intent.frm, intent.leaves), (intent.to, "champion"))
    if intent.to is not None and seen.champion != intent.to:
        return state, (*tags[:-1], Promote(intent.to), *tags[-1:])
    if tags:
        return state, tags
    event = Event(state.epoch + 1, now, state.champion, intent.to, intent.by, intent.reason)
    after = replace(
        state,
        epoch=event.epoch,
        champion=intent.to,
        previous=_before(state, intent) if intent.leaves == "rolled_back" else state.champion,
        history=(*state.history, event)[-HISTORY:],
        intent=None,
    )
    released = after.candidate is not None and after.candidate == intent.to
    return (replace(after, phase="released", reason=None) if released else after), ()


def _overtaken(intent: Intent, seen: Seen) -> str | None:
    """Return why an intent must not be carried out any more, or None."""
    if seen.champion == intent.to:
        return None
    if intent.noticed or seen.champion != intent.frm:
        return "the champion was moved by a person meanwhile"
    if intent.to is None or intent.to not in seen.versions or seen.versions[intent.to] in BARRED:
        return f"version {intent.to} may not be released any more"
    return None


def _abandon(state: State, intent: Intent, seen: Seen, fault: str) -> Step:
    """Take back tags that the intent may have set, then forget it; where the alias is now is noticed next."""
    untrue = [(v, "retired") for v in (intent.to, intent.frm) if v is not None and seen.versions.get(v) == "champion"]
    tags = _tags(seen, *((v, tag) for v, tag in untrue if v != seen.champion))
    if seen.champion == intent.frm:
        tags += _tags(seen, (intent.frm, "champion"))
    if tags:
        return state, tags
    after = replace(state, intent=None)
    refused = state.phase == "testing" and not intent.noticed
    return (replace(after, phase="refused", reason=fault) if refused else after), ()


def _tags(seen: Seen, *wanted: tuple[str | None, str]) -> tuple[Action, ...]:
    """Return what must be tagged; a version that is gone cannot be, and a barred one stays barred."""
    return tuple(
        Tag(version, value)
        for version, value in wanted
        if version is not None and version in seen.versions and seen.versions[version] not in BARRED | {value}
    )


def _notice(state: State, seen: Seen, now: str) -> Step | None:  # noqa: ARG001  all moves are called alike
    """See that somebody else moved the alias: an intent that is carried out but for tags and record."""
    if seen.champion == state.champion:
        return None
    reason = "found when the controller first started" if state.epoch == 0 else "the alias was moved"
    return replace(state, intent=Intent(seen.champion, state.champion, "person", reason, "retired", noticed=True)), ()


def _obey(state: State, seen: Seen, now: str) -> Step | None:
    """Execute a command that was not seen before."""
    command = seen.command
    if command is None or command.id == state.last_command:
        return None
    state = replace(state, last_command=command.id)
    fault = _fault_of(command, state, seen)
    if fault is not None or state.previous is None:
        event = Event(state.epoch, now, state.champion, state.champion, command.by, fault or "")
        return replace(state, history=(*state.history, event)[-HISTORY:]), ()
    reason = command.reason or "rolled back"
    return replace(state, intent=Intent(state.previous, state.champion, command.by, reason, "rolled_back")), ()


def _fault_of(command: Command, state: State, seen: Seen) -> str | None:
    if command.action != "rollback":
        return f"refused: the command {command.action} is unknown"
    if state.previous is None:
        return "refused: there is no earlier champion to roll back to"
    if state.previous not in seen.versions:
        return f"refused: version {state.previous} no longer exists"
    if seen.versions[state.previous] in BARRED:
        return f"refused: version {state.previous} is tagged {seen.versions[state.previous]}"
    return None


def _ask(state: State, seen: Seen, now: str) -> Step | None:  # noqa: ARG001  all moves are called alike
    """Take up a candidate that was not asked for before; None asks for nothing."""
    if seen.asked is None or seen.asked == state.candidate:
        return None
    state = replace(state, candidate=seen.asked, challenger=None, reason=None)
    fault = _bar(seen.asked, seen)
    if seen.strategy not in STRATEGIES:
        fault = f"release strategy {seen.strategy} is unknown, use one of {', '.join(STRATEGIES)}"
    if fault is not None:
        return replace(state, phase="refused", reason=fault), ()
    if seen.asked == seen.champion:
        return replace(state, phase="released"), ()
    return replace(state, phase="testing"), ()


def _strategy(state: State, seen: Seen, now: str) -> Step | None:
    return STRATEGIES.get(seen.strategy, _rolling)(state, seen, now)


def _rolling(state: State, seen: Seen, now: str) -> Step | None:  # noqa: ARG001  all strategies are called alike
    """Make the candidate champion once it has passed its smoke test."""
    if state.phase != "testing" or state.candidate is None:
        return None
    fault = _bar(state.candidate, seen) if state.candidate == seen.asked else None
    if fault is not None:
        return replace(state, phase="refused", reason=fault), ()
    if seen.verdict is None or seen.verdict.version != state.candidate:
        return state, (Smoke(state.candidate),)
    if not seen.verdict.passed:
        return replace(state, phase="failed", reason=seen.verdict.reason), (Tag(state.candidate, "failed"),)
    return replace(
        state, intent=Intent(state.candidate, state.champion, "controller", "rolling release", "retired")
    ), ()


STRATEGIES: Mapping[str, Callable[[State, Seen, str], Step | None]] = {"rolling": _rolling}
"""How a candidate that may be released becomes champion, by the name in the stack's ``release.strategy``."""


def _bar(version: str, seen: Seen) -> str | None:
    if version not in seen.versions:
        return f"the registry has no version {version}"
    if seen.versions[version] in BARRED:
        return f"version {version} is tagged {seen.versions[version]}, so it is not released again"
    return None


def _before(state: State, intent: Intent) -> str | None:
    """Return the champion before the one that a rollback restores, for a second rollback; None when unknown."""
    for event in reversed(state.history):
        if event.to == intent.to and event.frm not in {intent.to, intent.frm}:
            return event.frm
    return None
