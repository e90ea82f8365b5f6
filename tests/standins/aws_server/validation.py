"""Checks what a client sent against botocore's own model of the service: every violation at once.

botocore's clients check required members and types before they send; enumerations, patterns, lengths and ranges only
the service does. This is that half, and the other again, for clients that are not botocore. It knows no one service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": Mapping,
    "map": Mapping,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


def violations(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a value, each time naming the member and the rule."""
    expected = TYPES.get(shape.type_name)
    whole = expected is int and isinstance(value, float) and value.is_integer()
    if (
        expected
        and not whole
        and (not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool))
    ):
        yield f"{path}: must be a {shape.type_name}, not {value!r}"
        return
    match shape.type_name:
        case "structure":
            yield from _structure(value, shape, path)
        case "list":
            yield from _measured(len(value), shape, f"{path}: number of members")
            for index, item in enumerate(value):
                yield from violations(item, shape.member, f"{path}[{index}]")
        case "map":
            yield from _measured(len(value), shape, f"{path}: number of members")
            for key, item in value.items():
                yield from violations(key, shape.key, f"{path} (key {key!r})")
                yield from violations(item, shape.value, f"{path}.{key}")
        case "string":
            yield from _string(value, shape, path)
        case "integer" | "long" | "float" | "double":
            yield from _measured(value, shape, f"{path}: value")
        case _:
            pass


def _structure(value: Mapping[str, Any], shape: Any, path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"{_below(path, name)}: is required"
    for name, item in value.items():
        if name not in shape.members:
            yield f"{_below(path, name)}: is no member of {shape.name} ({', '.join(sorted(shape.members))})"
        elif item is not None:
            yield from violations(item, shape.members[name], _below(path, name))
    if shape.is_tagged_union and len(value) != 1:
        yield f"{path}: must have exactly one of {', '.join(sorted(shape.members))}"


def _string(value: str, shape: Any, path: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled and not compiled.search(value):
        yield f"{path}: {value!r} does not satisfy {pattern}"
    yield from _measured(len(value), shape, f"{path}: length")


def _measured(size: float, shape: Any, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < float(least):
        yield f"{what} {size} is less than {least}"
    if most is not None and size > float(most):
        yield f"{what} {size} is more than {most}"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern of the models for a whole value; None for what Python's expressions cannot say."""
    try:
        return re.compile(f"^(?:{pattern})\\Z")
    except re.error:  # written for Java: \\p{L} and the like
        return None


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
