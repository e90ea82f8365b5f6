"""Releases as a pure state machine: ``step(state, seen, now) -> (state, actions)``.

The runner (`serving.controller`) observes, steps, saves a changed state *before* it performs the actions, and
begins again.  An alias is moved only under a saved intent, and an intent ends only when its effect is observed;
so a crash between any two lines is finished, never repeated and never undone, by whoever steps next.
This module must not do or read anything: no clock, no network, no logging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

CONTRACT = 1
HISTORY = 20
BARRED = frozenset({"rolled_back", "rejected"})
"""A version whose ``slipway.release`` tag is one of these is never made champion by the controller."""

Phase = Literal["idle", "testing", "released", "failed", "refused"]


@dataclass(frozen=True)
class Intent:
    """A move of the champion that has been decided, and is carried out until it is seen to have happened."""

    to: str
    frm: str | None
    by: str
    reason: str
    leaves: str
    """The tag that ``frm`` gets: retired or rolled_back."""


@dataclass(frozen=True)
class Event:
    """One move of the champion, or a refused one (then ``to`` equals ``frm``)."""

    epoch: int
    at: str
    frm: str | None
    to: str | None
    by: str
    reason: str


@dataclass(frozen=True)
class State:
    """What the controller remembers; kept in the tag ``slipway.release.state`` of the registered model."""

    epoch: int = 0
    candidate: str | None = None
    phase: Phase = "idle"
    reason: str | None = None
    champion: str | None = None
    previous: str | None = None
    challenger: str | None = None
    last_command: str | None = None
    history: tuple[Event, ...] = ()
    intent: Intent | None = None
    updated_at: str | None = None


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
    intent = state.intent
    names = {asked, state.previous, state.champion, champion, intent and intent.to, intent and intent.frm}
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
    """Carry out the intent that was saved, or end it once its effect is seen."""
    intent = state.intent
    if intent is None:
        return None
    if seen.champion not in {intent.to, intent.frm}:  # a person moved the alias elsewhere: that stands
        return _settle(replace(state, intent=None), "refused", "the champion was moved by a person meanwhile")
    if seen.champion != intent.to and (intent.to not in seen.versions or seen.versions[intent.to] in BARRED):
        return _settle(replace(state, intent=None), "refused", f"version {intent.to} may not be released any more")
    wanted = [(intent.to, "champion")]
    if intent.frm in seen.versions and seen.versions[intent.frm] not in BARRED:
        wanted.insert(0, (intent.frm, intent.leaves))
    tags = tuple(Tag(version, value) for version, value in wanted if seen.versions.get(version) != value)
    if seen.champion != intent.to:
        return state, (*tags[:-1], Promote(intent.to), *tags[-1:])
    if tags:
        return state, tags
    after = _moved(state, intent.to, now, by=intent.by, reason=intent.reason)
    if intent.leaves == "rolled_back":
        after = replace(after, previous=_before(state, intent.to, intent.frm))
    after = replace(after, intent=None)
    return (replace(after, phase="released", reason=None) if after.candidate == intent.to else after), ()


def _notice(state: State, seen: Seen, now: str) -> Step | None:
    """Record a champion that somebody else moved, and tag the versions accordingly."""
    if seen.champion == state.champion:
        return None
    first = state.epoch == 0
    reason = "found when the controller first started" if first else "the alias was moved"
    after = _moved(state, seen.champion, now, by="person", reason=reason)
    if after.candidate is not None and after.candidate == seen.champion and after.phase == "testing":
        after = replace(after, phase="released", reason=None)
    tags = ((state.champion, "retired"), (seen.champion, "champion"))
    return after, tuple(
        Tag(version, value)
        for version, value in tags
        if version is not None and version in seen.versions and seen.versions[version] not in BARRED | {value}
    )


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


def _settle(state: State, phase: Phase, reason: str) -> Step:
    unfinished = state.phase == "testing"
    return (replace(state, phase=phase, reason=reason) if unfinished else state), ()


def _moved(state: State, to: str | None, now: str, *, by: str, reason: str) -> State:
    epoch = state.epoch + 1
    event = Event(epoch, now, state.champion, to, by, reason)
    history = (*state.history, event)[-HISTORY:]
    return replace(state, epoch=epoch, champion=to, previous=state.champion, history=history)


def _before(state: State, version: str, left: str | None) -> str | None:
    """Return the champion before ``version`` became one, for a second rollback; None when unknown."""
    for event in reversed(state.history):
        if event.to == version and event.frm not in {version, left}:
            return event.frm
    return None


def to_json(state: State) -> dict[str, Any]:
    """Return the state as the JSON value of its tag."""
    value = {"contract": CONTRACT, **asdict(state)}
    value["history"] = [_rename(event, "frm", "from") for event in value["history"]]
    value["intent"] = _rename(value["intent"], "frm", "from") if value["intent"] else None
    return value


def from_json(value: Mapping[str, Any]) -> State:
    """Return the state in the JSON value of its tag; keys of later versions are ignored.

    Raises:
        ValueError: it was written under another contract.
    """
    if value.get("contract") != CONTRACT:
        raise ValueError(f"release state has contract {value.get('contract')!r}, this code reads {CONTRACT}")
    fields = {key: value[key] for key in State.__dataclass_fields__ if key in value}
    fields["history"] = tuple(Event(**_rename(event, "from", "frm")) for event in value.get("history", ()))
    intent = value.get("intent")
    fields["intent"] = Intent(**_rename(intent, "from", "frm")) if intent else None
    return State(**fields)


def _rename(value: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: item for key, item in value.items()}
