"""Kubernetes objects as plain dictionaries: identity, names, annotations, shapes. Owns no connection and no state."""

from __future__ import annotations

import base64
import copy
import secrets as randomness
from dataclasses import dataclass
from typing import Any

from tests.standins.kubernetes_plugin.values import UNKNOWN, Secret, Unknown, contains, marked, plain
from tests.standins.plugin.refused import Refused

# provider/pkg/metadata/annotations.go
AUTONAMED = "pulumi.com/autonamed"
FIELD_MANAGER = "pulumi.com/patchFieldManager"
KNOWN_ANNOTATIONS = frozenset(
    f"pulumi.com/{name}"
    for name in (
        "autonamed", "skipAwait", "waitFor", "timeoutSeconds", "patchForce", "patchFieldManager",
        "deletionPropagationPolicy", "replaceUnready",
    )
)  # fmt: skip

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Group, version and kind; the group of core kinds is empty."""

    group: str
    version: str
    name: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.api_version}/{self.name}"


def kind_of_urn(urn: str) -> Kind:
    """Return the kind that a resource's type token names; patches and whatever is no object are refused."""
    token = urn.split("::")[2].rpartition("$")[2]
    module, _, name = token.removeprefix("kubernetes:").rpartition(":")
    group, _, version = module.partition("/")
    if not token.startswith("kubernetes:") or not version or group in ("helm.sh", "yaml", "kustomize"):
        raise Refused(f"the stand-in for the Kubernetes plugin has no resource type {token}")
    if name.endswith(("Patch", "List")):
        raise Refused(f"{token}: the stand-in for the Kubernetes plugin has no Patch and no List resources")
    return Kind("" if group == "core" else group, version, name)


def kind_of(obj: Object) -> Kind:
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    return Kind("" if group == "core" else group, version, str(obj["kind"]))


def metadata(obj: Object) -> Object:
    """Return the metadata, {} where there is none or where it is not known yet."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name_of(obj: Object) -> Any:
    return metadata(obj).get("name", "")


def namespace_of(obj: Object) -> Any:
    return metadata(obj).get("namespace", "")


def annotation(obj: Object, name: str) -> str:
    found = metadata(obj).get("annotations")
    value = found.get(name, "") if isinstance(found, dict) else ""
    return "" if value is UNKNOWN else str(value)


def identity(obj: Object) -> str:
    """Return NAMESPACE/NAME, or NAME (provider/pkg/provider/util.go, fqName)."""
    return f"{namespace_of(obj)}/{name_of(obj)}" if namespace_of(obj) else str(name_of(obj))


def parse_identity(text: str) -> tuple[str, str]:
    """Return (namespace, name) of a resource id."""
    namespace, _, name = text.rpartition("/")
    if not name or "/" in namespace:
        raise Refused(f"the id {text!r} is neither NAME nor NAMESPACE/NAME")
    return namespace, name


def set_kind(obj: Object, kind: Kind) -> None:
    """Fill in apiVersion and kind; what is there must agree with the resource's type."""
    obj.setdefault("apiVersion", kind.api_version)
    obj.setdefault("kind", kind.name)
    if kind_of(obj) != kind:
        raise Refused(f"the object says it is {kind_of(obj)}, but its resource type says {kind}")


def autoname(obj: Object, urn: str, proposed: str) -> None:
    """Name an unnamed object, as proposed or after its resource, and say so (provider/pkg/metadata/naming.go)."""
    if obj.get("metadata") is UNKNOWN or name_of(obj):
        return
    if metadata(obj).get("generateName"):
        raise Refused("the `.metadata.generateName` field is not supported in Server-Side Apply mode")
    obj.setdefault("metadata", {})["name"] = proposed or f"{urn.rpartition('::')[2]}-{randomness.token_hex(4)}"
    _mark_autonamed(obj)


def adopt_name(obj: Object, old: Object) -> None:
    """Keep the name that an earlier check made up."""
    if obj.get("metadata") is UNKNOWN or name_of(obj) or annotation(old, AUTONAMED) != "true":
        return
    obj.setdefault("metadata", {})["name"] = name_of(old)
    _mark_autonamed(obj)


