"""The node is a real cluster: pods run from digests, names resolve, volumes keep their data, rules are enforced."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest

from infra.engine.layout import StopError
from tests.cluster.node.cluster import Cluster

WAIT = "--timeout=300s"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace under the same admission rules as an environment."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    _apply(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforced}})
    yield name
    cluster.kubectl("delete", "namespace", name, WAIT)


def _apply(cluster: Cluster, *manifests: dict[str, Any]) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=listed)


def _pod(name: str, image: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "securityContext": RESTRICTED, **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **spec,
        },
    }


def _service(name: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }


def test_a_pod_by_digest_serves_another_pod_through_its_services_name(cluster: Cluster, namespace: str) -> None:
    image = cluster.image("toolbox")
    assert "@sha256:" in image
    serve = {"command": ["sh", "-c", "echo answered > /www/index.html; echo started; httpd -f -p 8080 -h /www"]}
    scratch = {"volumeMounts": [{"name": "www", "mountPath": "/www"}]}
    volumes = [{"name": "www", "emptyDir": {}}]
    client = _pod("client", image, container={"command": ["sleep", "600"]})
    server = _pod("web", image, container=serve | scratch, volumes=volumes)
    for part in (server, _service("web", 8080), client):
        part["metadata"]["namespace"] = namespace
    _apply(cluster, server, _service("web", 8080) | {"metadata": {"name": "web", "namespace": namespace}}, client)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/client", "-n", namespace, WAIT)

    url = f"http://web.{namespace}.svc.cluster.local:8080/index.html"
    fetch = ("wget", "-q", "-O", "-", url)
    assert cluster.kubectl("exec", "client", "-n", namespace, "--", *fetch) == "answered\n"
    assert cluster.kubectl("logs", "web", "-n", namespace) == "started\n"
    with pytest.raises(StopError, match="bad address"):
        cluster.kubectl("exec", "client", "-n", namespace, "--", *fetch[:-1], url.replace("web", "absent"))


def test_the_kubeconfig_works_in_this_process_as_well(cluster: Cluster) -> None:
    client = kubernetes.config.new_client_from_config(str(cluster.kubeconfig), context=cluster.context)
    with client:
        nodes = kubernetes.client.CoreV1Api(client).list_node().items
    assert any(condition.type == "Ready" and condition.status == "True" for condition in nodes[0].status.conditions)


def test_a_token_that_nobody_knows_is_refused_at_once_while_no_authenticator_listens(cluster: Cluster) -> None:
    started = time.monotonic()
    with pytest.raises(StopError, match=r"Unauthorized|must be logged in|provide credentials"):
        cluster.kubectl("--token=nobody-s", "get", "namespaces")
    assert time.monotonic() - started < 60, "a webhook that hung would be waited for five times 30 s"


def test_a_pod_that_could_become_root_is_refused_by_a_restricted_namespace(cluster: Cluster, namespace: str) -> None:
    pod = _pod("bold", cluster.image("toolbox"), container={"securityContext": {}})
    pod["metadata"]["namespace"] = namespace
    with pytest.raises(StopError, match='violates PodSecurity "restricted'):
        _apply(cluster, pod)


def test_a_database_on_a_claimed_volume_takes_its_password_and_no_other(cluster: Cluster, namespace: str) -> None:
    cluster.replenish_volumes()
    password = uuid.uuid4().hex
    _apply(cluster, *_database(namespace, cluster.image("postgres"), cluster.storage_class, password))
    cluster.kubectl("rollout", "status", "statefulset/database", "-n", namespace, WAIT)

    def ask(with_password: str) -> str:
        address = f"postgresql://slipway:{with_password}@127.0.0.1/registry"
        query = ("psql", address, "-Atc", "select current_database()")
        return cluster.kubectl("exec", "database-0", "-n", namespace, "--", *query)

    assert ask(password) == "registry\n"
    with pytest.raises(StopError, match="password authentication failed"):
        ask("wrong")
    cluster.kubectl("delete", "pod", "database-0", "-n", namespace, WAIT)
    cluster.kubectl("rollout", "status", "statefulset/database", "-n", namespace, WAIT)
    assert ask(password) == "registry\n", "the volume keeps the database when its pod is replaced"


def _database(namespace: str, image: str, storage_class: str | None, password: str) -> list[dict[str, Any]]:
    env = {"POSTGRES_USER": "slipway", "POSTGRES_DB": "registry", "POSTGRES_PASSWORD_FILE": "/secret/password"}
    mounts = {
        "data": "/var/lib/postgresql/data",
        "socket": "/var/run/postgresql",
        "secret": "/secret",
    }
    container = {
        "env": [{"name": name, "value": value} for name, value in (env | {"PGDATA": f"{mounts['data']}/db"}).items()],
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    }
    volumes = [{"name": "socket", "emptyDir": {}}, {"name": "secret", "secret": {"secretName": "database"}}]
    security = {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
    pod = _pod("database", image, container=container, volumes=volumes, securityContext=security)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class is not None:
        claim["storageClassName"] = storage_class
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "namespace": namespace},
        "stringData": {"password": password},
    }
    stateful = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "database", "namespace": namespace},
        "spec": {
            "serviceName": "database",
            "selector": {"matchLabels": {"app": "database"}},
            "template": {"metadata": pod["metadata"] | {"name": None}, "spec": pod["spec"]},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }
    return [secret, stateful]


@pytest.fixture
def gpu_node(cluster: Cluster) -> Iterator[str]:
    """One node of a GPU pool, as a cloud labels and taints it."""
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    cluster.add_gpu_nodes([name], labels={"pool": name}, taints=[taint], capacity={"nvidia.com/gpu": "4"})
    yield name
    cluster.remove_gpu_nodes([name])


def test_a_gpu_pod_lands_on_the_gpu_node_and_one_that_asks_for_more_stays_pending(
    cluster: Cluster, namespace: str, gpu_node: str
) -> None:
    tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]

    def gpu_pod(name: str, gpus: int, tolerations: list[dict[str, str]]) -> dict[str, Any]:
        container = {"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
        spec = {"tolerations": tolerations, "nodeSelector": {"pool": gpu_node}}
        pod = _pod(name, cluster.image("toolbox"), container=container, **spec)
        pod["metadata"]["namespace"] = namespace
        return pod

    _apply(cluster, gpu_pod("fits", 4, tolerated))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/fits", "-n", namespace, WAIT)
    _apply(cluster, gpu_pod("more", 1, tolerated), gpu_pod("bare", 4, []))
    reason = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].reason}=Unschedulable"
    cluster.kubectl("wait", f"--for={reason}", "pod/more", "pod/bare", "-n", namespace, WAIT)
    assert cluster.kubectl("get", "pod", "fits", "-n", namespace, "-o", "jsonpath={.spec.nodeName}") == gpu_node


@pytest.fixture
def kuberay(cluster: Cluster) -> Iterator[None]:
    """The operator and its CRDs; afterwards the cluster is as it was, for tests that bring their own."""
    cluster.install_kuberay()
    yield
    cluster.uninstall_kuberay()


@pytest.mark.usefixtures("kuberay")
def test_the_ray_operator_makes_a_head_pod_and_its_service_for_a_ray_cluster(cluster: Cluster, namespace: str) -> None:
    head = {
        "rayStartParams": {},
        "template": {"spec": _pod("head", cluster.image("toolbox"))["spec"]},
    }
    ray = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "ray", "namespace": namespace},
        "spec": {"headGroupSpec": head},
    }
    _apply(cluster, ray)
    owned = ("-l", "ray.io/cluster=ray,ray.io/node-type=head", "-n", namespace)
    cluster.kubectl("wait", "--for=create", "pod", *owned, WAIT)
    cluster.kubectl("wait", "--for=create", "service/ray-head-svc", "-n", namespace, WAIT)
    cluster.kubectl("delete", "raycluster", "ray", "-n", namespace, WAIT)
    cluster.kubectl("wait", "--for=delete", "pod", *owned, WAIT)
