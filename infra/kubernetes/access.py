"""How the user's commands reach what runs in a cluster: the logins in its Secrets, and services on loopback.

Secrets are read for one command and never printed or stored.
"""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from infra.kubernetes.connection import TIMEOUT_S, Cluster, ClusterUnusable
from infra.kubernetes.names import SERVING_SERVICE

_CHUNK = 2**16
_ACCEPT_S = 0.2


def secret(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    """Return the values of a Secret; empty when it is not there.

    Raises:
        ClusterUnusable: it may not be read.
    """
    answer = cluster.get(f"/api/v1/namespaces/{quote(namespace)}/secrets/{quote(name)}")
    if answer.ok:
        return {key: base64.b64decode(value).decode() for key, value in (answer.body.get("data") or {}).items()}
    if answer.status == 404:  # noqa: PLR2004
        return {}
    raise ClusterUnusable(f"the Secret {name} in {namespace} cannot be read: {answer.message}")


@contextlib.contextmanager
def forward(cluster: Cluster, namespace: str, service: str, port: int) -> Iterator[str]:
    """Yield a URL on loopback that leads to a ready pod of the service; every connection chooses anew.

    A port-forward and not the API server's proxy of services: the API server takes the `Authorization` header off
    every request that it lets in, and MLflow and the model endpoint both need theirs.

    Raises:
        ClusterUnusable: the service has no ready pod.
    """
    ready_pod(cluster, namespace, service, port)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_ACCEPT_S)
        over = threading.Event()
        listener = threading.Thread(
            target=_listen, args=(server, over, cluster, (namespace, service, port)), name=f"forward-{service}"
        )
        listener.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            listener.join()


def ready_pod(cluster: Cluster, namespace: str, service: str, port: int) -> tuple[str, int]:
    """Return a ready pod behind the port of a service, and the pod's own port.

    Raises:
        ClusterUnusable: there is none; the text says whether the service or its pods are missing.
    """
    base = f"namespaces/{quote(namespace)}"
    found = cluster.get(f"/api/v1/{base}/services/{quote(service)}")
    if not found.ok:
        raise ClusterUnusable(f"service {service} in {namespace}: {found.message}. See: slipway status")
    names = [entry.get("name") for entry in found.body["spec"]["ports"] if entry["port"] == port]
    query = quote(f"kubernetes.io/service-name={service}")
    slices = cluster.get(f"/apis/discovery.k8s.io/v1/{base}/endpointslices?labelSelector={query}")
    if not slices.ok:
        raise ClusterUnusable(f"endpoints of {service} in {namespace}: {slices.message}")
    for piece in slices.body.get("items", []):
        ports = [entry["port"] for entry in piece.get("ports") or [] if (entry.get("name") or None) in _named(names)]
        pods = _ready_pods(piece.get("endpoints") or [])
        if ports and pods:
            return pods[0], int(ports[0])
    raise ClusterUnusable(
        f"service {service} in {namespace} has no ready pod. "
        f"See why: kubectl --context {cluster.context} -n {namespace} get pods,events"
    )


def _named(names: Sequence[str | None]) -> set[str | None]:
    return {name or None for name in names}


def _ready_pods(endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        str(endpoint["targetRef"]["name"])
        for endpoint in endpoints
        if (endpoint.get("conditions") or {}).get("ready", True)
        and (endpoint.get("targetRef") or {}).get("kind") == "Pod"
    ]


def _listen(server: socket.socket, over: threading.Event, cluster: Cluster, where: tuple[str, str, int]) -> None:
    """Hand every connection to a thread of its own until `over`; then wait for them."""
    threads = []
    while not over.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        thread = threading.Thread(target=_carry, args=(connection, over, cluster, where), name="forward", daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(TIMEOUT_S)


def _carry(local: socket.socket, over: threading.Event, cluster: Cluster, where: tuple[str, str, int]) -> None:
    """Carry one connection to a ready pod; when that fails, the caller sees its connection closed."""
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

    namespace, service, port = where
    with local:
        try:
            pod, target = ready_pod(cluster, namespace, service, port)
            tunnel = cluster.portforward(namespace, pod, target)
        except (ClusterUnusable, ApiException):
            return
        remote = tunnel.socket(target)
        back = threading.Thread(target=_pump, args=(remote, local, over), name="forward", daemon=True)
        back.start()
        _pump(local, remote, over)
        # the library has no half-closed connections: it is closed when the caller has closed
        tunnel.close()
        back.join()


def _pump(source: Any, sink: Any, over: threading.Event) -> None:
    """Copy bytes one way until either side closes or `over`."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: the other direction has closed the socket
        while not over.is_set():
            # not select(): it cannot watch what a process opens after its first thousand files
            watched = select.poll()
            watched.register(source, select.POLLIN)
            if not watched.poll(_ACCEPT_S * 1000):
                continue
            chunk = source.recv(_CHUNK)
            if not chunk:
                break
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def ray_state(cluster: Cluster, namespace: str) -> tuple[bool | None, str, str]:
    """Return health, state and version of the cluster that serves, as KubeRay sees it."""
    path = f"/apis/ray.io/v1/namespaces/{quote(namespace)}/rayservices/{SERVING_SERVICE}"
    try:
        answer = cluster.get(path)
        made = _listed(cluster, namespace)
    except ClusterUnusable as error:
        return False, str(error), ""
    if not answer.ok:
        return False, answer.message, ""
    version = (answer.body["spec"].get("rayClusterConfig") or {}).get("rayVersion")
    conditions = {entry["type"]: entry for entry in (answer.body.get("status") or {}).get("conditions") or []}
    ready = conditions.get("Ready") or {}
    upgrade = ", upgrade in progress" if (conditions.get("UpgradeInProgress") or {}).get("status") == "True" else ""
    if ready.get("status") == "True":
        return True, f"up{upgrade}{made}", f"Ray {version}"
    return False, f"not ready: {ready.get('message') or 'no condition yet'}{upgrade}{made}", f"Ray {version}"


def _listed(cluster: Cluster, namespace: str) -> str:
    """Return the Ray clusters that there are, for people: `: serving-x7k2p (2 workers)`; empty when none is seen."""
    answer = cluster.get(f"/apis/ray.io/v1/namespaces/{quote(namespace)}/rayclusters")
    told = []
    for item in (answer.body.get("items") or []) if answer.ok else []:
        status = item.get("status") or {}
        count = status.get("availableWorkerReplicas") or 0
        state = "" if status.get("state") == "ready" else f", {status.get('state') or 'starting'}"
        told.append(f"{item['metadata']['name']} ({count} worker{'' if count == 1 else 's'}{state})")
    return f": {', '.join(sorted(told))}" if told else ""
