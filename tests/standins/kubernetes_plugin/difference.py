"""What an update would change, and which changes need a new object. Pure.

The old side is the live object's view of the old inputs, so that drift shows and defaults do not
(provider/pkg/provider/provider.go, Diff and convertPatchToDiff).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.standins.kubernetes_plugin.objects import (
    AUTONAMED,
    Kind,
    Object,
    annotation,
    is_typed,
    name_of,
    namespace_of,
)
from tests.standins.kubernetes_plugin.settings import Settings
from tests.standins.kubernetes_plugin.values import UNKNOWN, Unknown, contains
from tests.standins.plugin.paths import Change, Path, format_path, parse_path

__all__ = ["Change", "Difference", "compare", "format_path", "parse_path"]

_SELECTOR = ("spec.selector",)
_CONTAINER = (
    "args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
    "resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
    "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip
_POD = (
    "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases",
    "hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead",
    "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName",
    "schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain",
    "terminationGracePeriodSeconds", "volumes",
)  # fmt: skip
_VOLUME = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
    "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)  # fmt: skip
# provider/pkg/provider/diff.go: fields whose change replaces the object; a path stands for everything below it
REPLACING: dict[str, tuple[str, ...]] = {
    "apps/v1/DaemonSet": _SELECTOR,
    "apps/v1/Deployment": _SELECTOR,
    "apps/v1/StatefulSet": (
        "spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "batch/v1/Job": ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/v1/RoleBinding": ("roleRef",),
    "storage.k8s.io/v1/StorageClass": ("parameters", "provisioner"),
    "v1/PersistentVolume": tuple(f"spec.{name}" for name in _VOLUME),
    "v1/PersistentVolumeClaim": ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    "v1/Pod": (
        *(f"spec.{name}" for name in _POD),
        *(f"spec.{group}[*].{name}" for group in ("containers", "initContainers") for name in _CONTAINER),
    ),
    "v1/ResourceQuota": ("spec.scopes",),
    "v1/Secret": ("type",),
    "v1/Service": ("spec.clusterIP",),
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """All differences of one object."""

    changes: tuple[Change, ...]
    delete_first: bool

    @property
    def replaces(self) -> list[str]:
        whole = [change.text for change in self.changes if change.how == "delete" and change.text == "metadata"]
        return [*(change.text for change in self.changes if change.replaces), *whole]


UNREADY = ("metadata", "annotations", "pulumi.com/replaceUnready")
"""What the official plugin names as the reason to replace an object that never became ready (provider.go, Diff)."""


def compare(
    kind: Kind,
    live: Object,
    old: Object,
    new: Object,
    ignored: Sequence[str],
    settings: Settings,
    *,
    unready: bool = False,
) -> Difference:
    """Compare the old inputs, as the live object has them, with the new inputs.

    Args:
        kind: of the object.
        live: the object as it was last seen.
        old: what the live object has of the old inputs.
        new: the new inputs.
        ignored: paths of `ignoreChanges`.
        settings: the provider's.
        unready: it is not ready, and asks to be replaced then.
    """
    paths = replacing_paths(kind, new, settings)
    skipped = [parse_path(text) for text in ignored]
    found = [
        Change(path, how, any(_touches(path, value, wanted) for wanted in paths))
        for path, how, value in differences(old, new, typed=is_typed(kind))
        if not any(_holds(outer, path) for outer in skipped)
    ]
    found += [Change(UNREADY, "update", replaces=True)] if unready else []
    result = Difference(tuple(found), delete_first=False)
    # the new object would need the old one's place, and its name was the user's choice
    same_place = name_of(new) == name_of(live) and namespace_of(new) == namespace_of(live)
    named = bool(name_of(new)) and annotation(new, AUTONAMED) != "true"
    return Difference(result.changes, delete_first=bool(result.replaces) and named and same_place)


def replacing_paths(kind: Kind, new: Object, settings: Settings) -> list[Path]:
    """Return the paths whose change replaces an object of a kind (diff.go, forceNewProperties)."""
    names = ["metadata.name", "metadata.namespace", *REPLACING.get(str(kind), ())]
    immutable = new.get("immutable") is True
    if str(kind) == "v1/Secret" and (immutable or not settings.secret_mutable):
        names += ["stringData", "data"]
    if str(kind) == "v1/ConfigMap" and (immutable or not settings.config_map_mutable):
        names += ["binaryData", "data"]
    return [parse_path(name) for name in names]


def differences(old: Any, new: Any, path: Path = (), *, typed: bool = True) -> Iterator[tuple[Path, str, Any]]:
    """Yield (path, add | delete | update, new value)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if key not in new:
                yield (*path, key), "delete", None
            elif key not in old:
                yield (*path, key), "add", new[key]
            else:
                yield from differences(old[key], new[key], (*path, key), typed=typed)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index >= len(new):
                yield (*path, index), "delete", None
            elif index >= len(old):
                yield (*path, index), "add", new[index]
            else:
                yield from differences(old[index], new[index], (*path, index), typed=typed)
    elif new is UNKNOWN or contains(new, Unknown) or not _equal(path, old, new, typed=typed):
        yield path, "update", new


def _equal(path: Path, old: Any, new: Any, *, typed: bool) -> bool:
    if old == new and isinstance(old, bool) == isinstance(new, bool):
        return True
    if not typed:
        return False
    # the API server writes quantities in its own way: 1024Mi becomes 1Gi
    parent = next((step for step in reversed(path[:-1]) if isinstance(step, str)), "")
    if parent in _QUANTITIES or (path and path[-1] in _QUANTITIES):
        return (value := quantity(old)) is not None and value == quantity(new)
    return False


_QUANTITIES = frozenset(
    ("requests", "limits", "hard", "capacity", "overhead", "sizeLimit", "default", "defaultRequest")
)
_UNITS = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}  # fmt: skip


def quantity(value: Any) -> Decimal | None:
    """Return the number that a Kubernetes quantity means; None when it is none."""
    matched = re.fullmatch(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)", str(value))
    if matched is None or matched[2] not in _UNITS:
        return None
    try:
        return Decimal(matched[1]) * _UNITS[matched[2]]
    except InvalidOperation:
        return None


def _fits(wanted: str | int, step: str | int) -> bool:
    return wanted in ("*", step)


def _holds(outer: Path, path: Path) -> bool:
    return len(outer) <= len(path) and all(_fits(wanted, step) for wanted, step in zip(outer, path, strict=False))


def _touches(path: Path, value: Any, wanted: Path) -> bool:
    """Whether the change of `path` to `value` sets what `wanted` names: below it, or above it with it inside."""
    if _holds(wanted, path):
        return True
    above = len(path) < len(wanted) and all(_fits(want, step) for want, step in zip(wanted, path, strict=False))
    return above and _contains(value, wanted[len(path) :])


def _contains(value: Any, steps: Path) -> bool:
    if not steps:
        return True
    if isinstance(value, list):
        return any(_contains(item, steps[1:]) for item in value) if steps[0] == "*" else False
    return isinstance(value, dict) and steps[0] in value and _contains(value[str(steps[0])], steps[1:])
