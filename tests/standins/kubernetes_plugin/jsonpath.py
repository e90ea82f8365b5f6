"""The conditions of `pulumi.com/waitFor`: `jsonpath={.path}[=value]`, `condition=Type[=Status]`, or a JSON array.

Source: provider/pkg/metadata/overrides.go, provider/pkg/jsonpath, provider/pkg/await/condition/custom.go. Of JSONPath,
names, indices and `[?(@.name=="text")]` are known; anything else is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.standins.plugin.refused import Refused

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][\w-]*)
      | \[(?P<quote>['"])(?P<quoted>[^'"]+)(?P=quote)\]
      | \[(?P<index>\d+)\]
      | \[\?\(?\s*@\.(?P<key>[\w.-]+)\s*==\s*(?P<mark>['"])(?P<text>[^'"]*)(?P=mark)\s*\)?\]""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Found:
    """Whether a condition holds, and what to say while it does not."""

    holds: bool
    message: str


Condition = Callable[[Any], Found]


def parse_conditions(text: str) -> list[Condition]:
    """Read the annotation's value."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = [text]
    expressions = parsed if isinstance(parsed, list) and all(isinstance(item, str) for item in parsed) else [text]
    if not expressions:
        raise Refused("pulumi.com/waitFor: at least one condition must be specified")
    return [_parse(expression) for expression in expressions]


def _parse(expression: str) -> Condition:
    prefix, _, rest = expression.partition("=")
    if prefix == "jsonpath":
        return _parse_path(rest)
    if prefix == "condition":
        kind, _, status = rest.partition("=")
        return lambda obj: _has_condition(obj, kind, status or "True")
    raise Refused(f'pulumi.com/waitFor: expected a "jsonpath=" or "condition=" prefix, got {expression!r}')


def _parse_path(text: str) -> Condition:
    matched = re.fullmatch(r"\{\s*\$?(?P<path>.*)\}(?:(?P<equals>=)(?P<value>.*))?", text)
    if matched is None:
        raise Refused(f"pulumi.com/waitFor: {text!r} should be wrapped in brackets: jsonpath={{.path}}[=value]")
    path, value = matched["path"].strip(), matched["value"]
    if matched["equals"] and (not value or value.startswith("{") or "=" in value):
        raise Refused(f"pulumi.com/waitFor: {text!r} requires a literal value after `=`")
    steps, position = [], 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise Refused(
                f"pulumi.com/waitFor: the stand-in does not know the JSONPath {path[position:]!r} in {text!r}"
            )
        steps.append(step)
        position = step.end()
    if not steps:
        raise Refused(f"pulumi.com/waitFor: {text!r} selects nothing")
    return lambda obj: _compare(text, select(obj, steps), value)


def select(obj: Any, steps: list[re.Match[str]]) -> list[Any]:
    """Return every value that a path leads to."""
    values = [obj]
    for step in steps:
        values = [found for value in values for found in _follow(value, step)]
    return values


def _follow(value: Any, step: re.Match[str]) -> list[Any]:
    name = step["name"] or step["quoted"]
    if name is not None:
        return [value[name]] if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return []
    if step["index"] is not None:
        return value[int(step["index"]) : int(step["index"]) + 1]
    return [item for item in value if _inner(item, step["key"]) == step["text"]]


def _inner(item: Any, key: str) -> Any:
    for name in key.split("."):
        item = item.get(name) if isinstance(item, dict) else None
    return item


def _compare(text: str, values: list[Any], wanted: str | None) -> Found:
    if not values:
        return Found(False, f"Waiting for {text}: it selected nothing")  # noqa: FBT003
    value = values[0]
    if wanted is None:
        return Found(True, f"Found {text}")  # noqa: FBT003
    if isinstance(value, dict | list):
        raise Refused(f"pulumi.com/waitFor: {text} has a non-primitive value")
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return Found(shown == wanted, f"Waiting for {text} (found {shown!r})")


def _has_condition(obj: Any, kind: str, status: str) -> Found:
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if str(condition.get("type")).lower() == kind.lower():
            holds = str(condition.get("status")).lower() == status.lower()
            said = f"{condition.get('reason') or ''} {condition.get('message') or ''}".strip()
            return Found(
                holds, f"Waiting for condition {kind}={status}: it is {condition.get('status')} {said}".strip()
            )
    return Found(False, f"Waiting for condition {kind}={status}: there is none")  # noqa: FBT003
