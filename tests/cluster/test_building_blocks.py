"""What components/kubernetes renders, before a real API server: strictly valid, admitted, and it works.

Namespaces are made for real under names of their own, everything else is a dry run on the server; then KubeRay is
installed from its small definitions and narrow rights, and must still make a cluster.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from components.kubernetes import cluster_autoscaler, crds, environment_namespace, kuberay
from components.kubernetes.cluster_autoscaler import ClusterAutoscalerArgs
from components.kubernetes.device_plugin import WHY, DevicePluginArgs, daemon_set
from components.kubernetes.environment_namespace import Account, EnvironmentNamespaceArgs, Quota
from components.kubernetes.kuberay import KubeRayArgs
from components.kubernetes.manifest import namespace as namespace_manifest
from components.kubernetes.network_policies import Paths, manifest, render
from components.kubernetes.platforms import PLATFORMS, Endpoint
from components.kubernetes.storage_class import storage_class
from infra.engine import manifests
from infra.engine.layout import StopError
from tests.cluster.node.cluster import Cluster, UnavailableError
from tests.cluster.node.kubectl import await_definitions

Manifest = Mapping[str, Any]
IMAGE = "registry.example/operator@sha256:" + "a" * 64
WAIT = "--timeout=300s"
STRICT = ("--server-side", "--validate=strict", "--force-conflicts", "--field-manager=slipway-test")


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[str]:
    """The environment's namespace, as the component makes it."""
    yield from _made(cluster, "restricted")


@pytest.fixture(scope="module")
def privileged(cluster: Cluster) -> Iterator[str]:
    yield from _made(cluster, "privileged")


def _made(cluster: Cluster, level: str) -> Iterator[str]:
    name = f"blocks-{uuid.uuid4().hex[:8]}"
    apply(cluster, namespace_manifest(name, level=level, why=WHY))
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, WAIT)  # admission looks it up
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def apply(cluster: Cluster, *objects: Manifest, dry: bool = False) -> str:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    flags = ["--dry-run=server"] if dry else []
    return cluster.kubectl("apply", *STRICT, *flags, "-f", "-", stdin=listed)


def kuberay_args(home: str, **changes: Any) -> KubeRayArgs:
    manifests.fetch(manifests.KUBERAY)
    args = KubeRayArgs(manifests=manifests.folder(manifests.KUBERAY), image=IMAGE, namespace=home, watch=[home])
    return replace(args, **changes)


def autoscaler_args(home: str) -> ClusterAutoscalerArgs:
    return ClusterAutoscalerArgs(
        image=IMAGE, discovery="asg:tag=owned", environment={"AWS_REGION": "eu"}, namespace=home
    )


def plugin_args(home: str) -> DevicePluginArgs:
    manifests.fetch(manifests.DEVICE_PLUGIN)
    folder = manifests.folder(manifests.DEVICE_PLUGIN)
    return DevicePluginArgs(manifests=folder, image=IMAGE, platform="eks", namespace=home)


def autoscaler_deployment(home: str) -> dict[str, Any]:
    """The Deployment with the one value that is an Output in a program."""

    async def rendered() -> dict[str, Any]:
        made = cluster_autoscaler.deployment(autoscaler_args(home))
        command = made["spec"]["template"]["spec"]["containers"][0]["command"]
        command[3] = await command[3].future()
        return made

    return asyncio.run(rendered())


def test_the_environment_s_namespace_is_valid(cluster: Cluster, home: str) -> None:
    args = EnvironmentNamespaceArgs(
        namespace=home,
        accounts=[Account(name="training", annotations={"eks.amazonaws.com/role-arn": "arn:role"})],
        quota=Quota(cpu="8", memory="32Gi", pods=50, gpus=4),
    )
    apply(cluster, *(one for _, one in environment_namespace.manifests(args)), dry=True)


@pytest.mark.parametrize(
    "paths",
    [
        Paths(),
        Paths(
            store_in={"minio": [9000]},
            identity=PLATFORMS["gke"].identity.endpoints,
            dns=PLATFORMS["gke"].dns,
            database=[Endpoint(cidr="10.0.0.5/32", ports=[5432])],
            ingress_from=["gateway"],
            scrape_from=["monitoring"],
        ),
    ],
    ids=["least", "most"],
)
def test_every_network_policy_is_valid(cluster: Cluster, home: str, paths: Paths) -> None:
    apply(cluster, *(manifest(name, spec, home) for name, spec in render(paths).items()), dry=True)


def test_every_object_of_the_operators_is_valid(cluster: Cluster, home: str, privileged: str) -> None:
    operator, autoscaler = kuberay_args(home), autoscaler_args(home)
    objects = [
        *(one for _, one in kuberay.manifests(operator)),
        *(one for _, one in kuberay.manifests(replace(operator, watch=[], gateway=True))),
        kuberay.deployment(operator),
        *(one for _, one in cluster_autoscaler.manifests(autoscaler)),
        autoscaler_deployment(home),
        daemon_set(plugin_args(privileged)),
        storage_class("eks"),
    ]
    apply(cluster, *objects, dry=True)


