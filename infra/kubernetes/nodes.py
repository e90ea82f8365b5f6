"""What a cluster's nodes give to pods, read from the API server's list, and whether more come by themselves.

It compares nothing: that is arithmetic in `fit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from components.kubernetes.platforms import PLATFORMS, PlatformName
from infra.kubernetes.connection import Cluster
from infra.kubernetes.fit import GPU, Amount, Pool, Taint, quantity

_AUTOSCALERS = (
    "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status",
    "/apis/karpenter.sh/v1",
    "/api/v1/configmaps?fieldSelector=metadata.name%3Dcluster-autoscaler-status",
)
"""Each is there where something makes nodes for pods that wait: the cluster autoscaler, Karpenter, and the former once
more, since it may run in any namespace."""
_HIDDEN_AUTOSCALERS: frozenset[PlatformName] = frozenset({"gke", "aks"})
"""Here it is part of the control plane, out of sight."""


def pools_of(nodes: Sequence[Mapping[str, Any]]) -> list[Pool]:
    """Return every node that takes pods as a pool of one."""
    return [_pool(node) for node in nodes if _takes_pods(node)]


def with_plugin_to_come(nodes: Sequence[Pool], platform: PlatformName) -> list[Pool]:
    """Return the nodes as they will be: where the device plugin will run, GPUs are counted once it does."""
    label = PLATFORMS[platform].gpu_label
    if label is None:
        return list(nodes)
    key, value = label
    return [
        node if node.labels.get(key) != value or node.each.gpus else replace(node, each=replace(node.each, gpus=None))
        for node in nodes
    ]


def _takes_pods(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and not node.get("spec", {}).get("unschedulable")


def _pool(node: Mapping[str, Any]) -> Pool:
    given = node["status"].get("allocatable") or {}
    return Pool(
        name=f"node {node['metadata']['name']}",
        each=Amount(
            cpu=quantity(given.get("cpu", 0)),
            memory=quantity(given.get("memory", 0)),
            gpus=quantity(given.get(GPU, 0)),
        ),
        labels=node["metadata"].get("labels") or {},
        taints=[
            Taint(key=taint["key"], value=taint.get("value") or "", effect=taint["effect"])
            for taint in node.get("spec", {}).get("taints") or []
        ],
        nodes=1,
    )


def autoscaled(cluster: Cluster, platform: PlatformName) -> bool | None:
    """Return whether nodes appear for pods that wait; None when that cannot be seen."""
    if platform in _HIDDEN_AUTOSCALERS:
        return None
    answers = [cluster.get(path) for path in _AUTOSCALERS]
    if any(answer.ok and answer.body.get("items", True) for answer in answers):
        return True
    return None if any(answer.status == HTTPStatus.FORBIDDEN for answer in answers) else False
