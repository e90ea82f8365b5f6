"""How problems in a stack file are told: the path, the value, the rule and the fix."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_MISSING = object()
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one setting."""

    path: str
    value: Any
    rule: str
    fix: str

    def __str__(self) -> str:
        value = "" if self.value is _MISSING else f" = {_shown(self.value)}"
        return f"slipway:{self.path}{value}: {self.rule}; fix: {self.fix}"


class ConfigError(Exception):
    """The stack file is wrong; `problems` holds all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the stack file's `config:` (nothing was changed):"
        super().__init__("\n".join([head, *(f"  - {problem}" for problem in self.problems)]))


def explain(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Turn pydantic's errors about `model` into problems."""
    return [_problem(detail, model) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    location = detail["loc"]
    path = ".".join(str(part) for part in location)
    kind = detail["type"]
    if kind == "extra_forbidden":
        valid = _fields_at(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), valid, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        return Problem(path, detail["input"], "is not a known key", f"{guess}Known here: {', '.join(sorted(valid))}")
    if kind == "missing":
        return Problem(path, _MISSING, "is required", f"set it: ./pulumiw config set --path slipway:{path} VALUE")
    rule = detail["msg"].replace("Input should", "must").replace("Value error, ", "")
    return Problem(path, detail["input"], rule, _fix(model, location, path, detail))


def _fix(model: type[BaseModel], location: Sequence[Any], path: str, detail: ErrorDetails) -> str:
    field = _field(model, location)
    if (
        field is not None
        and isinstance(detail["input"], str)
        and detail["type"] in ("int_type", "float_type", "bool_type")
    ):
        return f"write it without quotes ({field})" if field else "write it without quotes"
    if isinstance(detail["input"], int | float) and detail["type"] == "string_type":
        return 'quote it: "..."'
    return f"{field}: change slipway:{path}" if field else f"change slipway:{path}"


def _annotation(model: Any, location: Sequence[Any]) -> Any:
    """Return the type at a location inside nested models, or None."""
    current: Any = model
    for part in location:
        candidates = [current, *typing.get_args(current)] if not isinstance(current, type) else [current]
        models = [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]
        if isinstance(part, int):
            current = next(iter(models), None)
        elif models and part in models[0].model_fields:
            current = models[0].model_fields[part].annotation
        else:
            return None
    return current


def _fields_at(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    found = _annotation(model, location)
    options = [found, *(typing.get_args(found) if isinstance(found, types.UnionType) else [])]
    return [
        name
        for option in options
        if isinstance(option, type) and issubclass(option, BaseModel)
        for name in option.model_fields
    ]


def _field(model: type[BaseModel], location: Sequence[Any]) -> str | None:
    """Return the description of the field at a location; None when there is no such field."""
    if not location:
        return None
    parent = _annotation(model, location[:-1])
    if isinstance(parent, type) and issubclass(parent, BaseModel) and location[-1] in parent.model_fields:
        return parent.model_fields[location[-1]].description or ""
    return None


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
