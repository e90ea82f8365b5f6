"""Whose things on a cluster are, asked before anything is made: the namespace, KubeRay, and whom its operator serves.

The program takes over what exists under its names, so that an `up` that was killed can be repeated.  So what carries
no label of this environment is refused here, by name.  It only reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from components.kubernetes import device_plugin, kuberay
from infra.kubernetes.connection import Cluster
from infra.kubernetes.findings import Finding, Needs

RAY_CRDS = ("rayclusters", "rayjobs", "rayservices")
KUBERAY = "1.6.2"
OWNER = "slipway/environment"
_WATCH = "--watch-namespace"
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"


def namespace(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """The environment's namespace: absent, or its own."""
    name = needs.namespace
    answer = cluster.get(f"/api/v1/namespaces/{quote(name)}")
    if not answer.ok:  # absent; or it may not be looked at, which the rights tell
        return
    if answer.body["metadata"].get("deletionTimestamp"):
        yield Finding(
            name="namespace",
            ok=False,
            seen=f"the namespace {name} is being deleted",
            fix=f"wait: kubectl wait --for=delete namespace/{name}; if it stays, its status says what holds it",
        )
        return
    owner = _owner(answer.body)
    if owner == needs.environment:
        return
    whose = f"it belongs to the environment {owner}" if owner else f"it has no label {OWNER}"
    yield Finding(
        name="namespace",
        ok=False,
        seen=f"the namespace {name} exists and is not this environment's: {whose}; destroy would delete it",
        fix="set slipway:substrate.namespace to another name; or give it to this environment: "
        f"kubectl label --overwrite namespace {name} {OWNER}={needs.environment}",
    )


def operators(cluster: Cluster, needs: Needs) -> Iterator[Finding]:
    """KubeRay: there with `external`, and nobody else's with `managed`."""
    served = cluster.get("/apis/ray.io/v1")
    known = {str(entry["name"]) for entry in served.body.get("resources", [])} if served.ok else set()
    if needs.config.operators == "managed":
        yield _managed(cluster, needs, known)
        return
    absent = [f"{name}.ray.io" for name in RAY_CRDS if name not in known]
    if absent:
        install = (
            "helm install kuberay-operator kuberay-operator "
            f"--repo https://ray-project.github.io/kuberay-helm/ --version {KUBERAY} "
            f"-n {needs.config.operator_namespace} --create-namespace; or slipway:substrate.operators: managed"
        )
        yield Finding(name="KubeRay", ok=False, seen=f"the cluster lacks {', '.join(absent)}", fix=install)
        return
    yield _external(cluster, needs)


def _managed(cluster: Cluster, needs: Needs, known: set[str]) -> Finding:
    """Say whether what this stack would install is there already, from somebody else."""
    wanted = [
        *(("crd", f"{name}.ray.io", _CRD) for name in RAY_CRDS if name in known),
        ("clusterrole", kuberay.NAME, "/apis/rbac.authorization.k8s.io/v1/clusterroles/"),
        ("namespace", needs.config.operator_namespace, "/api/v1/namespaces/"),
    ]
    if needs.config.operator_images.device_plugin is not None:
        wanted.append(("namespace", device_plugin.NAMESPACE, "/api/v1/namespaces/"))
    found = {(kind, name): cluster.get(path + quote(name)) for kind, name, path in wanted}
    owners = {key: _owner(answer.body) for key, answer in found.items() if answer.ok}
    foreign = {key: owner for key, owner in owners.items() if owner != needs.environment}
    if not foreign:
        return Finding(name="KubeRay", ok=True, seen="this stack may install it")
    told = ", ".join(f"{kind} {name} ({_whose(owner)})" for (kind, name), owner in foreign.items())
    return Finding(
        name="KubeRay",
        ok=False,
        seen=f"installed by somebody else: {told}",
        fix="set slipway:substrate.operators: external, with one operator that watches "
        f"{needs.namespace} too; or, if nobody uses them: "
        f"kubectl delete {' '.join(f'{kind}/{name}' for kind, name in foreign)} "
        "(with its definitions goes every Ray object of the cluster)",
    )


def _owner(body: Mapping[str, Any]) -> str | None:
    label = (body.get("metadata", {}).get("labels") or {}).get(OWNER)
    return str(label) if label else None


def _whose(owner: str | None) -> str:
    return f"of the environment {owner}, whose operator acts on that one alone" if owner else "not by Slipway"


def _external(cluster: Cluster, needs: Needs) -> Finding:
    """Say whether the operator that is there acts on this environment's namespace."""
    home = needs.config.operator_namespace
    answer = cluster.get(f"/apis/apps/v1/namespaces/{quote(home)}/deployments")
    if not answer.ok:
        seen = "KubeRay's resources are there; whom its operator serves cannot be seen"
        return Finding(name="KubeRay", ok=True, seen=seen)
    found = [item for item in answer.body.get("items", []) if "kuberay" in item["metadata"]["name"]]
    if not found:
        return Finding(
            name="KubeRay",
            ok=None,
            seen=f"KubeRay's resources are there, and no operator is in the namespace {home}",
            fix="set slipway:substrate.operator_namespace to where it runs: NetworkPolicies let it in from there",
        )
    serving = [item for item in found if not (names := _watched(item)) or needs.namespace in names]
    if serving:
        return _running(serving, home)
    watched = [_watched(item) for item in found]
    told = ", ".join(sorted(name for names in watched for name in names))
    return Finding(
        name="KubeRay",
        ok=False,
        seen=f"its operator in the namespace {home} acts on {told} alone, not on {needs.namespace}",
        fix=f"let it watch {needs.namespace} too (helm: watchNamespace), "
        "or install one for the whole cluster instead of it",
    )


def _running(deployments: Sequence[Mapping[str, Any]], home: str) -> Finding:
    """Say whether an operator that would act does act: without one, a RayJob is waited for until its time is up."""
    if any((item.get("status") or {}).get("availableReplicas") for item in deployments):
        return Finding(name="KubeRay", ok=True, seen=f"its operator in {home} acts on this namespace")
    name = str(deployments[0]["metadata"]["name"])
    wanted = deployments[0]["spec"].get("replicas", 1)
    why = f"none of its {wanted} pods is available" if wanted else "it is scaled to 0"
    where = f"kubectl -n {home}"
    look = f"{where} describe deployment/{name}" if wanted else f"{where} scale deployment/{name} --replicas=1"
    return Finding(
        name="KubeRay",
        ok=False,
        seen=f"its operator {name} in the namespace {home} is installed and does not run: {why}",
        fix=f"{look}; when it runs: {where} rollout status deployment/{name}",
    )


def _watched(deployment: Mapping[str, Any]) -> set[str]:
    """Return the namespaces that an operator is told to watch; empty: all of them."""
    words = [
        str(word)
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for word in [*(container.get("command") or []), *(container.get("args") or [])]
    ]
    values = [word.partition("=")[2] for word in words if word.startswith(f"{_WATCH}=")]
    values += [after for word, after in pairwise(words) if word == _WATCH]
    return {name for value in values for name in value.split(",") if name}
