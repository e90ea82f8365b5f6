"""Property values of the engine as plain Python, and back.

Plain values are JSON values plus `UNKNOWN`.  `None` and absent are the same: `plain` leaves absent keys out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc

Properties = dict[str, Any]
"""The inputs or outputs of one resource, by property name."""


class Unknown:
    """Stands for a value that is known only after `up`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def plain(properties: Mapping[str, PropertyValue]) -> Properties:
    """Return properties as plain values; whole numbers become `int`, since all numbers travel as floats."""
    return _without_nulls({name: _plain(value) for name, value in properties.items()})


def wrapped(properties: Properties) -> dict[str, PropertyValue]:
    """Return plain values as the engine's; `None` becomes an explicit null."""
    return {name: _wrapped(value) for name, value in properties.items()}


def has_unknown(value: Any) -> bool:
    """Tell whether a plain value is unknown or holds something unknown."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def _plain(value: PropertyValue) -> Any:
    content = value.value
    if content == rpc.UNKNOWN:
        return UNKNOWN
    if isinstance(content, Mapping):
        return _without_nulls({name: _plain(item) for name, item in content.items()})
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [_plain(item) for item in content]
    if isinstance(content, float) and content.is_integer():
        return int(content)
    return content


def _without_nulls(values: Properties) -> Properties:
    return {name: value for name, value in values.items() if value is not None}


def _wrapped(value: Any) -> PropertyValue:
    if value is UNKNOWN:
        return PropertyValue(rpc.UNKNOWN)
    if isinstance(value, Mapping):
        return PropertyValue({name: _wrapped(item) for name, item in value.items()})
    if isinstance(value, list):
        return PropertyValue([_wrapped(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)
