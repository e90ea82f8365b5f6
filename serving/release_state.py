"""What the release controller remembers, and its JSON form in the registered model's ``slipway.release.state`` tag.

Plain data; what it means and how it changes is `serving.release`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

CONTRACT = 1
HISTORY = 20
"""How many moves of the champion are remembered."""

Phase = Literal["idle", "testing", "released", "failed", "refused"]


@dataclass(frozen=True)
class Intent:
    """A move of the champion that has been decided, and is carried out until it is seen to have happened."""

    to: str | None
    frm: str | None
    by: str
    reason: str
    leaves: str
    """The tag that ``frm`` gets: retired or rolled_back."""
    noticed: bool = False
    """Somebody else moved the alias already: tags and the record follow, the alias is left alone."""


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
