"""Whether a cluster can take an environment, asked before anything is made: every problem at once, each with its fix.

It only reads and asks; what runs in the environment already is nothing to it.  The cluster is asked in parallel, each
call for at most ten seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import quote

from components.kubernetes.platforms import PLATFORMS
from components.settings import SettingError
from infra.kubernetes import claims, fit, permissions
from infra.kubernetes.connection import Cluster, ClusterUnusable, shared
from infra.kubernetes.findings import OFFLINE, Finding, Needs, unusable
from infra.kubernetes.nodes import autoscaled, pools_of, with_plugin_to_come

TESTED = ("1.34", "1.35")
"""Kubernetes versions on which the tests run."""
_CALLS_AT_ONCE = 16
_GATEWAY_API = "gateway.networking.k8s.io/v1"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_OR_NONE = "(docs/kubernetes.md, GPU pools), or ask for no GPUs"


class PreflightFailed(SettingError):
    """The cluster cannot take the environment; the text lists everything that stands against it."""


def require(needs: Needs) -> list[Finding]:
    """Return the warnings.

    Raises:
        PreflightFailed: with every problem and its fix.
    """
    findings = examine(needs)
    problems = [finding for finding in findings if finding.ok is False]
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        told = "\n".join(f"  - {finding.name}: {finding.seen}\n    fix: {finding.fix}" for finding in problems)
        raise PreflightFailed(
            f"the cluster of the context {needs.config.context} cannot take this environment, {count} "
            f"(nothing was changed):\n{told}"
        )
    return [finding for finding in findings if finding.ok is None]


def examine(needs: Needs) -> list[Finding]:
    """Return everything that was looked at; without a cluster (SLIPWAY_OFFLINE=1) only what the config says."""
    findings = [*sizes(needs)]
    if os.environ.get(OFFLINE) == "1":
        return [*findings, Finding(name="cluster", ok=None, seen=f"not asked: {OFFLINE}=1", fix=f"unset {OFFLINE}")]
    try:
        cluster = shared(needs.config.context, needs.kubeconfig)
        return [*_server(cluster), *findings, *_asked(cluster, needs)]
    except ClusterUnusable as error:
        return [unusable("cluster", error), *findings]


def _asked(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """Yield what the checks find, in the order of the table; they run side by side."""
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
        rights = permissions.rights(cluster, needs, threads)
        others = [threads.submit(_found, check, cluster, needs) for check in CHECKS]
        yield from rights
        for other in others:
            yield from other.result()


def _found(check: Check, cluster: Cluster, needs: Needs) -> list[Finding]:
    try:
        return list(check(cluster, needs))
    except ClusterUnusable as error:
        return [unusable(check.__name__.strip("_").replace("_", " "), error)]


def sizes(needs: Needs) -> Iterator[Finding]:
    """What the config says alone: pods against GPU pools, and against the quota that the stack itself makes."""
    gpu_pods = [pod for pod in [*needs.pods, *needs.surge] if pod.gpus]
    for misfit in fit.misfits(gpu_pods, needs.pools):
        fix = "ask for less, or describe larger nodes in slipway:gpu_pools"
        yield Finding(name="GPU pools", ok=False, seen=str(misfit), fix=fix)
    quota = needs.config.quota
    hard = {"cpu": quota.cpu, "memory": quota.memory, fit.GPU: str(quota.gpus), "pods": str(quota.pods)}
    for problem in fit.over_quota(needs.pods, needs.surge, hard):
        fix = "raise slipway:substrate.quota, or ask for less in training.resources and serving.replicas"
        yield Finding(name="quota of the stack", ok=False, seen=f"slipway:substrate.quota: {problem}", fix=fix)


def _server(cluster: Cluster) -> Iterator[Finding]:
    """Whether the API server answers this user, and its version; raises when it does not."""
    answer = cluster.get("/version")
    if not answer.ok:
        raise ClusterUnusable(
            f"the API server {cluster.address} refuses the credentials of the context {cluster.context}: "
            f"{answer.message}. Log in again"
        )
    version = f"{answer.body['major']}.{str(answer.body['minor']).rstrip('+')}"
    seen = f"{cluster.address} runs Kubernetes {answer.body['gitVersion']}"
    fix = "" if version in TESTED else f"tested are {' and '.join(TESTED)}; others are expected to work from 1.30 on"
    yield Finding(name="cluster", ok=True if version in TESTED else None, seen=seen, fix=fix)


def _gateway(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """The Gateway API, and the Gateway that the config names, where requests come from outside."""
    config = needs.config
    if config.gateway is None and config.incremental_upgrade is None:
        return
    served = cluster.get(f"/apis/{_GATEWAY_API}")
    if not any(entry["name"] == "httproutes" for entry in served.body.get("resources", [])):
        fix = "install the Gateway API and a controller, or remove slipway:substrate.gateway and incremental_upgrade"
        yield Finding(name="gateway", ok=False, seen=f"the cluster lacks httproutes of {_GATEWAY_API}", fix=fix)
        return
    if config.gateway is None:
        return
    name, namespace = config.gateway.name, config.gateway.namespace
    answer = cluster.get(f"/apis/{_GATEWAY_API}/namespaces/{quote(namespace)}/gateways/{quote(name)}")
    yield Finding(
        name="gateway",
        # who may not look at it may still be routed by it
        ok=None if answer.status == HTTPStatus.FORBIDDEN else answer.ok,
        seen=f"the Gateway {name} in namespace {namespace}: {'is there' if answer.ok else answer.message}",
        fix="" if answer.ok else "correct slipway:substrate.gateway: it names a Gateway that exists",
    )


def _quota(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """Quotas of the namespace that somebody else set."""
    answer = cluster.get(f"/api/v1/namespaces/{quote(needs.namespace)}/resourcequotas")
    for item in answer.body.get("items", []) if answer.ok else []:
        metadata = item["metadata"]
        if (metadata.get("labels") or {}).get("slipway/environment") == needs.environment:
            continue
        problems = fit.over_quota(needs.pods, needs.surge, item["spec"].get("hard") or {})
        yield Finding(
            name=f"quota {metadata['name']}",
            ok=not problems,
            seen=f"in namespace {needs.namespace}: {'; '.join(problems) or 'is large enough'}",
            fix="let an administrator raise it, or ask for less in training.resources and serving.replicas"
            if problems
            else "",
        )


def _nodes(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """Whether there are nodes for GPU pods, or something that makes them; and how many nodes share a volume."""
    answer = cluster.get("/api/v1/nodes")
    if not answer.ok:
        yield Finding(name="nodes", ok=None, seen=f"cannot be listed: {answer.message}", fix="allow get, list of nodes")
        return
    nodes = pools_of(answer.body.get("items", []))
    yield from _volume_on_one_node(needs, len(nodes))
    gpus = sum(node.each.gpus or 0 for node in nodes)
    ready = Finding(name="nodes", ok=True, seen=f"{len(nodes)} ready, {gpus:g} GPUs")
    yield ready if nodes else Finding(name="nodes", ok=None, seen="none is ready", fix="kubectl get nodes")
    wanting = [pod for pod in needs.pods if pod.gpus and pod.count]
    brings_plugin = needs.config.operators == "managed" and needs.config.operator_images.device_plugin is not None
    lost = fit.misfits(wanting, with_plugin_to_come(nodes, needs.config.platform) if brings_plugin else nodes)
    grows = autoscaled(cluster, needs.config.platform) if lost else True
    for misfit in lost if grows is not True else []:
        why = str(misfit) if gpus else f"{misfit.pod.setting}: {misfit.pod.name} needs a GPU; no node has {fit.GPU}"
        seen = "no cluster autoscaler was found" if grows is False else "whether nodes are added cannot be seen"
        yield Finding(
            name="GPU nodes",
            ok=grows,
            seen=f"{why}; {seen}",
            fix=_plugin_fix(needs) if brings_plugin else f"add GPU nodes with NVIDIA's device plugin {_OR_NONE}",
        )


def _plugin_fix(needs: Needs) -> str:
    label = PLATFORMS[needs.config.platform].gpu_label
    where = "" if label is None else f" with the label {label[0]}={label[1]}, where this stack's device plugin runs"
    return f"add GPU nodes{where} {_OR_NONE}"


def _volume_on_one_node(needs: Needs, count: int) -> Iterator[Finding]:
    if needs.config.volume is not None and count > 1:
        yield Finding(
            name="artifact volume",
            ok=False,
            seen=f"slipway:substrate.volume keeps artifacts on one volume, and the cluster has {count} nodes: "
            "pods on other nodes would not see it",
            fix="use a bucket: slipway:artifacts.uri: s3://BUCKET/PREFIX",
        )


def _storage(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """The StorageClass of the volumes, where the stack has any."""
    config = needs.config
    if config.volume is None and config.database.image is None:
        return
    answer = cluster.get("/apis/storage.k8s.io/v1/storageclasses")
    if not answer.ok:
        yield Finding(name="storage", ok=None, seen=f"cannot be listed: {answer.message}", fix="allow get, list")
        return
    items = [item["metadata"] for item in answer.body.get("items", [])]
    names = [str(item["name"]) for item in items]
    default = [item["name"] for item in items if (item.get("annotations") or {}).get(_DEFAULT_CLASS) == "true"]
    there = config.storage_class in names if config.storage_class else bool(default)
    wanted = f"the StorageClass {config.storage_class}" if config.storage_class else "a default StorageClass"
    yield Finding(
        name="storage",
        ok=there,
        seen=f"{wanted} is {'there' if there else 'missing'}; there are: {', '.join(names) or 'none'}",
        fix="" if there else "set slipway:substrate.storage_class to one of them, or make one the default",
    )


Check = Callable[[Cluster, Needs], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (claims.namespace, claims.operators, _gateway, _quota, _nodes, _storage)
"""What is asked besides version and rights; each runs in a thread of its own."""
