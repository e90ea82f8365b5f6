"""What each input must look like, as data, and the problems of given inputs.

Pure.  An unknown value passes: it is looked at again when it is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.provider.values import Properties, has_unknown

LARGEST_INPUTS = 16_000
"""Characters of JSON that the inputs of one resource may have: they are stored in the stack's state."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one input must be."""

    accepts: Callable[[Any], bool]
    says: str
    """Completes the sentence `PROPERTY must be ...`."""
    required: bool = True


@dataclass(frozen=True)
class Problem:
    """One broken rule; `reason` holds value, rule and fix."""

    name: str
    reason: str


def problems(rules: Mapping[str, Rule], values: Properties) -> list[Problem]:
    """Return every problem of `values`, in the order of the rules; unknown names last."""
    found = [problem for name, rule in rules.items() if (problem := _problem(name, rule, values))]
    known = ", ".join(sorted(rules))
    found += [
        Problem(name, f"{name} is not an input; the inputs are {known}") for name in sorted(set(values) - set(rules))
    ]
    if not found and not has_unknown(values) and len(json.dumps(values)) > LARGEST_INPUTS:
        largest = max(values, key=lambda name: len(json.dumps(values[name])))
        found.append(
            Problem(largest, f"{largest} is too large: all inputs together may have {LARGEST_INPUTS} characters")
        )
    return found


def _problem(name: str, rule: Rule, values: Properties) -> Problem | None:
    if name not in values:
        return Problem(name, f"{name} is missing: it must be {rule.says}") if rule.required else None
    value = values[name]
    if has_unknown(value) or rule.accepts(value):
        return None
    return Problem(name, f"{name} must be {rule.says}, and is {json.dumps(value)[:200]}")


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def is_path(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/")


def is_url(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535  # noqa: PLR2004  the range of TCP


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(is_text(item) for item in value)


def is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def is_map(value: Any) -> bool:
    return isinstance(value, dict)


def is_json_object(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), dict)
    except ValueError:
        return False


TEXT = Rule(accepts=is_text, says="text that is not empty")
PATH = Rule(accepts=is_path, says="an absolute path")
URL = Rule(accepts=is_url, says="a URL that begins with http://")
FLAG = Rule(accepts=is_flag, says="true or false")
SECONDS = Rule(accepts=is_seconds, says="a number of seconds above 0")
PORT = Rule(accepts=is_port, says="a port between 1 and 65535")
TEXTS = Rule(accepts=is_texts, says="a list of texts")
TEXT_MAP = Rule(accepts=is_text_map, says="a map from names to texts")
JSON_OBJECT = Rule(accepts=is_json_object, says="a JSON object, as text")