def test_every_definition_is_valid(cluster: Cluster, home: str) -> None:
    renamed = [_renamed(one) for _, one in crds.load(kuberay_args(home).manifests)]
    apply(cluster, *renamed, dry=True)


def _renamed(definition: Manifest) -> dict[str, Any]:
    """The same under another group: the cluster may have the real one, and a dry run would be an update of it."""
    names = definition["spec"]["names"]
    metadata = {**definition["metadata"], "name": f"{names['plural']}.slipway.test"}
    return {**definition, "metadata": metadata, "spec": {**definition["spec"], "group": "slipway.test"}}


def test_a_misspelt_field_is_refused(cluster: Cluster, home: str) -> None:
    wrong = manifest("wrong", {"podSelector": {}, "ingres": []}, home)
    with pytest.raises(StopError, match="ingres"):
        apply(cluster, wrong, dry=True)


def test_admission_takes_every_pod_but_the_device_plugin_s(cluster: Cluster, home: str, privileged: str) -> None:
    for made in (kuberay.deployment(kuberay_args(home)), autoscaler_deployment(home)):
        apply(cluster, _account(made, home), dry=True)
        apply(cluster, _pod(made, home), dry=True)
    plugin = daemon_set(plugin_args(home))
    with pytest.raises(StopError, match=r"(?s)violates PodSecurity.*hostPath"):
        apply(cluster, _pod(plugin, home), dry=True)
    apply(cluster, _pod(plugin, privileged), dry=True)


def _pod(controller: Manifest, home: str) -> dict[str, Any]:
    spec = {**controller["spec"]["template"]["spec"]}
    spec.pop("serviceAccountName", None)  # a dry run makes no account
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": home}, "spec": spec}


def _account(controller: Manifest, home: str) -> dict[str, Any]:
    name = controller["spec"]["template"]["spec"]["serviceAccountName"]
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": home}}


@contextmanager
def operator(cluster: Cluster, home: str) -> Iterator[KubeRayArgs]:
    """KubeRay as the component installs it, in a namespace of its own, watching `home`."""
    if "rayclusters.ray.io" in cluster.kubectl("get", "crd", "-o", "name"):
        raise UnavailableError("the cluster has KubeRay's definitions: removing them would remove what is there")
    args = kuberay_args(f"blocks-{uuid.uuid4().hex[:8]}", watch=[home], image=cluster.image("operator"))
    definitions = [one for _, one in crds.load(args.manifests)]
    rest = [*(one for _, one in kuberay.manifests(args)), kuberay.deployment(args)]
    try:
        apply(cluster, namespace_manifest(args.namespace, level="restricted"), *definitions)
        await_definitions(cluster.kubectl, *(one["metadata"]["name"] for one in definitions))
        apply(cluster, *rest)
        cluster.kubectl("rollout", "status", f"deployment/{kuberay.NAME}", "-n", args.namespace, WAIT)
        yield args
    finally:
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*definitions, *rest]})
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", WAIT, stdin=listed)
        cluster.kubectl("delete", "namespace", args.namespace, "--ignore-not-found", "--wait=false")


def ray_cluster(home: str, image: str, **pod: Any) -> dict[str, Any]:
    """An autoscaled cluster: the operator must give its head an account with a Role."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "ray", "image": image, "command": ["sleep", "600"], "securityContext": security}
    template = {"spec": {"containers": [container], **pod}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "ray", "namespace": home},
        "spec": {
            "rayVersion": "2.60.0",
            "enableInTreeAutoscaling": True,
            "autoscalerOptions": {"version": "v2", "image": image, "securityContext": security},
            "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": template},
        },
    }


def test_the_operator_works_with_small_definitions_and_narrow_rights(cluster: Cluster, home: str) -> None:
    image = cluster.image("toolbox")
    with operator(cluster, home) as args:
        with pytest.raises(StopError, match="nodeSelectors"):
            apply(cluster, ray_cluster(home, image, nodeSelectors={}))
        apply(cluster, ray_cluster(home, image))
        owned = ("-l", "ray.io/cluster=ray,ray.io/node-type=head", "-n", home)
        cluster.kubectl("wait", "--for=create", "pod", *owned, WAIT)
        for kind in ("service/ray-head-svc", "role/ray", "rolebinding/ray", "serviceaccount/ray"):
            cluster.kubectl("wait", "--for=create", kind, "-n", home, WAIT)
        log = cluster.kubectl("logs", f"deployment/{kuberay.NAME}", "-n", args.namespace)
        assert "forbidden" not in log, "a right that was left out is needed after all"
        cluster.kubectl("delete", "raycluster", "ray", "-n", home, WAIT)
        cluster.kubectl("wait", "--for=delete", "pod", *owned, WAIT)
