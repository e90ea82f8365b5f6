"""KubeRay's custom resource definitions, made small enough for Pulumi's state.

The released files hold two versions of each kind, and in each version the whole schema of a pod, seven times over: in
the state, which keeps an object three times (inputs, what was applied, what lives) and indented, that is over 20 MB.
Kept are version v1 and the three kinds that Slipway makes; inside a pod's `spec`, its own fields and those of its
containers by name, and below them anything.

The cost: an unknown field deep in a pod template (`env[0].valeu`) is not refused when the RayJob is made. Whatever the
full schema accepts, the small one accepts too. Clusters with `operators: external` have the full one, and so has the
cluster on which the tests validate every manifest strictly.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.kubernetes.manifest import PART_OF, Manifest

KINDS = ("rayclusters", "rayjobs", "rayservices")
VERSION = "v1"
_CONTAINERS = ("containers", "initContainers")
_OPEN = "x-kubernetes-preserve-unknown-fields"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where libyaml is there


@cache
def load(folder: Path) -> tuple[tuple[str, Manifest], ...]:
    """Return each definition, made small, by the plural of its kind.

    Args:
        folder: where the files of KubeRay's release lie, by their base names.
    """
    return tuple((kind, slim(_read(folder / f"ray.io_{kind}.yaml"))) for kind in KINDS)


def _read(file: Path) -> Manifest:
    """Return a released definition. Its JSON is kept beside it: reading YAML costs every preview a second."""
    twin = file.with_suffix(".json")
    definition: Manifest
    with suppress(OSError, ValueError):
        if twin.stat().st_mtime_ns > file.stat().st_mtime_ns:
            definition = json.loads(twin.read_bytes())
            return definition
    definition = yaml.load(file.read_bytes(), _LOADER)  # noqa: S506  both loaders are safe ones
    draft = twin.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # a folder that cannot be written to costs that second
        draft.write_text(json.dumps(definition))
        draft.replace(twin)
    return definition


def slim(definition: Manifest) -> Manifest:
    """Return the definition with one version, and pod templates that are open below the names of their fields."""
    spec = definition["spec"]
    versions = [_slim_version(version) for version in spec["versions"] if version["name"] == VERSION]
    metadata = {**definition["metadata"], "labels": {**definition["metadata"].get("labels", {}), **PART_OF}}
    return {**definition, "metadata": metadata, "spec": {**spec, "versions": versions}}


def _slim_version(version: Manifest) -> Manifest:
    schema = version["schema"]["openAPIV3Schema"]
    return {**version, "schema": {"openAPIV3Schema": _walk(schema)}}


def _walk(schema: Any) -> Any:
    """Return the schema with every pod's `spec` opened; a pod is known by its containers."""
    if isinstance(schema, list):
        return [_walk(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    fields = schema.get("properties")
    if isinstance(fields, dict) and {"containers", "restartPolicy", "volumes"} <= fields.keys():
        return _open_pod(schema)
    return {key: _walk(value) for key, value in schema.items()}


def _open_pod(schema: Manifest) -> Manifest:
    fields = {name: _open(field) for name, field in schema["properties"].items()}
    for name in _CONTAINERS:
        item = schema["properties"][name]["items"]
        opened = {key: _open(value) for key, value in item["properties"].items()}
        fields[name] = {"type": "array", "items": {**item, "properties": opened}}
    return {**schema, "properties": fields}


def _open(schema: Manifest) -> Manifest:
    """Return a schema of the same type that accepts anything inside. Plain values stay as they are."""
    if schema.get("type") == "array":
        items = schema["items"]
        return schema if _is_plain(items) else {"type": "array", "items": {"type": "object", _OPEN: True}}
    return schema if _is_plain(schema) else {"type": "object", _OPEN: True}


def _is_plain(schema: Manifest) -> bool:
    return not ({"properties", "additionalProperties", "items"} & schema.keys())
