"""Property values as the engine sends them, and back: plain JSON with `Secret` and `UNKNOWN` in it.

The plugin asks for secrets to be marked and for nothing else: no resource references and no output values arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from tests.standins.kubernetes_plugin.refused import Refused

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# provider/pkg/provider/provider.go, underscoreToDashMap: these names cannot be written in every language
_DASHED = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type", "preserve_unknown_fields",
        "validations",
    )
}  # fmt: skip
_UNDERSCORED = {dashed: name for name, dashed in _DASHED.items()}


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


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return the values of a message; nulls are left out, as in the official plugin."""
    found = {key: _from_value(value) for key, value in struct.fields.items()}
    return {_DASHED.get(key, key): value for key, value in found.items() if value is not None}


def _from_value(value: struct_pb2.Value) -> Any:
    found: Any = None
    match value.WhichOneof("kind"):
        case "number_value":
            found = int(value.number_value) if value.number_value.is_integer() else value.number_value
        case "string_value":
            found = UNKNOWN if value.string_value == _UNKNOWN_TEXT else value.string_value
        case "bool_value":
            found = value.bool_value
        case "list_value":
            found = [_from_value(item) for item in value.list_value.values]
        case "struct_value":
            signature = value.struct_value.fields.get(_SIGNATURE)
            found = from_struct(value.struct_value) if signature is None else _special(signature, value.struct_value)
    return found


def _special(signature: struct_pb2.Value, struct: struct_pb2.Struct) -> Secret:
    if signature.string_value != _SECRET:
        raise Refused(f"a property has the signature {signature.string_value}, which the stand-in does not know")
    return Secret(_from_value(struct.fields["value"]))


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the message of some values."""
    struct = struct_pb2.Struct()
    for key, value in values.items():
        if value is not None:
            struct.fields[_UNDERSCORED.get(key, key)].CopyFrom(_to_value(value))
    return struct


def _to_value(value: Any) -> struct_pb2.Value:
    fields: dict[str, Any]
    match value:
        case None:
            fields = {"null_value": struct_pb2.NullValue.NULL_VALUE}
        case Unknown():
            fields = {"string_value": _UNKNOWN_TEXT}
        case Secret():
            fields = {"struct_value": to_struct({_SIGNATURE: _SECRET, "value": value.value})}
        case bool():
            fields = {"bool_value": value}
        case int() | float():
            fields = {"number_value": value}
        case str():
            fields = {"string_value": value}
        case dict():
            fields = {"struct_value": to_struct(value)}
        case list():
            fields = {"list_value": struct_pb2.ListValue(values=[_to_value(item) for item in value])}
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


def marked(outputs: Any, inputs: Any) -> Any:
    """Return outputs with what was secret in the inputs marked secret.

    Two objects are compared by key; anything else that holds a secret in the inputs becomes secret as a whole; data of
    a Secret is always secret (provider/pkg/provider/provider.go, annotateSecrets).
    """
    if not isinstance(outputs, dict):
        return Secret(outputs) if contains(inputs, Secret) else outputs
    if outputs.get("kind") == "Secret":
        hidden = ("data", "stringData")
        return {key: Secret(plain(value)) if key in hidden else value for key, value in outputs.items()}
    if isinstance(inputs, Secret):
        return Secret(outputs)
    if not isinstance(inputs, dict):
        return Secret(outputs) if contains(inputs, Secret) else outputs
    return {key: marked(value, inputs[key]) if key in inputs else value for key, value in outputs.items()}
