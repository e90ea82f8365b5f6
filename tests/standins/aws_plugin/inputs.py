"""What inputs may be, what they become before anything is called, and what a preview can tell of a state. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from tests.standins.aws_plugin.fields import F, Fields, Values
from tests.standins.aws_plugin.row import Row
from tests.standins.aws_plugin.settings import Settings
from tests.standins.plugin.refused import Refused
from tests.standins.plugin.values import UNKNOWN, Unknown

MADE_UP = "__defaults"
"""Names the inputs that nobody gave; the official plugin's own way of telling (pkg/tfbridge, schema.go)."""
_RANDOM = 7


def completed(row: Row, given: Values, settings: Settings) -> Values:
    """Return inputs with defaults, region and all tags, or refuse them with everything that is wrong."""
    wrong = list(_problems(row.all_fields, given, row.token))
    if wrong:
        raise Refused(f"{row.token}: {'; '.join(wrong)}")
    inputs = _with_defaults(row.fields, given)
    if row.tagging is not None:
        inputs["tagsAll"] = settings.merged_tags(given.get("tags"))  # provider/tags.go, applyTags
    if row.regional and settings.region:
        inputs.setdefault("region", settings.region)  # provider/region.go
    return inputs


def with_name(row: Row, given: Values, old: Values, name: str, seed: bytes) -> Values:
    """Return inputs with a name, where the program gave none: that of the resource and a few random digits.

    Once made up it stays (provider/autonaming.go; pkg/tfbridge, FromName).
    """
    if not row.name_field or row.name_field in given:
        return given
    if not row.names_itself:
        raise Refused(f"{row.token}: `{row.name_field}` is missing: the official plugin makes none up either")
    kept = row.name_field in (old.get(MADE_UP) or ()) and old.get(row.name_field)
    made = kept or f"{name}-{hashlib.sha256(seed).hexdigest()[:_RANDOM]}"
    return {**given, row.name_field: made, MADE_UP: [row.name_field]}


def _problems(fields: Fields, given: Values, place: str) -> Iterator[str]:
    for name, value in given.items():
        field = fields.get(name)
        if name == MADE_UP:
            continue
        if field is None or field.output:
            yield f"the row of the table knows no property `{name}` of {place}"
        elif field.sub is not None and not isinstance(value, Unknown):
            yield from _inner_problems(field, value, f"{place}.{name}")
    for name, field in fields.items():
        if field.required and name not in given:
            yield f"`{name}` of {place} is required"


def _inner_problems(field: F, value: Any, place: str) -> Iterator[str]:
    assert field.sub is not None
    if field.many and not isinstance(value, list):
        yield f"`{place}` must be a list"
    elif not field.many and not isinstance(value, dict):
        yield f"`{place}` must be an object"
    for item in value if field.many and isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield from _problems(field.sub, item, place)


def _with_defaults(fields: Fields, given: Values) -> Values:
    result = {name: field.default for name, field in fields.items() if field.default is not None}
    for name, value in given.items():
        field = fields.get(name, F())
        if field.sub is not None and isinstance(value, dict):
            value = _with_defaults(field.sub, value)  # noqa: PLW2901
        elif field.sub is not None and isinstance(value, list):
            value = [_with_defaults(field.sub, item) if isinstance(item, dict) else item for item in value]  # noqa: PLW2901
        result[name] = value
    return result


def planned(row: Row, inputs: Values) -> Values:
    """Return what a preview can tell of a resource that does not exist: its inputs, and that the rest is unknown."""
    return {**dict.fromkeys(row.computed, UNKNOWN), **_planned(row.all_fields, inputs)}


def _planned(fields: Fields, inputs: Values) -> Values:
    result: Values = {name: UNKNOWN for name, field in fields.items() if field.computed or field.output}
    for name, value in inputs.items():
        sub = fields.get(name, F()).sub
        if sub is not None and isinstance(value, dict):
            result[name] = _planned(sub, value)
        elif sub is not None and isinstance(value, list):
            result[name] = [_planned(sub, item) if isinstance(item, dict) else item for item in value]
        else:
            result[name] = value
    return result
