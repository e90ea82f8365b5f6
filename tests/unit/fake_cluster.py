"""An API server for the few paths that preflight and port-forwards ask; a real one is in tests/cluster."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.kubernetes.connection import disconnect

ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
CONTEXT = "fake"
Allowed = Callable[[Mapping[str, str]], bool]


def healthy() -> dict[str, Any]:
    """Answers of a cluster of one node that can take an environment: path -> body; None is a 404."""
    node = {
        "metadata": {"name": "node1", "labels": {}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "8", "memory": "32Gi"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.3"},
        "/apis/ray.io/v1": {"resources": [{"name": name} for name in ("rayclusters", "rayjobs", "rayservices")]},
        "/api/v1/nodes": {"items": [node]},
        "/apis/storage.k8s.io/v1/storageclasses": {"items": [{"metadata": {"name": "fast", "annotations": default}}]},
    }


class FakeCluster:
    """What the server answers; change `answers`, `allowed` and `statuses` before asking."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = healthy()
        self.statuses: dict[str, int] = {}
        self.allowed: Allowed = lambda _: True
        self.asked: list[tuple[str, str, str | None]] = []
        self.reviews: list[dict[str, str]] = []
        self.url = ""
        self.takes_s = 0.0
        """How long an answer takes."""
        self.most_at_once = 0
        """How many calls were being answered at the same time."""
        self._open = 0
        self._counting = threading.Lock()

    def called(self, by: int) -> None:
        """Count a call that begins (1) or ends (-1)."""
        with self._counting:
            self._open += by
            self.most_at_once = max(self.most_at_once, self._open)

    def answer(self, method: str, path: str, body: Any, token: str | None) -> tuple[int, Any]:
        self.asked.append((method, path, token))
        if path in self.statuses:
            return self.statuses[path], {"message": f"{path} is refused here"}
        if path == WHO:
            return 201, {"status": {"userInfo": {"username": "jane"}}}
        if path == ACCESS:
            attributes = body["spec"]["resourceAttributes"]
            self.reviews.append(attributes)
            return 201, {"status": {"allowed": self.allowed(attributes)}}
        found = self.answers.get(path)
        return (200, found) if found is not None else (404, {"message": f"{path} not found"})

    def kubeconfig(self, folder: Path, user: Mapping[str, Any] | None = None) -> str:
        path = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": dict(user or {"token": "secret-token"})}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(json.dumps(document))  # JSON is YAML
        return str(path)


@contextmanager
def fake_cluster() -> Iterator[FakeCluster]:
    fake = FakeCluster()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            fake.called(1)
            time.sleep(fake.takes_s)
            status, found = fake.answer(self.command, self.path, body, self.headers.get("Authorization"))
            fake.called(-1)
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64  # a preflight connects sixteen times at once; the default is five, then resets

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield fake
        finally:
            disconnect()  # a cluster of the next test is another one, and each holds sixteen connections
            server.shutdown()
            thread.join()
