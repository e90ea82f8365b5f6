"""What an update would change, and which changes need a new resource. Pure.

The state (what the API told last) is compared with the new inputs, so that drift shows; a property that was never given
and that the service chooses is no difference (the official schema's Optional and Computed).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.standins.aws_plugin.fields import F, Fields, Values, covers, is_empty, same
from tests.standins.plugin.paths import Change, Path, parse_path
from tests.standins.plugin.values import Unknown, contains


@dataclass(frozen=True)
class Difference:
    """All differences of one resource."""

    changes: tuple[Change, ...]
    delete_first: bool

    @property
    def names(self) -> frozenset[str]:
        return frozenset(str(change.path[0]) for change in self.changes)

    @property
    def replaces(self) -> list[str]:
        return [change.text for change in self.changes if change.replaces]


def compare(fields: Fields, state: Values, old: Values, new: Values, name_field: str, *, leaf: bool) -> Difference:
    """Compare a state with new inputs.

    Args:
        fields: the resource's properties.
        state: what it is.
        old: the inputs that made it so.
        new: the inputs that it shall have, ignored ones as they are.
        name_field: the property that must be unique; empty: none.
        leaf: whether two of them cannot be told apart, so that the old one has to go first.
    """
    changes = tuple(_object(fields, (), state, old, new, force=False))
    replaces = any(change.replaces for change in changes)
    # provider/pkg/tfbridge, nameRequiresDeleteBeforeReplace: the new one needs the name that the user gave both
    taken = bool(name_field) and name_field in new and same(F(), state.get(name_field), new[name_field])
    return Difference(changes, delete_first=replaces and (leaf or taken))


def _object(fields: Fields, path: Path, state: Values, old: Values, new: Values, *, force: bool) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        field = fields.get(name)
        if field is None or field.output:
            continue
        if name in new:
            yield from _value(field, (*path, name), state.get(name), old.get(name), new[name], force=force or field.new)
        elif not field.computed and not is_empty(state.get(name)):
            yield Change((*path, name), "delete", force or field.new)


def _value(field: F, path: Path, state: Any, old: Any, new: Any, *, force: bool) -> Iterator[Change]:
    if isinstance(new, Unknown):
        inside = field.sub is not None and any(item.new for item in field.sub.values())
        yield Change(path, "add" if state is None else "update", force or (inside and not field.many))
    elif field.sub is not None and isinstance(new, dict) and isinstance(state, dict):
        yield from _object(field.sub, path, state, old if isinstance(old, dict) else {}, new, force=force)
    elif field.sub is None and isinstance(new, dict) and isinstance(state, dict):
        yield from _mapping(path, state, new, force=force)
    elif isinstance(new, list) and isinstance(state, list):
        yield from _list(field, path, state, old if isinstance(old, list) else [], new, force=force)
    elif contains(new, Unknown) or not same(field, state, new):
        yield Change(path, "add" if is_empty(state) else "update", force)


def _mapping(path: Path, state: Values, new: Values, *, force: bool) -> Iterator[Change]:
    for key in sorted({*state, *new}):
        if key not in new:
            yield Change((*path, key), "delete", force)
        elif isinstance(new[key], Unknown) or key not in state or not same(F(), state[key], new[key]):
            yield Change((*path, key), "update" if key in state else "add", force)


def _list(field: F, path: Path, state: list[Any], old: list[Any], new: list[Any], *, force: bool) -> Iterator[Change]:
    if not contains(new, Unknown) and (_same_items(field, state, new) if field.sub else same(field, state, new)):
        return
    if len(state) != len(new):
        yield Change(path, "update", force)
        return
    item = F(sub=field.sub)
    for index, value in enumerate(new):
        before = old[index] if index < len(old) else None
        yield from _value(item, (*path, index), state[index], before, value, force=force)


def _same_items(field: F, state: list[Any], new: list[Any]) -> bool:
    """Whether each wanted object is there, in any order where order means nothing; the service may know more of it."""
    assert field.sub is not None
    if len(state) != len(new):
        return False
    rest = list(state)
    for wanted in new:
        found = next((index for index, item in enumerate(rest) if covers(field.sub, item, wanted)), None)
        if found is None or (found > 0 and not field.unordered):
            return False
        del rest[found]
    return True


def with_ignored(new: Values, state: Values, ignored: Sequence[str]) -> Values:
    """Return the new inputs with what the program does not care about as it is."""
    result = copy.deepcopy(new)
    for text in ignored:
        *way, last = parse_path(text)
        place: Any = result
        real: Any = state
        for step in way:
            place, real = _inside(place, step), _inside(real, step)
        value = _inside(real, last)
        if isinstance(place, dict):
            place.pop(str(last), None)
            if value is not None:
                place[str(last)] = copy.deepcopy(value)
        elif isinstance(place, list) and isinstance(last, int) and last < len(place) and value is not None:
            place[last] = copy.deepcopy(value)
    return result


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None
