"""The engine's requests, answered. Owns what a resource's state looks like; the calls are the rows'."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.standins.aws_plugin.api import Api, ApiError
from tests.standins.aws_plugin.difference import Difference, compare, with_ignored
from tests.standins.aws_plugin.fields import Values, decode, pruned, spelled
from tests.standins.aws_plugin.inputs import MADE_UP, completed, planned, with_name
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_plugin.settings import Settings, parse_settings
from tests.standins.aws_plugin.table import row_of
from tests.standins.plugin.refused import InitFailed, Refused
from tests.standins.plugin.values import UNKNOWN, Secret, contains, plain

_PATIENCE_S = 600.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0


@dataclass(frozen=True)
class Found:
    """What a read found; an empty identity says that it is gone."""

    identity: str
    state: Values
    inputs: Values


GONE = Found("", {}, {})


class Provider:
    """One configured provider."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.settings = Settings()
        self._api = Api(self.settings)

    def configure(self, given: Mapping[str, Any]) -> str:
        """Take the configuration; return the words with which this plugin names itself. Calls nothing."""
        self.settings = parse_settings(plain(given))
        self._api = Api(self.settings)
        where = (
            f"{len(self.settings.endpoints)} endpoints on this machine" if self.settings.endpoints else "no endpoint"
        )
        return f"region {self.settings.region or 'not known yet'}, {where}"

    def check(self, urn: str, old: Values, given: Values, seed: bytes) -> Values:
        """Complete the inputs, or refuse them."""
        row = row_of(urn)
        named = with_name(row, plain(given), plain(old), urn.rsplit("::", 1)[1], seed)
        return _marked(completed(row, named, self.settings), given)

    def diff(self, urn: str, state: Values, old: Values, new: Values, ignored: Sequence[str]) -> Difference:
        """Compare the last known state with new inputs."""
        row = row_of(urn)
        wanted = with_ignored(plain(new), plain(state), ignored)
        return _difference(row, plain(state), plain(old), wanted)

    def create(self, urn: str, given: Values, timeout_s: float, *, preview: bool) -> tuple[str, Values]:
        """Create a resource and wait for it."""
        row, inputs = row_of(urn), plain(given)
        if preview:
            return "", _marked(planned(row, inputs), given)
        work = self._work(row, inputs, {}, "", timeout_s)
        try:
            work.id = row.create(work)
            if row.tagging is not None and row.tagging.given is None and inputs.get("tagsAll"):
                row.tagging.change(work, inputs["tagsAll"], ())
            if row.wait is not None:
                row.wait(work)
            _check_reached(row, work, [*inputs])
            return work.id, self._state(work, _read(row, work), inputs, given)
        except Refused as error:
            if not work.id:
                raise
            state = self._left(row, work, inputs, given)
            raise InitFailed(f"{row.token} {work.id} was made, but: {error}", work.id, state, None, []) from error

    def _left(self, row: Row, work: Work, inputs: Values, given: Values) -> Values:
        """Return the state of what was made before something failed, as far as it can be told."""
        try:
            return self._state(work, _read(row, work), inputs, given)
        except Refused:
            return _marked(inputs, given)

    def update(
        self,
        urn: str,
        identity: str,
        state: Values,
        old: Values,
        given: Values,
        *,
        ignored: Sequence[str],
        timeout_s: float,
        preview: bool,
    ) -> Values:
        """Change a resource and wait for it."""
        row, before = row_of(urn), plain(state)
        inputs = with_ignored(plain(given), before, ignored)
        names = _difference(row, before, plain(old), inputs).names
        if preview:
            moving = dict.fromkeys(row.moving, UNKNOWN) if names - {"tags", "tagsAll"} else {}
            return _marked({**before, **inputs, **moving}, given)
        work = self._work(row, inputs, before, identity, timeout_s)
        work.changed = names
        if names - {"tags", "tagsAll"} and row.update is not None:
            row.update(work)
        if row.tagging is not None and names & {"tags", "tagsAll"}:
            _change_tags(row, work, before.get("tagsAll") or {}, inputs.get("tagsAll") or {})
        if row.wait is not None:
            row.wait(work)
        _check_reached(row, work, names)
        return self._state(work, _read(row, work), inputs, given)

    def read(self, urn: str, identity: str, state: Values, given: Values, timeout_s: float) -> Found:
        """Return what there is, and the inputs that would make it so."""
        row, known = row_of(urn), plain(state)
        old = plain(given)
        work = self._work(row, old, known, identity, timeout_s)
        try:
            found = row.read(work)
        except ApiError as error:
            if not error.is_gone:
                raise
            found = None
        if found is None:
            return GONE
        now = self._state(work, found, {**known, **old}, {**state, **given})
        inputs = pruned(row.all_fields, plain(now), old) if old else _as_inputs(row, plain(now))
        if MADE_UP in old:  # else the next check would make up another name, which replaces
            inputs[MADE_UP] = old[MADE_UP]
        return Found(identity, now, _marked(inputs, given))

    def delete(self, urn: str, identity: str, state: Values, timeout_s: float) -> None:
        """Delete a resource, again and again while another one needs it; what is gone is fine."""
        row = row_of(urn)
        work = self._work(row, {}, plain(state), identity, timeout_s)
        end, pause = time.monotonic() + work.timeout_s, _PAUSE_S
        while True:
            try:
                row.delete(work)
            except ApiError as error:
                if error.is_gone and _is_gone(row, work):
                    return
                if not error.is_in_use or time.monotonic() > end or self.stop.wait(pause):
                    raise
                pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            else:
                return

    def _work(self, row: Row, new: Values, old: Values, identity: str, timeout_s: float) -> Work:
        region = str(new.get("region") or old.get("region") or self.settings.region)
        if not region:
            raise Refused(f"{row.token}: no region: give the provider one")
        return Work(row, self._api, region, self.stop, timeout_s or _PATIENCE_S, new, old, identity)

    def _state(self, work: Work, found: Values, known: Values, given: Values) -> Values:
        """Return a resource's state: what the API tells, in the words of the inputs where they mean the same."""
        row = work.row
        state = decode(row.fields, found, row.style)
        if row.tagging is not None:
            state |= self._tags(row, work, found, known)
        state = spelled(row.all_fields, state, known)
        for name, where in row.computed.items():
            value = where(work, found) if callable(where) else _at(found, where)
            if value is not None:
                state[name] = value
        if row.regional:
            state["region"] = work.region
        return _marked(state, given)

    def _tags(self, row: Row, work: Work, found: Values, known: Values) -> Values:
        assert row.tagging is not None
        there = {key: value for key, value in row.tagging.read(work, found).items() if not key.startswith("aws:")}
        own, defaults = known.get("tags") or {}, self.settings.default_tags
        by_default = {} if not isinstance(defaults, Mapping) else defaults
        tags = {key: value for key, value in there.items() if key in own or by_default.get(key) != value}
        return {"tagsAll": there} | ({"tags": tags} if tags or "tags" in known else {})


