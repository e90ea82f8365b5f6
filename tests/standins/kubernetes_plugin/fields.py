"""Who manages which field of an object, and what that means for an update by server-side apply. Pure.

Source: provider/pkg/await/await.go (fixCSAFieldManagers, handleSSAIgnoreFields, patchForce).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from tests.standins.kubernetes_plugin.objects import Object, metadata


def has_created_fields(live: Object, manager: str) -> bool:
    """Whether fields are still recorded as set by the create request, which applying the same fields would fight."""
    return any(_is_created(entry, manager) for entry in metadata(live).get("managedFields") or [])


def _is_created(entry: Object, manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Update" and not entry.get("subresource")


def taken_over(live: Object, manager: str) -> list[Object]:
    """Return the managed fields with those of the create request counted as applied."""
    kept, version = [], ""
    fields: Object = {}
    for entry in metadata(live).get("managedFields") or []:
        applied = entry.get("manager") == manager and entry.get("operation") == "Apply"
        if applied or _is_created(entry, manager):
            fields, version = _united(fields, entry.get("fieldsV1") or {}), entry["apiVersion"]
        else:
            kept.append(entry)
    own = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return [*kept, own]


def _united(one: Object, other: Object) -> Object:
    return {key: _united(one.get(key) or {}, other.get(key) or {}) for key in {*one, *other}}


def without_ignored(inputs: Object, live: Object, ignored: Sequence[str], manager: str) -> Object:
    """Return inputs that leave the fields of `ignoreChanges` as they are.

    A field that only others manage is left out; any other keeps the value that it has in the cluster.
    """
    result = copy.deepcopy(inputs)
    entries = metadata(live).get("managedFields") or []
    for text in ignored:
        path = text.split(".")
        ours = any(_owns(entry, path) for entry in entries if entry.get("manager") == manager)
        theirs = any(_owns(entry, path) for entry in entries if entry.get("manager") != manager)
        if theirs and not ours:
            _remove(result, path)
            continue
        found, value = _lookup(live, path)
        if found:
            _set(result, path, value)
    return result


def _owns(entry: Object, path: Sequence[str]) -> bool:
    fields: Any = entry.get("fieldsV1")
    for step in path:
        fields = fields.get(f"f:{step}") if isinstance(fields, dict) else None
    return fields is not None


def _lookup(obj: Any, path: Sequence[str]) -> tuple[bool, Any]:
    for step in path:
        if not isinstance(obj, dict) or step not in obj:
            return False, None
        obj = obj[step]
    return True, copy.deepcopy(obj)


def _remove(obj: Any, path: Sequence[str]) -> None:
    found, holder = _lookup_holder(obj, path)
    if found:
        holder.pop(path[-1], None)


def _lookup_holder(obj: Any, path: Sequence[str]) -> tuple[bool, Any]:
    for step in path[:-1]:
        if not isinstance(obj, dict) or step not in obj:
            return False, None
        obj = obj[step]
    return isinstance(obj, dict), obj


def _set(obj: Object, path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        obj = obj.setdefault(step, {})
    obj[path[-1]] = value
