"""Property values as the engine sends them, and back: plain JSON with `Secret` and `UNKNOWN` in it.

The plugins ask for secrets to be marked and for nothing else: no resource references and no output values arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from tests.standins.plugin.refused import Refused

Names = Mapping[str, str]

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SAME: Names = {}


class Unknown:
    """The type of `UNKNOWN`: a value that only exists after the update."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __deepcopy__(self, memo: Any) -> Unknown:
        return self


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine must encrypt in its state."""

    value: Any


def from_struct(struct: struct_pb2.Struct, names: Names = _SAME) -> dict[str, Any]:
    """Return the values of a message; nulls are left out, as in the official plugins.

    Args:
        struct: the message.
        names: keys that are called otherwise inside the plugin, at every depth.
    """
    found = {key: _from_value(value, names) for key, value in struct.fields.items()}
    return {names.get(key, key): value for key, value in found.items() if value is not None}


def _from_value(value: struct_pb2.Value, names: Names) -> Any:
    found: Any = None
    match value.WhichOneof("kind"):
        case "number_value":
            found = int(value.number_value) if value.number_value.is_integer() else value.number_value
        case "string_value":
            found = UNKNOWN if value.string_value == _UNKNOWN_TEXT else value.string_value
        case "bool_value":
            found = value.bool_value
        case "list_value":
            found = [_from_value(item, names) for item in value.list_value.values]
        case "struct_value":
            signature = value.struct_value.fields.get(_SIGNATURE)
            inner = value.struct_value
            found = from_struct(inner, names) if signature is None else _special(signature, inner, names)
    return found


def _special(signature: struct_pb2.Value, struct: struct_pb2.Struct, names: Names) -> Secret:
    if signature.string_value != _SECRET:
        raise Refused(f"a property has the signature {signature.string_value}, which the stand-in does not know")
    return Secret(_from_value(struct.fields["value"], names))


def to_struct(values: Mapping[str, Any], names: Names = _SAME) -> struct_pb2.Struct:
    """Return the message of some values; `names` are those that keys have outside."""
    struct = struct_pb2.Struct()
    for key, value in values.items():
        if value is not None:
            struct.fields[names.get(key, key)].CopyFrom(_to_value(value, names))
    return struct


def _to_value(value: Any, names: Names) -> struct_pb2.Value:
    fields: dict[str, Any]
    match value:
        case None:
            fields = {"null_value": struct_pb2.NullValue.NULL_VALUE}
        case Unknown():
            fields = {"string_value": _UNKNOWN_TEXT}
        case Secret():
            fields = {"struct_value": to_struct({_SIGNATURE: _SECRET, "value": value.value}, names)}
        case bool():
            fields = {"bool_value": value}
        case int() | float():
            fields = {"number_value": value}
        case str():
            fields = {"string_value": value}
        case dict():
            fields = {"struct_value": to_struct(value, names)}
        case list():
            fields = {"list_value": struct_pb2.ListValue(values=[_to_value(item, names) for item in value])}
        case _:
            raise TypeError(f"{type(value).__name__} is not a property value")
    return struct_pb2.Value(**fields)


def plain(value: Any) -> Any:
    """Return a copy without marks of secrecy."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def contains(value: Any, kind: type) -> bool:
    """Whether a value holds, anywhere, a `Secret` or an `Unknown`."""
    if isinstance(value, kind):
        return True
    if isinstance(value, Secret):
        return contains(value.value, kind)
    if isinstance(value, dict):
        return any(contains(item, kind) for item in value.values())
    return isinstance(value, list) and any(contains(item, kind) for item in value)