def _difference(row: Row, state: Values, old: Values, new: Values) -> Difference:
    chosen = "" if row.name_field in (new.get(MADE_UP) or ()) else row.name_field
    return compare(row.all_fields, state, old, new, chosen, leaf=row.leaf)


def _read(row: Row, work: Work) -> Values:
    found = row.read(work)
    if found is None:
        raise Refused(f"{row.token} {work.id} was made, but the API does not know it")
    return found


def _is_gone(row: Row, work: Work) -> bool:
    """Whether it is the thing itself that is not there, and not one that it takes to delete it."""
    try:
        return row.read(work) is None
    except ApiError as error:
        if error.is_gone:
            return True
        raise


def _change_tags(row: Row, work: Work, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    assert row.tagging is not None
    work.reached.update(("tags", "tagsAll"))
    added = {key: value for key, value in after.items() if before.get(key) != value}
    removed = [key for key in before if key not in after]
    if added or removed:
        row.tagging.change(work, added, removed)


def _check_reached(row: Row, work: Work, names: Collection[str]) -> None:
    """Refuse to drop a property silently: each that is set or changed must have gone into a call."""
    if row.tagging is not None and row.tagging.given is None:
        work.reached.update(("tags", "tagsAll"))
    fields = row.all_fields
    dropped = sorted(name for name in names if name not in work.reached and name in fields and not fields[name].local)
    if dropped:
        raise Refused(f"{row.token} {work.id}: {', '.join(dropped)} reached no call of the API")


def _at(found: Values, path: str) -> Any:
    value: Any = found
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _as_inputs(row: Row, state: Values) -> Values:
    return {name: state[name] for name, field in row.all_fields.items() if name in state and not field.output}


def _marked(values: Values, given: Values) -> Values:
    """Return values with those secret whose input is, at the top: a property is secret as a whole."""
    return {
        name: Secret(value) if contains(given.get(name), Secret) and not isinstance(value, Secret) else value
        for name, value in values.items()
    }
