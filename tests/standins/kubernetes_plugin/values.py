"""Property values as this plugin has them: the common ones, with dashes in names and the secrecy of a Secret's data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from tests.standins.plugin import values
from tests.standins.plugin.values import UNKNOWN, Secret, Unknown, contains, plain

__all__ = ["UNKNOWN", "Secret", "Unknown", "contains", "from_struct", "marked", "plain", "to_struct"]

# provider/pkg/provider/provider.go, underscoreToDashMap: these names cannot be written in every language
_DASHED = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type", "preserve_unknown_fields",
        "validations",
    )
}  # fmt: skip
_UNDERSCORED = {dashed: name for name, dashed in _DASHED.items()}


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return the values of a message."""
    return values.from_struct(struct, _DASHED)


def to_struct(found: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the message of some values."""
    return values.to_struct(found, _UNDERSCORED)


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
