"""What the program and the `slipway` command must be allowed to do in a cluster: one table.

`preflight` asks the API server for each line, docs/kubernetes.md shows it, and a test keeps both equal to what the
program really registers.  It decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

_KEEP = ("create", "delete", "get", "list", "patch", "watch")
_READ = ("get", "list", "watch")
_WAIT = "Pulumi's wait for a Deployment"


@dataclass(frozen=True, kw_only=True)
class Right:
    """Verbs on one resource; `group` is empty for the core group."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    namespaced: bool = True

    @property
    def name(self) -> str:
        """The resource as kubectl takes it."""
        resource, slash, subresource = self.resource.partition("/")
        return f"{resource}.{self.group}{slash}{subresource}" if self.group else self.resource


def _keep(group: str, *resources: str, why: str, namespaced: bool = True) -> tuple[Right, ...]:
    return tuple(
        Right(group=group, resource=resource, verbs=_KEEP, why=why, namespaced=namespaced) for resource in resources
    )


ENVIRONMENT = (
    *_keep("", "namespaces", why="the environment's namespace", namespaced=False),
    *_keep("", "configmaps", "services", "serviceaccounts", why="MLflow, runs, results"),
    *_keep("", "secrets", why="empty Secrets, filled in the cluster; the commands read logins"),
    *_keep("", "persistentvolumeclaims", "resourcequotas", "limitranges", why="volumes and limits of the namespace"),
    *_keep("apps", "deployments", "statefulsets", why="MLflow, PostgreSQL"),
    *_keep("batch", "cronjobs", "jobs", why="small steps: secrets, verdict, release; retraining"),
    *_keep("networking.k8s.io", "networkpolicies", why="default deny, and the allowed paths"),
    *_keep("policy", "poddisruptionbudgets", why="MLflow stays while nodes are drained"),
    *_keep("rbac.authorization.k8s.io", "rolebindings", "roles", why="patch of single objects by name"),
    *_keep("ray.io", "rayclusters", "rayjobs", "rayservices", why="training and serving"),
    Right(group="", resource="pods", verbs=_READ, why="waits, log lines, failures"),
    Right(group="", resource="pods/log", verbs=("get",), why="log lines of a training while `up` runs"),
    Right(group="", resource="pods/portforward", verbs=("create", "get"), why="`slipway status`, `predict`, `release`"),
    Right(group="", resource="events", verbs=("list", "watch"), why="why a pod does not start"),
    Right(group="discovery.k8s.io", resource="endpointslices", verbs=("get", "list", "watch"), why="ready pods"),
    Right(group="apps", resource="replicasets", verbs=_READ, why=_WAIT),
    Right(group="", resource="endpoints", verbs=_READ, why="Pulumi's wait for a Service"),
)
"""What every environment needs.

The last two are of Pulumi's own Kubernetes plugin (its `await/deployment.go` and `service.go`): it watches them, and
where it may not, it waits for nothing to come until its time is up.
"""

READS = (
    Right(group="", resource="nodes", verbs=("get", "list"), why="whether pods fit", namespaced=False),
    Right(
        group="storage.k8s.io", resource="storageclasses", verbs=("get", "list"), why="default class", namespaced=False
    ),
)
"""What only the preflight reads; without it, the check is left out and said."""

ROUTE = _keep("gateway.networking.k8s.io", "httproutes", why="`serving` reached from outside")
"""Needed with an HTTPRoute."""

OPERATORS = (
    *_keep("apiextensions.k8s.io", "customresourcedefinitions", why="KubeRay's resources", namespaced=False),
    *_keep(
        "rbac.authorization.k8s.io",
        *("clusterrolebindings", "clusterroles", "rolebindings", "roles"),
        why="KubeRay's own rights; to give them away, one must have them",
        namespaced=False,
    ),
    *_keep("apps", "daemonsets", "deployments", why="KubeRay, the NVIDIA device plugin", namespaced=False),
    *_keep("", "serviceaccounts", "services", why="accounts of the operators", namespaced=False),
    *_keep("storage.k8s.io", "storageclasses", why="a default class", namespaced=False),
    Right(group="apps", resource="replicasets", verbs=_READ, why=_WAIT, namespaced=False),
    Right(group="", resource="pods", verbs=_READ, why=_WAIT, namespaced=False),
    Right(group="", resource="persistentvolumeclaims", verbs=_READ, why=_WAIT, namespaced=False),
)
"""Needed with `operators: managed`, in the operators' namespaces and for the whole cluster."""

SECTIONS = {
    "every environment": ENVIRONMENT,
    "read by the preflight; without it, that check is left out and said": READS,
    "with `substrate.gateway`": ROUTE,
    "with `operators: managed`": OPERATORS,
}


def table() -> str:
    """Return all rights as the table of docs/kubernetes.md."""
    lines = ["| resource | verbs | where | what for |", "|---|---|---|---|"]
    for section, rights in SECTIONS.items():
        lines.append(f"| **{section}** | | | |")
        for right in rights:
            where = "namespace" if right.namespaced else "cluster"
            lines.append(f"| `{right.name}` | {' '.join(right.verbs)} | {where} | {right.why} |")
    return "\n".join(lines) + "\n"
