"""How the properties of a resource are called at the API, and back again. Pure; knows no service."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]
Fields = Mapping[str, "F"]


@dataclass(frozen=True, kw_only=True)
class F:
    """One property.

    Attributes:
        api: its path at the API, dotted; empty: the property's own name in the service's style.
        new: whether its change replaces the resource (ForceNew in the official schema).
        computed: whether the service chooses a value where none is given, which then is no difference.
        default: the official schema's default, which becomes an input.
        required: whether there is no resource without it.
        local: it steers the plugin and reaches no call.
        unordered: a list whose order means nothing.
        text: a JSON document as text, equal when it means the same.
        form: makes of a value what is compared.
        sub: the properties of an object, or of each object of a list.
        many: whether it is a list of such objects.
        output: it is only ever read.
        once: the API never tells it; the state keeps what was given.
        to: makes the API's value of the property's; `back` the other way.
    """

    api: str = ""
    new: bool = False
    computed: bool = False
    default: Any = None
    required: bool = False
    local: bool = False
    unordered: bool = False
    text: bool = False
    form: Callable[[Any], Any] | None = None
    sub: Fields | None = None
    many: bool = False
    output: bool = False
    once: bool = False
    to: Callable[[Any], Any] | None = None
    back: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Style:
    """How a service writes names: `Pascal`, or as properties are."""

    pascal: bool

    def path(self, name: str, field: F) -> list[str]:
        return (field.api or (name[:1].upper() + name[1:] if self.pascal else name)).split(".")


PASCAL, CAMEL = Style(pascal=True), Style(pascal=False)


def encode(fields: Fields, values: Values, style: Style) -> Values:
    """Return the API's parameters of some properties."""
    params: Values = {}
    for name, value in values.items():
        field = fields[name]
        if field.local or field.output:
            continue
        *way, last = style.path(name, field)
        place = params
        for step in way:
            place = place.setdefault(step, {})
        place[last] = _encoded(field, value, style)
    return params


def _encoded(field: F, value: Any, style: Style) -> Any:
    if field.to is not None:
        return field.to(value)
    if field.sub is not None and field.many:
        return [encode(field.sub, item, style) for item in value]
    if field.sub is not None:
        return encode(field.sub, value, style)
    return value


def decode(fields: Fields, found: Values, style: Style) -> Values:
    """Return the properties in an answer of the API."""
    values = {}
    for name, field in fields.items():
        if field.local or field.once:
            continue
        value: Any = found
        for step in style.path(name, field):
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            value = _decoded(field, value, style)
        if value is not None:
            values[name] = value
    return values


def _decoded(field: F, value: Any, style: Style) -> Any:
    if field.back is not None:
        return field.back(value)
    if field.sub is not None and field.many:
        return [decode(field.sub, item, style) for item in value]
    if field.sub is not None:
        return decode(field.sub, value, style)
    if field.text and not isinstance(value, str):
        return json.dumps(value, separators=(",", ":"))
    return value


def is_empty(value: Any) -> bool:
    """Whether a value is what its absence means: the official schema does not tell zero from unset."""
    return value is None or value is False or value in ("", 0) or value in ([], {})


def same(field: F, one: Any, other: Any) -> bool:
    """Whether two values of a property mean the same."""
    if is_empty(one) or is_empty(other):
        return is_empty(one) and is_empty(other)
    if field.form is not None:
        one, other = field.form(one), field.form(other)
    if one == other and isinstance(one, bool) == isinstance(other, bool):
        return True
    if isinstance(one, list) and isinstance(other, list):
        return _same_lists(field, one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same((field.sub or {}).get(key, F()), one.get(key), other.get(key)) for key in {*one, *other})
    return _same_texts(field, one, other)


def _same_texts(field: F, one: Any, other: Any) -> bool:
    if field.text:
        return _parsed(one) is not None and _parsed(one) == _parsed(other)
    kinds = (str, int, float)
    # "443" and 443 are one value to the API
    return isinstance(one, kinds) and isinstance(other, kinds) and str(one) == str(other)


def _same_lists(field: F, one: list[Any], other: list[Any]) -> bool:
    item = F(sub=field.sub)
    if len(one) != len(other):
        return False
    if not field.unordered:
        return all(same(item, left, right) for left, right in zip(one, other, strict=True))
    rest = list(other)
    for left in one:
        found = next((index for index, right in enumerate(rest) if same(item, left, right)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _parsed(text: Any) -> Any:
    try:
        return _canonical(json.loads(text))
    except (TypeError, ValueError):
        return None


def _canonical(value: Any) -> Any:
    """Return a document with what policy documents allow in two ways in one: `[x]` is `x`, lists of texts are sets."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_canonical(item) for item in value]
        if all(isinstance(item, str) for item in items):
            items = sorted(items)
        return items[0] if len(items) == 1 else items
    return value


def spelled(fields: Fields, found: Values, known: Values) -> Values:
    """Return properties with each value that means what is known already in the known spelling and order.

    What the API never tells, or leaves out because it is empty, is as known.
    """
    result = {name: _spelled(fields.get(name, F()), value, known.get(name)) for name, value in found.items()}
    for name, value in known.items():
        field = fields.get(name)
        if field is not None and name not in result and (field.local or field.once or is_empty(value)):
            result[name] = value
    return result


def _spelled(field: F, found: Any, known: Any) -> Any:
    if known is None:
        return found
    if field.sub is not None and isinstance(found, dict) and isinstance(known, dict):
        return spelled(field.sub, found, known)
    if field.many and field.sub is not None and isinstance(known, list) and isinstance(found, list):
        return _spelled_list(field, found, known)
    return known if same(field, found, known) else found


def _spelled_list(field: F, found: list[Any], known: list[Any]) -> list[Any]:
    """Return objects in the known order where each one's known part is found, else as found."""
    assert field.sub is not None
    if len(found) != len(known):
        return found
    rest, ordered = list(found), []
    for old in known:
        index = next((i for i, new in enumerate(rest) if covers(field.sub, new, old)), None) if field.unordered else 0
        if index is None:
            return found
        ordered.append(spelled(field.sub, rest.pop(index), old))
    return ordered


def covers(fields: Fields, found: Values, known: Values) -> bool:
    """Whether what was found has everything that is known, whatever it has besides."""
    for key, value in known.items():
        field, there = fields.get(key, F()), found.get(key)
        if field.sub is not None and isinstance(value, dict) and isinstance(there, dict):
            if not covers(field.sub, there, value):
                return False
        elif not same(field, there, value):
            return False
    return True


def pruned(fields: Fields, found: Values, given: Values) -> Values:
    """Return of what is found the part that was given, at every depth: the inputs as they are now."""
    kept = {}
    for name, wanted in given.items():
        if name not in found:
            if name in fields and (fields[name].local or fields[name].once or is_empty(wanted)):
                kept[name] = wanted
            continue
        value, field = found[name], fields.get(name, F())
        if field.sub is not None and isinstance(value, dict) and isinstance(wanted, dict):
            value = pruned(field.sub, value, wanted)
        elif field.sub is not None and isinstance(value, list) and isinstance(wanted, list):
            pairs = zip(value, wanted, strict=True) if len(value) == len(wanted) else [(item, item) for item in value]
            value = [pruned(field.sub, item, old) for item, old in pairs]
        kept[name] = value
    return kept
