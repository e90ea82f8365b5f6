"""Strict validation by the schemas of the pinned CRDs, as the API server does it with `fieldValidation=Strict`.

Unknown fields, wrong types, values outside of an enum and missing fields are faults.  Rules in CEL are not evaluated:
the cluster tests do that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

VERSION = "1.6.2"
_FILES = "config/crd/bases"
_MODULE = f"github.com/ray-project/kuberay/ray-operator@v{VERSION}"
_TYPES = {"object": Mapping, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def faults(kind: str, manifest: Mapping[str, Any]) -> list[str]:
    """Return what the API server would refuse; skips where the CRDs are not on this machine."""
    schema = _schema(kind)
    return list(_faults(schema, manifest, kind))


@cache
def _schema(kind: str) -> dict[str, Any]:
    name = f"ray.io_{kind.lower()}s.yaml"
    places = [*_cached(), *_modules()]
    found = next((place / name for place in places if (place / name).is_file()), None)
    if found is None:
        pytest.skip(
            f"KubeRay's CRDs {VERSION} are not here: ./pulumiw setup --kubernetes, or go mod download {_MODULE}"
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    crd = yaml.load(found.read_text(), Loader=loader)  # noqa: S506 - a safe one, the fast where it is there
    version = next(item for item in crd["spec"]["versions"] if item["name"] == "v1")
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def _cached() -> Iterator[Path]:
    cache_folder = Path(os.environ.get("SLIPWAY_CACHE", "~/.cache/slipway")).expanduser()
    yield cache_folder / "manifests" / f"kuberay-{VERSION}" / _FILES


def _modules() -> Iterator[Path]:
    modules = os.environ.get("GOMODCACHE") or Path(os.environ.get("GOPATH", "~/go")).expanduser() / "pkg" / "mod"
    yield Path(modules) / _MODULE / _FILES


def _faults(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Pulumi's wire has one kind of number
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str):
            yield f"{path}: {value!r} is neither a number nor text"
        return
    wanted = schema.get("type")
    expected: Any = _TYPES.get(wanted or "")
    if expected and (not isinstance(value, expected) or (wanted != "boolean" and isinstance(value, bool))):
        yield f"{path}: {value!r} is not of type {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, Mapping):
        yield from _object_faults(schema, value, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(schema.get("items", {}), item, f"{path}[{number}]")


def _object_faults(schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
    yield from (f"{path}.{name}: is required" for name in schema.get("required", []) if name not in value)
    # the metadata of the object itself is the API server's own affair
    free = schema.get("x-kubernetes-preserve-unknown-fields") or (not properties and rest is None)
    for name, item in value.items():
        inner = properties.get(name, rest if isinstance(rest, Mapping) else None)
        if inner is not None:
            yield from _faults(inner, item, f"{path}.{name}")
        elif not free:
            yield f"{path}.{name}: unknown field"
