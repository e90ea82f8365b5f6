"""How the commands reach a service: which pod is chosen, what is said when there is none, how Secrets are read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes.access import forward, ready_pod, secret
from infra.kubernetes.connection import Cluster, ClusterUnusable, connect
from tests.unit.fake_cluster import CONTEXT, FakeCluster, fake_cluster

SERVICE = "/api/v1/namespaces/ns/services/tracking"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices?labelSelector=kubernetes.io/service-name%3Dtracking"
PASSWORD = "correct horse"


@pytest.fixture
def fake() -> Iterator[FakeCluster]:
    with fake_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(fake: FakeCluster, tmp_path: Path) -> Iterator[Cluster]:
    with connect(CONTEXT, fake.kubeconfig(tmp_path)) as connected:
        yield connected


def endpoint(pod: str, *, ready: bool = True) -> dict[str, Any]:
    return {"targetRef": {"kind": "Pod", "name": pod}, "conditions": {"ready": ready}}


def serve(fake: FakeCluster, *endpoints: dict[str, Any]) -> None:
    fake.answers[SERVICE] = {"spec": {"ports": [{"name": "http", "port": 5000}, {"name": "metrics", "port": 9000}]}}
    ports = [{"name": "metrics", "port": 9100}, {"name": "http", "port": 5050}]
    fake.answers[SLICES] = {"items": [{"ports": ports, "endpoints": list(endpoints)}]}


def test_a_ready_pod_is_chosen_and_its_own_port(fake: FakeCluster, cluster: Cluster) -> None:
    serve(fake, endpoint("starting", ready=False), endpoint("running"))
    assert ready_pod(cluster, "ns", "tracking", 5000) == ("running", 5050)


def test_without_a_ready_pod_the_message_says_where_to_look(fake: FakeCluster, cluster: Cluster) -> None:
    serve(fake, endpoint("starting", ready=False))
    with (
        pytest.raises(ClusterUnusable, match=r"no ready pod.*kubectl --context fake -n ns get pods"),
        forward(cluster, "ns", "tracking", 5000),
    ):
        pass


def test_a_service_that_is_not_there_is_named(cluster: Cluster) -> None:
    with pytest.raises(ClusterUnusable, match="service tracking in ns"):
        ready_pod(cluster, "ns", "tracking", 5000)


def test_a_secret_is_read_and_decoded(fake: FakeCluster, cluster: Cluster) -> None:
    data = {"password": base64.b64encode(PASSWORD.encode()).decode()}
    fake.answers["/api/v1/namespaces/ns/secrets/tracking-login"] = {"data": data}
    assert secret(cluster, "ns", "tracking-login") == {"password": PASSWORD}


def test_a_secret_that_is_not_there_is_empty(cluster: Cluster) -> None:
    assert secret(cluster, "ns", "serving-token") == {}


def test_a_secret_that_may_not_be_read_is_said_and_not_taken_for_an_absent_one(
    fake: FakeCluster, cluster: Cluster
) -> None:
    fake.statuses["/api/v1/namespaces/ns/secrets/tracking-login"] = 403
    with pytest.raises(ClusterUnusable, match="Secret tracking-login in ns cannot be read"):
        secret(cluster, "ns", "tracking-login")


def test_the_current_context_is_never_used(fake: FakeCluster, tmp_path: Path) -> None:
    path = Path(fake.kubeconfig(tmp_path))
    path.write_text(path.read_text().replace('"kind"', '"current-context": "fake", "kind"'))
    with pytest.raises(ClusterUnusable, match="no such context"), connect("other", str(path)):
        pass
    assert fake.asked == []


@pytest.mark.parametrize("text", ["", "a: [", "- just\n- a list\n"])
def test_a_broken_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(ClusterUnusable, match=f"kubeconfig {path} cannot be read"), connect("x", str(path)):
        pass


def test_a_list_of_kubeconfigs_is_merged(fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.write_text("apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n")
    monkeypatch.setenv("KUBECONFIG", f"{other}:{fake.kubeconfig(tmp_path)}")
    with connect(CONTEXT) as connected:
        assert connected.get("/version").ok
