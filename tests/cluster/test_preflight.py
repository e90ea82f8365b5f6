"""Preflight and port-forwards against a real API server: what it refuses, what it lacks, what reaches a pod."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes import fit
from infra.kubernetes.access import forward, secret
from infra.kubernetes.connection import connect
from infra.kubernetes.findings import OFFLINE, Finding, Needs
from infra.kubernetes.preflight import examine
from infra.kubernetes.settings import KubernetesConfig
from tests.cluster.node.cluster import Cluster
from tests.cluster.users import limited_user

IMAGE = "registry.example/slipway@sha256:" + "0" * 64
GREETING = "Bearer only-the-pod-sees-this"
# answers every request with the Authorization header that arrived
ECHO = """
cat > /tmp/answer <<'END'
auth=none
while read -r line; do
  line=${line%?}
  case $line in [Aa]uthorization:*) auth=${line#*: } ;; "") break ;; esac
done
printf 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %s\\r\\n\\r\\n%s' ${#auth} "$auth"
END
exec nc -ll -p 8080 -e sh /tmp/answer
"""


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"preflight-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OFFLINE, raising=False)


def needs(cluster: Cluster, namespace: str, kubeconfig: Path | None = None, **changes: Any) -> Needs:
    settings = {"kind": "kubernetes", "context": cluster.context, "image": IMAGE, "database": {"url_secret": "db"}}
    pods = changes.pop("pods", [])
    return Needs(
        config=KubernetesConfig.model_validate({**settings, **changes}),
        kubeconfig=str(kubeconfig or cluster.kubeconfig),
        namespace=namespace,
        environment=namespace,
        pods=pods,
        surge=[],
        pools=[],
    )


def by_name(found: list[Finding]) -> dict[str, list[Finding]]:
    names = {finding.name for finding in found}
    return {name: [finding for finding in found if finding.name == name] for name in names}


def test_the_administrator_of_a_real_cluster_lacks_no_right_and_is_answered_in_time(
    cluster: Cluster, namespace: str
) -> None:
    started = time.monotonic()
    found = by_name(examine(needs(cluster, namespace)))
    took = time.monotonic() - started
    assert [finding.ok for finding in found["permissions"]] == [True]
    assert found["cluster"][0].ok is not False
    assert found["nodes"][0].ok
    assert took < 60, f"{took:.1f} s; 2 s on an idle machine"


def test_missing_rights_are_named_by_verb_and_resource(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    kubeconfig = limited_user(cluster, namespace, tmp_path, "get", "list", "watch", "create", "patch")
    found = by_name(examine(needs(cluster, namespace, kubeconfig)))
    told = [finding.seen for finding in found["permissions"] if finding.ok is False]
    user = f"system:serviceaccount:{namespace}:jane"
    assert any(f"{user} may not delete deployments.apps in namespace {namespace}" in text for text in told)
    assert any("may not create, delete, get, list, patch, watch secrets in namespace" in text for text in told)
    assert any("may not create, delete, get, list, patch, watch namespaces in the cluster" in text for text in told)
    warned = [finding.seen for finding in found["permissions"] if finding.ok is None]
    assert any("nodes in the cluster" in text for text in warned), "what only the preflight reads is no obstacle"


def test_missing_definitions_are_named_and_found_once_they_are_there(cluster: Cluster, namespace: str) -> None:
    if cluster.place is None:
        pytest.skip("a given cluster keeps its operator")
    cluster.uninstall_kuberay()
    (absent,) = by_name(examine(needs(cluster, namespace)))["KubeRay"]
    assert absent.ok is False
    assert "rayclusters.ray.io, rayjobs.ray.io, rayservices.ray.io" in absent.seen
    cluster.install_kuberay()
    try:
        assert by_name(examine(needs(cluster, namespace)))["KubeRay"][0].ok
        (foreign,) = by_name(examine(needs(cluster, namespace, **managed())))["KubeRay"]
        assert foreign.ok is False, "who installed it is somebody else than this stack"
    finally:
        cluster.uninstall_kuberay()


def managed() -> dict[str, Any]:
    return {"operators": "managed", "operator_images": {"kuberay": IMAGE}}


def test_a_quota_that_is_too_small_and_gpus_that_no_node_has_are_found(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "quota", "team", "-n", namespace, "--hard=requests.cpu=1")
    worker = fit.Pod(name="a training worker", setting="slipway:training.resources.gpus = 1", cpu=2, memory=1, gpus=1)
    found = by_name(examine(needs(cluster, namespace, pods=[worker], quota={"gpus": 1})))
    assert "requests.cpu is 1, the stack asks for 2" in found["quota team"][0].seen
    if cluster.place is not None:
        assert "no node has nvidia.com/gpu" in found["GPU nodes"][0].seen


@pytest.fixture
def echo(cluster: Cluster, namespace: str) -> str:
    """A Service whose pod says which Authorization header reached it."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "main",
        "image": cluster.image("toolbox"),
        "command": ["sh", "-c", ECHO],
        "securityContext": security,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  in the pod
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "echo", "namespace": namespace, "labels": {"app": "echo"}},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "echo", "namespace": namespace},
        "spec": {"selector": {"app": "echo"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, service]})
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=listed)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/echo", "-n", namespace, "--timeout=300s")
    return "echo"


def ask(url: str) -> str:
    request = urllib.request.Request(url, headers={"Authorization": GREETING})
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(response.read().decode())


def eventually(check: Callable[[], str], wanted: str) -> str:
    """Return what `check` says, as soon as that is `wanted`: endpoints follow a pod after a moment."""
    deadline = time.monotonic() + 120
    found = check()
    while found != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
        found = check()
    return found


def test_a_port_forward_reaches_the_pod_with_the_authorization_header(
    cluster: Cluster, namespace: str, echo: str
) -> None:
    with (
        connect(cluster.context, str(cluster.kubeconfig)) as connected,
        forward(connected, namespace, echo, 80) as url,
    ):
        assert url.startswith("http://127.0.0.1:")
        assert eventually(lambda: ask(url), GREETING) == GREETING
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(ask, [url] * 12)) == [GREETING] * 12
    with pytest.raises(urllib.error.URLError):
        ask(url)  # it is closed with its context


def test_the_proxy_of_services_takes_the_header_away(cluster: Cluster, namespace: str, echo: str) -> None:
    """Why commands use port-forwards: through the API server's proxy, neither MLflow nor the model knows who asks."""
    path = f"/api/v1/namespaces/{namespace}/services/{echo}:http/proxy/"
    with connect(cluster.context, str(cluster.kubeconfig)) as connected:
        assert eventually(lambda: connected.get(path).message, "none") == "none"


def test_a_secret_is_read(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("create", "secret", "generic", "serving-token", "-n", namespace, "--from-literal=token=t0ken")
    with connect(cluster.context, str(cluster.kubeconfig)) as connected:
        assert secret(connected, namespace, "serving-token") == {"token": "t0ken"}
        assert secret(connected, namespace, "absent") == {}
