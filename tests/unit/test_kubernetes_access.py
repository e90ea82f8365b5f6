"""How the commands reach a service: which pod is chosen, what is said when there is none, how Secrets are read."""

from __future__ import annotations

import base64
import os
import resource
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes.access import forward, ready_pod, secret
from infra.kubernetes.connection import Cluster, ClusterUnusable, connect, disconnect, shared
from tests.unit.fake_cluster import CONTEXT, FakeCluster, fake_cluster

SERVICE = "/api/v1/namespaces/ns/services/tracking"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices?labelSelector=kubernetes.io/service-name%3Dtracking"
PASSWORD = "correct horse"
MANY = 1100
"""More than select() can watch."""


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


def test_a_process_has_one_connection_until_it_lets_go_of_it(fake: FakeCluster, tmp_path: Path) -> None:
    path = fake.kubeconfig(tmp_path)
    one = shared(CONTEXT, path)
    assert one.get("/version").ok
    assert shared(CONTEXT, path) is one
    disconnect()
    another = shared(CONTEXT, path)
    assert another is not one
    assert another.get("/version").ok


class Tunnel:
    """What the client library returns for a port-forward: here it leads to a server of the test."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))

    def socket(self, _: int) -> socket.socket:
        return self._socket

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def pod(fake: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, int]]]:
    """A ready pod that answers with what it was sent; yields the tunnels that were opened."""
    serve(fake, endpoint("running"))

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(self.headers["Authorization"]).encode() + b" " + body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
            pass

    opened: list[tuple[str, str, int]] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:

        def open_tunnel(_: Cluster, namespace: str, name: str, port: int) -> Tunnel:
            opened.append((namespace, name, port))
            return Tunnel(server.server_port)

        monkeypatch.setattr(Cluster, "portforward", open_tunnel)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield opened
        finally:
            server.shutdown()
            thread.join()


def post(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, data=body, headers={"Authorization": "Bearer x"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return bytes(response.read())


def test_requests_go_through_the_tunnel_whole_and_at_the_same_time(
    cluster: Cluster, pod: list[tuple[str, str, int]]
) -> None:
    large = b"x" * 3_000_000
    with forward(cluster, "ns", "tracking", 5000) as url, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda body: post(url, body), [b"a", large, b"c", large]))
    assert answers == [b"Bearer x a", b"Bearer x " + large, b"Bearer x c", b"Bearer x " + large]
    assert pod == [("ns", "running", 5050)] * 4


@pytest.fixture
def many_files() -> Iterator[None]:
    """A process that has more than a thousand files open, as a program with many resources has."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < MANY + 200:
        pytest.skip(f"a process may have only {before[1]} files open here: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], MANY + 200), before[1]))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(MANY)]
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_files", "pod")
def test_requests_go_through_the_tunnel_however_many_files_are_open(cluster: Cluster) -> None:
    with forward(cluster, "ns", "tracking", 5000) as url:
        assert post(url, b"a") == b"Bearer x a"


@pytest.mark.usefixtures("pod")
def test_nothing_listens_any_more_and_no_thread_is_left_after_it(cluster: Cluster) -> None:
    with forward(cluster, "ns", "tracking", 5000) as url:
        post(url, b"a")
    with pytest.raises(urllib.error.URLError):
        post(url, b"a")
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("forward")]


@pytest.mark.usefixtures("pod")
def test_a_pod_that_goes_away_closes_the_connection_and_the_next_one_chooses_anew(
    fake: FakeCluster, cluster: Cluster
) -> None:
    with forward(cluster, "ns", "tracking", 5000) as url:
        serve(fake, endpoint("running", ready=False))
        with pytest.raises((OSError, ConnectionError)):
            post(url, b"a")
        serve(fake, endpoint("another"))
        assert post(url, b"a") == b"Bearer x a"