def _mark_autonamed(obj: Object) -> None:
    annotations = obj["metadata"].setdefault("annotations", {})
    if isinstance(annotations, dict):
        annotations[AUTONAMED] = "true"


def field_manager(state: Object, inputs: Object) -> str:
    """Return the annotation's, else the state's, else a new one (provider.go, fieldManagerName)."""
    return (
        annotation(inputs, FIELD_MANAGER)
        or state.get("__fieldManager")
        or f"pulumi-kubernetes-{randomness.token_hex(4)}"
    )


def check_annotations(obj: Object) -> None:
    """Refuse annotations of the plugin that are not implemented here: they would silently do nothing."""
    annotations = metadata(obj).get("annotations")
    unknown = [name for name in annotations if name.startswith("pulumi.com/")] if isinstance(annotations, dict) else []
    unknown = [name for name in unknown if name not in KNOWN_ANNOTATIONS]
    if unknown:
        raise Refused(f"the stand-in for the Kubernetes plugin does not know the annotation {unknown[0]}")


_READ_ONLY = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "uid",
)  # fmt: skip


def normalized(obj: Object) -> Object:
    """Return inputs as the API server would write them, where that is known (normalizeInputs; clients.Normalize)."""
    result = copy.deepcopy(obj)
    if isinstance(result.get("metadata"), dict):
        for name in _READ_ONLY:
            result["metadata"].pop(name, None)
    text = result.get("stringData")
    if result.get("kind") == "Secret" and isinstance(text, dict) and not contains(text, Unknown):
        data = {key: base64.b64encode(str(value).encode()).decode() for key, value in text.items()}
        result["data"] = {**(result.get("data") or {}), **data}
        del result["stringData"]
    return result


_ZEROES: tuple[Any, ...] = ({}, [], "", 0, False, None)


def is_typed(kind: Kind) -> bool:
    """Whether the official plugin knows the structure of a kind: it normalizes those only (clients.Normalize).

    For anything else `FromUnstructured` fails, and what a controller has written back in other words is a difference.
    """
    return kind.group in _TYPED_GROUPS or (kind.group.endswith(".k8s.io") and kind.group not in _CUSTOM_GROUPS)


_TYPED_GROUPS = frozenset(("", "apps", "autoscaling", "batch", "policy"))
_CUSTOM_GROUPS = frozenset(("apiextensions.k8s.io", "gateway.networking.k8s.io"))  # not in client-go's scheme


def pruned(live: Any, shape: Any, *, typed: bool = True) -> Any:
    """Return what a live object says about the fields that some inputs name (pruneLiveState).

    A zero value that the API server leaves out counts as present where the kind is typed: the official plugin drops
    both when it passes inputs through the typed structures.
    """
    if isinstance(live, dict) and isinstance(shape, dict):
        found = {key: pruned(live[key], item, typed=typed) for key, item in shape.items() if key in live}
        absent = {key: item for key, item in shape.items() if typed and key not in live and item in _ZEROES}
        return {**found, **absent}
    if isinstance(live, list) and isinstance(shape, list):
        return [pruned(value, item, typed=typed) for value, item in zip(live, shape, strict=False)]
    return live


def checkpoint(inputs: Object, live: Object, given: Object, manager: str, first_version: str) -> Object:
    """Return a resource's state: the live object, with the inputs beside it (checkpointObject)."""
    state: Object = marked(live, given)
    text, data = given.get("stringData"), state.get("data")
    if live.get("kind") == "Secret" and text is not None and data is not None and not isinstance(data, Secret):
        state["data"] = Secret(data)
    beside = {"__inputs": marked(inputs, given), "__initialApiVersion": first_version, "__fieldManager": manager}
    return {**state, **beside}


def split_checkpoint(state: Object) -> tuple[Object, Object]:
    """Return (inputs, live) of a state, without marks of secrecy."""
    live = plain(state)
    return live.pop("__inputs", {}), live
