"""How problems in a stack file are told: the path, the value, the rule and the fix."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from components.settings import Problem

__all__ = ["ConfigError", "Problem", "explain"]


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
    location = _untagged(model, detail["loc"])
    path = ".".join(str(part) for part in location)
    kind = detail["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(path, detail)
    if kind == "extra_forbidden":
        valid = _fields_at(model, detail["loc"][:-1])
        near = difflib.get_close_matches(str(location[-1]), valid, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        return Problem(path, detail["input"], "is not a known key", f"{guess}Known here: {', '.join(sorted(valid))}")
    if kind == "missing":
        fix = f"set it: ./pulumiw config set --path slipway:{path} VALUE"
        return Problem(path, None, "is required", fix, absent=True)
    rule = detail["msg"].replace("Input should", "must").replace("Value error, ", "")
    return Problem(path, detail["input"], rule, _fix(model, detail["loc"], path, detail))


def _wrong_tag(path: str, detail: ErrorDetails) -> Problem:
    context = detail.get("ctx", {})
    key = f"{path}.{str(context['discriminator']).strip(chr(39))}"
    if "tag" in context:
        return Problem(key, context["tag"], f"must be one of {context['expected_tags']}", f"change slipway:{key}")
    fix = f"set it: ./pulumiw config set --path slipway:{key} VALUE"
    return Problem(key, None, "is required", fix, absent=True)


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


def _step(current: Any, part: Any) -> tuple[Any, bool]:
    """Return the type below `current` at one part of a location, and whether the part is the tag of a union."""
    candidates = [current] if isinstance(current, type) else [current, *typing.get_args(current)]
    models = [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]
    if isinstance(part, int):
        return next(iter(models), None), False
    for item in models:
        tag = item.model_fields.get("kind") if len(models) > 1 else None
        if tag is not None and part in typing.get_args(tag.annotation):
            return item, True
    found = next((item.model_fields[part].annotation for item in models if part in item.model_fields), None)
    return found, False


def _annotation(model: Any, location: Sequence[Any]) -> Any:
    """Return the type at a location inside nested models, or None."""
    for part in location:
        model, _ = _step(model, part)
    return model


def _untagged(model: Any, location: Sequence[Any]) -> list[Any]:
    """Return a location as a person writes it: pydantic puts the tag of a union where the stack file has nothing."""
    parts = []
    for part in location:
        model, is_tag = _step(model, part)
        parts += [] if is_tag else [part]
    return parts


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
