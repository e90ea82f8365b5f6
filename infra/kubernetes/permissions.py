"""Whether the user of a context may do what the program does: the table of rights, asked line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from infra.kubernetes.connection import Cluster, ClusterUnusable
from infra.kubernetes.findings import Finding, Needs, unusable
from infra.kubernetes.rights import ENVIRONMENT, OPERATORS, READS, ROUTE, Right


def rights(cluster: Cluster, needs: Needs, threads: Executor) -> list[Finding]:
    """Ask for each line of the table of rights; all that is missing on one resource is one finding."""
    managed = OPERATORS if needs.config.operators == "managed" else ()
    route = ROUTE if needs.config.gateway else ()
    wanted = [*ENVIRONMENT, *READS, *managed, *route]
    try:
        who = cluster.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", _review("authentication.k8s.io", {}))
        user = who.body.get("status", {}).get("userInfo", {}).get("username", "this user")
        lacking = list(threads.map(lambda right: _lacking(cluster, right, needs.namespace), wanted))
    except ClusterUnusable as error:
        return [unusable("permissions", error)]
    found = [
        Finding(
            name="permissions",
            ok=None if right in READS else False,
            seen=f"{user} may not {', '.join(verbs)} {right.name} {_scope(right, needs.namespace)} ({right.why})",
            fix=_grant(right, verbs, user, needs.namespace),
        )
        for right, verbs in zip(wanted, lacking, strict=True)
        if verbs
    ]
    return found or [Finding(name="permissions", ok=True, seen=f"{user} may do what the program does")]


def _lacking(cluster: Cluster, right: Right, namespace: str) -> list[str]:
    """Return the verbs that are not allowed; who may do everything is asked one question only."""
    if _may(cluster, right, "*", namespace):
        return []
    return [verb for verb in right.verbs if not _may(cluster, right, verb, namespace)]


def _may(cluster: Cluster, right: Right, verb: str, namespace: str) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"group": right.group, "resource": resource, "subresource": subresource, "verb": verb}
    if right.namespaced:
        attributes["namespace"] = namespace
    spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
    answer = cluster.post(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _review("authorization.k8s.io", spec)
    )
    if not answer.ok:
        raise ClusterUnusable(f"{cluster.address} does not say what is allowed: {answer.message}")
    return bool(answer.body.get("status", {}).get("allowed"))


def _review(group: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"authentication.k8s.io": "SelfSubjectReview", "authorization.k8s.io": "SelfSubjectAccessReview"}
    return {"apiVersion": f"{group}/v1", "kind": kinds[group], **({"spec": spec} if spec else {})}


def _scope(right: Right, namespace: str) -> str:
    return f"in namespace {namespace}" if right.namespaced else "in the cluster"


def _grant(right: Right, verbs: Sequence[str], user: str, namespace: str) -> str:
    kind, where = ("role", f" -n {namespace}") if right.namespaced else ("clusterrole", "")
    return (
        f"let an administrator grant it to {user}: kubectl create {kind} slipway-{right.resource.replace('/', '-')}"
        f"{where} --verb={','.join(verbs)} --resource={right.name}, and bind it "
        "(all rights: docs/kubernetes.md)"
    )
