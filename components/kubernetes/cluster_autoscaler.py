"""ClusterAutoscaler: grows and shrinks node groups by what pods cannot be scheduled.

It runs in a namespace of its own, `restricted`: it reads every pod of the cluster and removes nodes, which no workload
may do.  Which node groups it owns, and as whom it acts in the cloud, are arguments: no cloud's SDK is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pulumi import ComponentResource, CustomTimeouts, Input, Output, Resource, ResourceOptions

from components.kubernetes.manifest import (
    PART_OF,
    Manifest,
    container_of,
    controller,
    declare,
    namespace,
    pod_of,
)

NAME = "cluster-autoscaler"
USER = 65534
_READ = ["get", "list", "watch"]
_SELECTOR = {"app.kubernetes.io/name": NAME}

RULES: Sequence[tuple[str, Sequence[str], Sequence[str], Sequence[str], str]] = (
    ("", ["nodes"], [*_READ, "update"], [], "taints a node before it is removed"),
    ("", ["pods", "services", "replicationcontrollers", "namespaces"], _READ, [], "simulates the scheduler"),
    ("", ["persistentvolumes", "persistentvolumeclaims"], _READ, [], "knows in which zone a pod's volume is"),
    ("", ["pods/eviction"], ["create"], [], "empties a node before it is removed"),
    ("", ["pods/status"], ["update"], [], "tells a pod that a node is coming"),
    ("", ["events"], ["create", "patch"], [], "tells why nothing was scaled"),
    ("apps", ["daemonsets", "replicasets", "statefulsets"], _READ, [], "what a new node runs, what may be moved"),
    ("batch", ["jobs", "cronjobs"], _READ, [], "the same"),
    ("policy", ["poddisruptionbudgets"], _READ, [], "does not break a budget"),
    (
        "storage.k8s.io",
        ["storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"],
        _READ,
        [],
        "how many volumes a node can take",
    ),
    ("resource.k8s.io", ["deviceclasses", "resourceclaims", "resourceslices"], _READ, [], "devices a pod claims"),
)
"""API group, resources, verbs, names, and why; over the whole cluster."""
OWN_RULES: Sequence[tuple[str, Sequence[str], Sequence[str], Sequence[str], str]] = (
    ("coordination.k8s.io", ["leases"], ["create"], [], "one of two replicas acts"),
    ("coordination.k8s.io", ["leases"], ["get", "update"], [NAME], "the same"),
    ("", ["configmaps"], ["create", "list", "watch"], [], "publishes its status"),
    ("", ["configmaps"], ["get", "update", "delete"], [f"{NAME}-status"], "the same"),
)
"""The same, in its own namespace."""
PRIORITIES = f"{NAME}-priority-expander"
"""The ConfigMap of the priority expander; the autoscaler knows it by this name only."""
PRIORITY_RULES: Sequence[tuple[str, Sequence[str], Sequence[str], Sequence[str], str]] = (
    ("", ["configmaps"], ["get"], [PRIORITIES], "which group comes first"),
)
"""What it needs beside these where there are priorities."""


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs:
    """Which groups it scales, and as whom."""

    image: str
    """REPOSITORY@sha256:DIGEST of the version that belongs to the cluster's Kubernetes."""
    cloud_provider: str = "aws"
    discovery: Input[str]
    """How node groups are found, such as asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/NAME."""
    environment: Mapping[str, Input[str]] = field(default_factory=dict)
    """What the cloud's client needs, such as AWS_REGION."""
    annotations: Mapping[str, Input[str]] = field(default_factory=dict)
    """Of the ServiceAccount, where the platform gives it its identity by annotation."""
    idle_minutes: int = 10
    """How long a node stays that nobody needs; GPU nodes are billed meanwhile."""
    priorities: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Patterns of group names, the highest number first, such as spot; without any, the least waste decides."""
    flags: Sequence[str] = ()
    namespace: str = NAME


def manifests(args: ClusterAutoscalerArgs) -> Iterator[tuple[str, Manifest]]:
    """Return its rights, by role."""
    rbac = "rbac.authorization.k8s.io"
    everywhere: Manifest = {"name": NAME, "labels": dict(PART_OF)}
    inside: Manifest = {**everywhere, "namespace": args.namespace}
    annotated = {**inside, **({"annotations": dict(args.annotations)} if args.annotations else {})}
    yield "account", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": annotated}
    if args.priorities:
        yield "priorities", _priorities(args, inside)
    own = [*OWN_RULES, *(PRIORITY_RULES if args.priorities else ())]
    subjects = [{"kind": "ServiceAccount", "name": NAME, "namespace": args.namespace}]
    for role, kind, metadata, rules in (
        ("role", "ClusterRole", everywhere, RULES),
        ("own-role", "Role", inside, own),
    ):
        typed: Manifest = {"apiVersion": f"{rbac}/v1", "metadata": metadata}
        yield role, {**typed, "kind": kind, "rules": [_rule(*rule) for rule in rules]}
        named = {"apiGroup": rbac, "kind": kind, "name": NAME}
        binding = {"ClusterRole": "ClusterRoleBinding", "Role": "RoleBinding"}[kind]
        yield f"{role}-binding", {**typed, "kind": binding, "roleRef": named, "subjects": subjects}


def _priorities(args: ClusterAutoscalerArgs, metadata: Manifest) -> Manifest:
    """Return the table of the priority expander: it is read while the autoscaler runs, and needs no restart."""
    by_number = {number: list(args.priorities[number]) for number in sorted(args.priorities, reverse=True)}
    table = yaml.safe_dump(by_number, sort_keys=False)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**metadata, "name": PRIORITIES},
        "data": {"priorities": table},
    }


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str], _why: str) -> Manifest:
    named = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs), **named}


def deployment(args: ClusterAutoscalerArgs) -> Manifest:
    """Return its Deployment."""
    settings = {"serviceAccountName": NAME, "priorityClassName": "system-cluster-critical"}
    pod = pod_of(USER, _container(args), **settings, securityContext={"fsGroup": USER})
    return controller(NAME, args.namespace, _SELECTOR, pod)


def _container(args: ClusterAutoscalerArgs) -> Manifest:
    command: list[Input[str]] = [
        "./cluster-autoscaler",
        f"--cloud-provider={args.cloud_provider}",
        f"--namespace={args.namespace}",
        Output.concat("--node-group-auto-discovery=", args.discovery),
        "--balance-similar-node-groups",
        f"--expander={'priority,' if args.priorities else ''}least-waste",
        f"--scale-down-unneeded-time={args.idle_minutes}m",
        f"--scale-down-delay-after-add={args.idle_minutes}m",
        "--skip-nodes-with-local-storage=false",
        *args.flags,
    ]
    probe: dict[str, Any] = {"httpGet": {"path": "/health-check", "port": 8085}}
    return container_of(
        NAME,
        args.image,
        "the cluster autoscaler's image",
        command=command,
        env=[{"name": name, "value": value} for name, value in args.environment.items()],
        ports=[{"name": "http", "containerPort": 8085, "protocol": "TCP"}],
        livenessProbe={**probe, "initialDelaySeconds": 60, "periodSeconds": 30},
        readinessProbe={**probe, "periodSeconds": 10},
        resources={"requests": {"cpu": "100m", "memory": "600Mi"}, "limits": {"memory": "1Gi"}},
    )


class ClusterAutoscaler(ComponentResource):
    """Nodes for pods that wait for one, and none for pods that are gone."""

    namespace: Output[str]
    ready: Sequence[Resource]

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:ClusterAutoscaler", name, None, opts)
        child = ResourceOptions(parent=self)
        home = declare(f"{name}-namespace", namespace(args.namespace, level="restricted"), child)
        inside = ResourceOptions(parent=self, depends_on=[home])
        rights = [declare(f"{name}-{role}", one, inside) for role, one in manifests(args)]
        last = ResourceOptions(
            parent=self, depends_on=[home, *rights], custom_timeouts=CustomTimeouts(create="5m", update="5m")
        )
        self.ready = [declare(f"{name}-deployment", deployment(args), last)]
        self.namespace = Output.from_input(args.namespace)
        self.register_outputs({"namespace": self.namespace})
