"""How properties that a program gives a resource look on the wire, as far as they are known while it runs.

Python's names become the engine's by the SDK's own type metadata; an Output is not known.  Nothing is awaited.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from inspect import isawaitable
from typing import Any

import pulumi
from pulumi import _types

from infra.policies.model import UNKNOWN


def properties(resource: pulumi.Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the inputs of a resource into the form that rules read."""
    arguments = _arguments_class(type(resource))
    plain = _object(given, arguments) if arguments else {key: _plain(value, None) for key, value in given.items()}
    return {key: value for key, value in plain.items() if value is not None}


def _arguments_class(resource: type) -> type | None:
    """The input type that the SDK generated beside the resource's class; codegen calls it so where names collide."""
    module = sys.modules[resource.__module__]
    for ending in ("InitArgs", "Args"):
        found = getattr(module, f"{resource.__name__}{ending}", None)
        if isinstance(found, type) and _types.is_input_type(found):
            return found
    return None


def _object(value: Mapping[str, Any], kind: type) -> dict[str, Any]:
    names, types = _types.input_type_py_to_pulumi_names(kind), _types.input_type_types(kind)
    wire = {names.get(key, key): inner for key, inner in value.items()}
    return {key: _plain(inner, types.get(key)) for key, inner in wire.items()}


def _plain(value: Any, kind: Any) -> Any:
    kind = None if kind in (None, Any) else _types.unwrap_type(kind)
    if isinstance(value, pulumi.Output | pulumi.Resource) or isawaitable(value):
        return UNKNOWN
    if _types.is_input_type(type(value)):
        return _object(_types.input_type_to_untranslated_dict(value), type(value))
    if isinstance(value, Mapping):
        inner = _mapping_of(kind)
        if inner is not None:
            return _object(value, inner)
        return {key: _plain(element, _element(kind)) for key, element in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(element, _element(kind)) for element in value]
    return value


def _mapping_of(kind: Any) -> type | None:
    """The input type that a mapping stands for."""
    return kind if isinstance(kind, type) and _types.is_input_type(kind) else None


def _element(kind: Any) -> Any:
    """The type of the elements of a list or of the values of a mapping."""
    arguments = getattr(kind, "__args__", ())
    return arguments[-1] if arguments else None
