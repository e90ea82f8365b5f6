"""GPU nodes without GPUs: KWOK plays their kubelets, so that scheduling is real and nothing runs.

Owns the KWOK process, started when the first such node is wanted, and the nodes that carry its annotation. Pods on
them are reported Running; their containers do not exist, so exec, logs and probes say nothing about a program.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from infra.engine.dependencies import exclusive
from infra.engine.layout import StopError
from tests.cluster.node import lifecycle, processes
from tests.cluster.node.binaries import binary
from tests.cluster.node.kubectl import get, kubectl
from tests.cluster.node.layout import ADDRESS, KWOK_PODS, Layout

ANNOTATION = "kwok.x-k8s.io/node"
LABEL = "slipway.test/kwok"
GPU = "nvidia.com/gpu"
READY_S = 180


def start(place: Layout) -> None:
    """Start KWOK unless it runs."""
    with exclusive(lifecycle.LOCK, "another start or stop of the node"):
        state = processes.read()
        if state is None:
            raise StopError("there is no node: bring it up first")
        if "kwok" in state.processes and processes.alive(state.processes["kwok"]):
            return
        command = [
            str(binary(place, "kwok")),
            f"--kubeconfig={place.kubeconfig}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
            f"--node-ip={ADDRESS}",
            f"--cidr={KWOK_PODS}",
            "--node-lease-duration-seconds=40",
            "--server-address=127.0.0.1:10247",
        ]
        processes.start(state, "kwok", command, place.logs / "kwok.log")


def add_nodes(
    place: Layout,
    names: Sequence[str],
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    capacity: Mapping[str, str] | None = None,
) -> None:
    """Create nodes and wait until they are Ready.

    Args:
        place: the node's layout.
        names: one node each.
        labels: what a pool's selector asks for, beside the hostname.
        taints: `{key, value, effect}` each.
        capacity: over 32 CPUs, 128 GiB, 110 pods and 1 GPU; also what is allocatable.
    """
    start(place)
    amount = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "200Gi", "pods": "110", GPU: "1", **(capacity or {})}
    nodes = [_node(name, labels or {}, taints, amount) for name in names]
    kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
    _until_ready(names)


def _until_ready(names: Sequence[str]) -> None:
    """Wait for the nodes by their list: `kubectl wait` asks for one after another, which is minutes for hundreds."""
    end = time.monotonic() + READY_S
    while missing := set(names) - _ready():
        if time.monotonic() > end:
            raise StopError(f"{len(missing)} nodes of KWOK are not Ready after {READY_S} s, such as {min(missing)}")
        time.sleep(0.2)


def _ready() -> set[str]:
    found = get("nodes", "--selector", f"{LABEL}=true")["items"]
    return {
        node["metadata"]["name"]
        for node in found
        if any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))
    }


def remove_nodes(names: Sequence[str] = ()) -> None:
    """Remove these nodes, or all that KWOK plays, and then their pods, which otherwise stay for a minute.

    In that order: a pod that waits for a place takes the one that another pod leaves.
    """
    everywhere = [node["metadata"]["name"] for node in get("nodes", "--selector", f"{LABEL}=true")["items"]]
    doomed = [name for name in everywhere if not names or name in names]
    if doomed:
        kubectl("delete", "node", *doomed, "--wait=true")
    for name in doomed:
        placed = ("--all-namespaces", f"--field-selector=spec.nodeName={name}")
        kubectl("delete", "pods", *placed, "--force", "--grace-period=0", "--wait=false")


def _node(
    name: str, labels: Mapping[str, str], taints: Sequence[Mapping[str, str]], amount: Mapping[str, str]
) -> dict[str, Any]:
    standard = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {**standard, LABEL: "true", **labels},
        },
        "spec": {"taints": list(taints)},
        "status": {"capacity": dict(amount), "allocatable": dict(amount)},
    }
