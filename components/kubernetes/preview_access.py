"""PreviewAccess: what previews of pull requests may do in the cluster: read, and try writes without doing them.

A preview of a change sends the changed object to the API server as a dry run, to learn what would come of it. The
right to do that is the right to write: RBAC knows no dry runs. So the group may create and patch what an environment
declares, and an admission policy refuses each of its requests that is not a dry run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components.kubernetes.manifest import PART_OF, Manifest, declare

_READ = ["get", "list", "watch"]
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

TRIED: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "": [
            "configmaps",
            "limitranges",
            "namespaces",
            "persistentvolumeclaims",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
        "apiextensions.k8s.io": ["customresourcedefinitions"],
        "apps": ["daemonsets", "deployments", "statefulsets"],
        "batch": ["cronjobs", "jobs"],
        "gateway.networking.k8s.io": ["httproutes"],
        "networking.k8s.io": ["networkpolicies"],
        "policy": ["poddisruptionbudgets"],
        "ray.io": ["rayclusters", "rayjobs", "rayservices"],
        "storage.k8s.io": ["storageclasses"],
    }
)
"""By API group: what environments declare; read, and written as a dry run."""
READ_ONLY: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "": ["endpoints", "events", "nodes", "pods"],
        "apps": ["replicasets"],
        "discovery.k8s.io": ["endpointslices"],
        _RBAC: ["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
        _ADMISSION: ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
    }
)
"""Read and never written, not even as a dry run: what waits look at, rights, and the policy that bounds the group."""
LEFT_OUT = MappingProxyType(
    {
        ("", "secrets"): "a dry run answers with the whole object, and so with the secret",
        (_RBAC, "clusterrolebindings"): "a right that cannot be given away is refused in a dry run too",
        (_RBAC, "clusterroles"): "the same",
        (_RBAC, "rolebindings"): "the same",
        (_RBAC, "roles"): "the same",
        (_ADMISSION, "validatingadmissionpolicies"): "nobody tries changes of what bounds them",
        (_ADMISSION, "validatingadmissionpolicybindings"): "the same",
    }
)
"""What environments declare and previews do not try, and why; the preview then shows what the program says."""


@dataclass(frozen=True, kw_only=True)
class PreviewAccessArgs:
    """Which group."""

    group: str = "slipway:preview"
    name: str = "slipway-preview"
    """Of the cluster-wide objects; two environments on one cluster need two."""


def manifests(args: PreviewAccessArgs) -> Iterator[tuple[str, Manifest]]:
    """Return each object by its role, the policy first: rights come once it bounds them."""
    metadata: Manifest = {"name": args.name, "labels": dict(PART_OF)}
    yield "policy", {**_typed(_ADMISSION, "ValidatingAdmissionPolicy"), "metadata": metadata, "spec": policy(args)}
    binding = {"policyName": args.name, "validationActions": ["Deny"]}
    yield (
        "policy-binding",
        {**_typed(_ADMISSION, "ValidatingAdmissionPolicyBinding"), "metadata": metadata, "spec": binding},
    )
    yield "role", {**_typed(_RBAC, "ClusterRole"), "metadata": metadata, "rules": rules()}
    yield (
        "role-binding",
        {
            **_typed(_RBAC, "ClusterRoleBinding"),
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": args.name},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": args.group}],
        },
    )


def policy(args: PreviewAccessArgs) -> Manifest:
    """Return the policy: of the group, whatever the request is for, only dry runs.

    Requests that change nothing never reach admission. All others do, in every API group and for every subresource:
    a right that the group is given elsewhere by mistake is bounded too. An error in it refuses.
    """
    group = json.dumps(args.group)
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"}
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [everything]},
        "matchConditions": [
            {
                "name": "a-preview",
                "expression": f"has(request.userInfo.groups) && {group} in request.userInfo.groups",
            }
        ],
        "validations": [
            {
                "expression": "has(request.dryRun) && request.dryRun",
                "message": f"{args.group} may write only as a dry run: changes are made by the role that deploys",
                "reason": "Forbidden",
            }
        ],
    }


def rules() -> list[Manifest]:
    """Return the rights of the group."""
    tried = [_rule(group, resources, [*_READ, "create", "patch"]) for group, resources in TRIED.items()]
    return [*tried, *(_rule(group, resources, _READ) for group, resources in READ_ONLY.items())]


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Manifest:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _typed(group: str, kind: str) -> Manifest:
    return {"apiVersion": f"{group}/v1", "kind": kind}


class PreviewAccess(ComponentResource):
    """The group reads, and writes only as a dry run."""

    group: Output[str]
    ready: Sequence[Resource]

    def __init__(self, name: str, args: PreviewAccessArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:PreviewAccess", name, None, opts)
        made: list[Resource] = []
        for role, manifest in manifests(args):
            # one after the other: without the policy nobody has the rights, neither at first nor at the end
            after = ResourceOptions(parent=self, depends_on=[*made])
            made.append(declare(f"{name}-{role}", manifest, after))
        self.ready = made
        self.group = Output.from_input(args.group)
        self.register_outputs({"group": self.group})
