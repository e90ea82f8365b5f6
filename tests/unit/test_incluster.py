"""The small Jobs of an environment, against an API server of a few lines on loopback."""

from __future__ import annotations

import ast
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes.incluster import ending, secrets
from infra.kubernetes.incluster.api import Api, ApiError, Named, write_result
from infra.kubernetes.incluster.ending import Failure

ROOT = Path(__file__).parents[2]
NAMESPACE = "ml-test"


class Cluster:
    """Objects by path, merged by PATCH; `refuse` holds statuses to answer first."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.refuse: list[int] = []
        self.requests: list[tuple[str, str, str]] = []
        self.before_patch: list[tuple[str, dict[str, str]]] = []

    def make(self, plural: str, name: str, data: dict[str, str] | None = None) -> str:
        path = f"/api/v1/namespaces/{NAMESPACE}/{plural}/{name}"
        self.objects[path] = {"metadata": {"name": name, "resourceVersion": "1"}}
        if data:
            self.objects[path]["data"] = dict(data)
        return path

    def answer(self, verb: str, path: str, token: str, change: Any) -> tuple[int, dict[str, Any]]:
        path = path.partition("?")[0]
        self.requests.append((verb, path, token))
        if self.refuse:
            return self.refuse.pop(0), {"message": "the server is busy"}
        if token != "Bearer pod-token":
            return 401, {"message": "Unauthorized"}
        found = self.objects.get(path)
        if found is None:
            return 404, {"message": "not found"}
        if verb == "PATCH":
            if self.before_patch:
                other, data = self.before_patch.pop(0)
                self._merge(other, data)
            wanted = change.get("metadata", {}).get("resourceVersion")
            if wanted not in (None, found["metadata"]["resourceVersion"]):
                return 409, {"message": "the object has been modified"}
            self._merge(path, change["data"])
        return 200, found

    def _merge(self, path: str, data: dict[str, str]) -> None:
        found = self.objects[path]
        found.setdefault("data", {}).update(data)
        found["metadata"]["resourceVersion"] = str(int(found["metadata"]["resourceVersion"]) + 1)

    def value(self, path: str, key: str) -> str:
        return base64.b64decode(self.objects[path]["data"][key]).decode()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            change = json.loads(body) if body else None
            status, answer = cluster.answer(self.command, self.path, self.headers["Authorization"], change)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PATCH = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    token = tmp_path / "api-token"
    token.write_text("pod-token\n")
    try:
        yield Api(f"http://127.0.0.1:{server.server_port}", token, patience_s=5)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_in_cluster_code_needs_only_what_is_in_the_image() -> None:
    roots = set()
    for file in (ROOT / "infra" / "kubernetes" / "incluster").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                assert module.startswith("infra.kubernetes.incluster") or not module.startswith("infra"), module
                roots.add(module.partition(".")[0])
    assert {"json", "training", "serving"} <= roots, "the control: it reads imports"
    assert not roots & {"pulumi", "pulumi_kubernetes", "kubernetes", "components", "stacks"}


SPEC: dict[str, dict[str, dict[str, Any]]] = {
    "ray-token": {"auth_token": {"random": 32}},
    "database": {
        "password": {"random": 24},
        "url": {"template": "postgresql://slipway:{password}@database.ml-test.svc.cluster.local:5432/mlflow"},
    },
    "tracking-login": {"username": {"value": "admin"}, "note": {"template": "{database.password}"}},
}


def test_missing_keys_are_filled_with_values_that_nobody_else_has_and_nothing_is_printed(
    api: Api, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {name: cluster.make("secrets", name) for name in SPEC}
    secrets.fill(api, NAMESPACE, secrets.parse(json.dumps(SPEC)))
    password, token = cluster.value(paths["database"], "password"), cluster.value(paths["ray-token"], "auth_token")
    assert len(token) >= 43
    assert password != token
    assert f":{password}@database" in cluster.value(paths["database"], "url")
    assert cluster.value(paths["tracking-login"], "note") == password
    printed = capsys.readouterr().out
    assert "filled password, url" in printed
    assert password not in printed
    assert token not in printed


def test_a_second_run_changes_nothing_and_a_value_that_is_there_is_kept(api: Api, cluster: Cluster) -> None:
    given = base64.b64encode(b"chosen-by-a-person").decode()
    path = cluster.make("secrets", "database", {"password": given})
    spec = {"database": SPEC["database"]}
    secrets.fill(api, NAMESPACE, spec)
    assert cluster.value(path, "password") == "chosen-by-a-person"
    assert ":chosen-by-a-person@" in cluster.value(path, "url")
    cluster.requests.clear()
    secrets.fill(api, NAMESPACE, spec)
    assert [verb for verb, _, _ in cluster.requests] == ["GET"]


def test_a_composed_value_follows_the_key_it_is_made_of(api: Api, cluster: Cluster) -> None:
    path = cluster.make("secrets", "database")
    secrets.fill(api, NAMESPACE, {"database": SPEC["database"]})
    cluster.objects[path]["data"]["password"] = base64.b64encode(b"rotated-by-hand").decode()
    secrets.fill(api, NAMESPACE, {"database": SPEC["database"]})
    assert ":rotated-by-hand@" in cluster.value(path, "url")


def test_two_jobs_at_once_agree_on_the_value_that_was_written_first(api: Api, cluster: Cluster) -> None:
    path = cluster.make("secrets", "ray-token")
    cluster.before_patch = [(path, {"auth_token": base64.b64encode(b"the-faster-one").decode()})]
    secrets.fill(api, NAMESPACE, {"ray-token": SPEC["ray-token"]})
    assert cluster.value(path, "auth_token") == "the-faster-one"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{", "not JSON"),
        ('["a"]', "must map"),
        ('{"a": {"b": {"random": 4}}}', "a.b: exactly one of"),
        ('{"a": {"b": {"value": "x", "random": 32}}}', "a.b: exactly one of"),
        ('{"a": {"b": {"other": "x"}}}', "a.b: exactly one of"),
    ],
)
def test_a_malformed_specification_is_named(spec: str, said: str) -> None:
    with pytest.raises(Failure, match=said):
        secrets.parse(spec)


def test_a_template_of_a_key_without_a_value_is_refused() -> None:
    with pytest.raises(Failure, match=r"a\.url: its template names b\.password, which has no value"):
        secrets.complete("a", {"url": {"template": "{b.password}"}}, {}, {})


def test_a_busy_server_is_asked_again_and_a_refusal_is_not(api: Api, cluster: Cluster) -> None:
    cluster.make("configmaps", "result")
    cluster.refuse = [503, 429]
    write_result(api, f"{NAMESPACE}/result", {"verdict": "passed"})
    assert [verb for verb, _, _ in cluster.requests] == ["PATCH"] * 3
    cluster.refuse = [403]
    with pytest.raises(ApiError, match="Role must allow `patch` on this object by name"):
        write_result(api, f"{NAMESPACE}/result", {})
    assert len(cluster.requests) == 4


def test_an_object_that_is_not_there_is_named(api: Api) -> None:
    with pytest.raises(ApiError, match="configmaps/gone in namespace ml-test: not found; it is made by `up`"):
        api.get(Named("configmaps", NAMESPACE, "gone"))


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    with pytest.raises(ApiError, match="does not answer"):
        Api("http://127.0.0.1:1", tmp_path / "token", patience_s=0).get(Named("secrets", "a", "b"))


def test_a_rotated_service_account_token_is_used(api: Api, cluster: Cluster, tmp_path: Path) -> None:
    cluster.make("configmaps", "result")
    (tmp_path / "api-token").write_text("stale")
    with pytest.raises(ApiError, match="Unauthorized"):
        api.get(Named("configmaps", NAMESPACE, "result"))
    (tmp_path / "api-token").write_text("pod-token")
    api.get(Named("configmaps", NAMESPACE, "result"))


def test_a_result_is_one_small_key(api: Api, cluster: Cluster) -> None:
    path = cluster.make("configmaps", "result")
    write_result(api, f"{NAMESPACE}/result", {"verdict": "passed", "metrics": {"accuracy": 0.9}})
    data = cluster.objects[path]["data"]
    assert {key: json.loads(text) for key, text in data.items()} == {
        "result.json": {"verdict": "passed", "metrics": {"accuracy": 0.9}}
    }
    with pytest.raises(Failure, match="log fewer metrics"):
        write_result(api, f"{NAMESPACE}/result", {"metrics": {f"metric {n}": 0.1 for n in range(2000)}})
    with pytest.raises(Failure, match="NAMESPACE/NAME"):
        write_result(api, "result", {})


def test_the_reason_is_the_last_line_and_the_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    monkeypatch.setenv("SLIPWAY_TERMINATION_LOG", str(log))

    def work(_: Any) -> None:
        raise Failure("nothing to serve: " + "x" * 5000)

    assert ending.run(work, []) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("nothing to serve: ")
    assert log.read_text().startswith("nothing to serve: ")
    assert log.stat().st_size == 4096
    assert ending.run(lambda _: None, []) == 0


def test_outside_a_pod_a_job_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Failure, match="automountServiceAccountToken"):
        Api.of_this_pod(tmp_path)
