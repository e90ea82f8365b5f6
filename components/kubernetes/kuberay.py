"""KubeRayOperator: definitions, rights and the controller that turns RayJobs and RayServices into pods.

It runs in a namespace of its own, `restricted`, because its rights reach into the environments it watches.  The rules
come from the release; each needs a reason here, so a later release's new privilege stops the program until somebody
has looked at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pulumi import ComponentResource, CustomTimeouts, Output, Resource, ResourceOptions

from components.kubernetes import crds
from components.kubernetes.manifest import (
    PART_OF,
    Manifest,
    container_of,
    controller,
    declare,
    namespace,
    pod_of,
)

NAME = "kuberay-operator"
USER = 65532
PROBE_PORT = 8082
_SELECTOR = {"app.kubernetes.io/name": "kuberay", "app.kubernetes.io/component": NAME}

REASONS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("", "events"): "tells why a cluster does not start",
        ("", "pods"): "makes and deletes the pods of Ray clusters",
        ("", "pods/status"): "reads and patches readiness of Ray pods",
        ("", "pods/proxy"): "reaches a head through the API server where it is told to",
        ("", "pods/resize"): "resizes Ray pods in place",
        ("", "services"): "makes the Services of heads and of Serve",
        ("", "services/status"): "reads their state",
        ("", "services/proxy"): "reaches a dashboard through the API server where it is told to",
        ("", "secrets"): "reads the cluster's auth token, and makes one where none is named",
        ("", "serviceaccounts"): "makes the account of a head that asks for workers",
        ("batch", "jobs"): "makes the Job that submits a RayJob",
        ("coordination.k8s.io", "leases"): "holds the lease by which one operator is active",
        ("discovery.k8s.io", "endpointslices"): "counts the endpoints of a Serve Service",
        ("ray.io", "*"): "its own kinds",
        ("rbac.authorization.k8s.io", "roles"): "gives a head the right to ask for workers",
        ("rbac.authorization.k8s.io", "rolebindings"): "the same; it can only give away rights that it has",
    }
)
"""(API group, resource) -> why the operator has it."""
LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "route.openshift.io": "OpenShift routes: the dashboard is not routed outside",
        "extensions": "ingresses: the dashboard is not routed outside",
        "networking.k8s.io": "ingresses: the dashboard is not routed outside",
        "gateway.networking.k8s.io": "only for incremental upgrades (`gateway`)",
    }
)
"""Groups of the release's role that are not granted, and why."""


@dataclass(frozen=True, kw_only=True)
class KubeRayArgs:
    """How the operator runs."""

    manifests: Path
    """The folder with the files of the release."""
    image: str
    """REPOSITORY@sha256:DIGEST."""
    namespace: str = NAME
    watch: Sequence[str] = ()
    """The namespaces whose objects it acts on; its rights end there. Empty: the whole cluster."""
    gateway: bool = False
    """Grant what incremental upgrades of a RayService need, and turn them on."""
    requests: Mapping[str, str] = field(default_factory=lambda: {"cpu": "100m", "memory": "512Mi"})
    limits: Mapping[str, str] = field(default_factory=lambda: {"cpu": "1", "memory": "1Gi"})
    """The release's 100m of CPU makes a cluster of some hundred pods wait for minutes."""


def rules(args: KubeRayArgs) -> list[Manifest]:
    """Return the release's rules, less what is left out.

    Raises:
        ValueError: the release asks for something that nobody gave a reason for.
    """
    role = yaml.safe_load((args.manifests / "role.yaml").read_text())
    kept = [kept for rule in role["rules"] for kept in _kept(rule, gateway=args.gateway)]
    unexplained = sorted(
        f"{group or 'core'}/{resource}"
        for rule in kept
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if (group, resource) not in REASONS and (group, "*") not in REASONS and group not in LEFT_OUT
    )
    if unexplained:
        raise ValueError(
            f"the role of {args.manifests.name} asks for {', '.join(unexplained)}, which has no reason in "
            f"components/kubernetes/kuberay.py: read the release notes, then add it to REASONS or LEFT_OUT"
        )
    return kept


