"""Persistent volumes for tests: local folders of the node behind the storage class `slipway-test`, the default one.

There is no provisioner on the node: `replenish` keeps a number of empty volumes at hand. They are `local` volumes, so
that the kubelet honours a pod's `fsGroup` as it does for a real disk. A volume is used once: what a claim released is
emptied and offered again by the next `replenish`.
"""

from __future__ import annotations

import shutil
from typing import Any

from tests.cluster.node.kubectl import apply, get, kubectl
from tests.cluster.node.layout import NODE, STORAGE_CLASS, Layout

OFFERED = 12
SIZE = "100Gi"
"""A folder has no size; large enough for any claim."""


def replenish(place: Layout, offered: int = OFFERED) -> None:
    """Have `offered` volumes that no claim uses."""
    free = 0
    taken: set[str] = set()
    for volume in get("persistentvolumes")["items"]:
        name = volume["metadata"]["name"]
        if volume["spec"].get("storageClassName") != STORAGE_CLASS:
            continue
        if volume["status"].get("phase") in ("Released", "Failed"):
            kubectl("delete", "persistentvolume", name, "--wait=true")
            shutil.rmtree(place.volumes / name, ignore_errors=True)
            continue
        taken.add(name)
        free += volume["status"].get("phase") in (None, "Pending", "Available")
    numbers = (number for number in range(10_000) if f"node-{number}" not in taken)
    new = [_volume(place, f"node-{next(numbers)}") for _ in range(offered - free)]
    apply(_storage_class(), *new)


def _storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _volume(place: Layout, name: str) -> dict[str, Any]:
    folder = place.volumes / name
    folder.mkdir(parents=True)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": SIZE},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