def _kept(rule: Mapping[str, Any], *, gateway: bool) -> Iterator[Manifest]:
    groups = [
        group for group in rule["apiGroups"] if group not in LEFT_OUT or (gateway and group.startswith("gateway."))
    ]
    names = [name for name in rule["resources"] if not name.startswith("raycronjobs")]  # a gate that is off
    if groups and names:
        yield {"apiGroups": groups, "resources": names, "verbs": list(rule["verbs"])}


def manifests(args: KubeRayArgs) -> Iterator[tuple[str, Manifest]]:
    """Return what the operator runs with, by role; definitions and namespace are apart."""
    labels = {**PART_OF, **_SELECTOR}
    inside: Manifest = {"name": NAME, "namespace": args.namespace, "labels": labels}
    rbac = "rbac.authorization.k8s.io"
    yield "account", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": args.namespace}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": NAME}
    everywhere = {"name": NAME, "labels": labels}
    yield "role", {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": everywhere, "rules": rules(args)}
    bound = {"apiVersion": f"{rbac}/v1", "roleRef": role, "subjects": [subject]}
    if not args.watch:
        yield "binding", {**bound, "kind": "ClusterRoleBinding", "metadata": everywhere}
    for watched in args.watch:
        metadata = {"name": NAME, "namespace": watched, "labels": labels}
        yield f"binding-{watched}", {**bound, "kind": "RoleBinding", "metadata": metadata}
    leases = [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "list", "update"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    lease: Manifest = {**inside, "name": f"{NAME}-lease"}
    own = {"apiGroup": rbac, "kind": "Role", "name": f"{NAME}-lease"}
    yield "lease-role", {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": lease, "rules": leases}
    yield "lease-binding", {**bound, "kind": "RoleBinding", "metadata": lease, "roleRef": own}


def deployment(args: KubeRayArgs) -> Manifest:
    """Return the operator's Deployment."""
    pod = pod_of(USER, _container(args), serviceAccountName=NAME, terminationGracePeriodSeconds=10)
    return controller(NAME, args.namespace, _SELECTOR, pod, strategy={"type": "Recreate"})


def _container(args: KubeRayArgs) -> Manifest:
    arguments = [f"--watch-namespace={','.join(args.watch)}"] if args.watch else []
    if args.gateway:
        arguments.append("--feature-gates=RayServiceIncrementalUpgrade=true")
    return container_of(
        NAME,
        args.image,
        "the KubeRay operator's image",
        command=["/manager"],
        args=arguments,
        ports=[
            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
            {"name": "probe", "containerPort": PROBE_PORT, "protocol": "TCP"},
        ],
        livenessProbe={"httpGet": {"path": "/healthz", "port": "probe"}, "periodSeconds": 10, "failureThreshold": 6},
        readinessProbe={"httpGet": {"path": "/readyz", "port": "probe"}, "periodSeconds": 5},
        resources={"requests": dict(args.requests), "limits": dict(args.limits)},
    )


class KubeRayOperator(ComponentResource):
    """KubeRay, ready to act: its definitions are served and its Deployment is rolled out.

    Destroying it deletes the definitions and with them every RayJob and RayService of the cluster.
    """

    namespace: Output[str]
    ready: Sequence[Resource]
    """What every RayJob and RayService depends on."""

    def __init__(self, name: str, args: KubeRayArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:KubeRayOperator", name, None, opts)
        child = ResourceOptions(parent=self)
        definitions = [declare(f"{name}-crd-{kind}", one, child) for kind, one in crds.load(args.manifests)]
        home = declare(f"{name}-namespace", namespace(args.namespace, level="restricted"), child)
        inside = ResourceOptions(parent=self, depends_on=[home])
        rights = [declare(f"{name}-{role}", one, inside) for role, one in manifests(args)]
        # started before its definitions are served or its rights are there, it would stop and back off
        last = ResourceOptions(
            parent=self,
            depends_on=[home, *definitions, *rights],
            custom_timeouts=CustomTimeouts(create="5m", update="5m"),
        )
        controller = declare(f"{name}-deployment", deployment(args), last)
        self.ready = [*definitions, controller]
        self.namespace = Output.from_input(args.namespace)
        self.register_outputs({"namespace": self.namespace})
