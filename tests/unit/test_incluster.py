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

from infra.kubernetes.incluster import ending, release, secrets, verdict
from infra.kubernetes.incluster.api import Api, ApiError, Named, write_result
from infra.kubernetes.incluster.ending import Failure
from infra.kubernetes.incluster.release import STATE_TAG, Wanted
from serving import controller
from tests.serving.fakes import FakeRegistry

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


def wanted(candidate: str | None = "2", wait: str = "done", timeout_s: float = 60) -> Wanted:
    return Wanted(model="default", candidate=candidate, strategy="rolling", wait=wait, timeout_s=timeout_s)


def state(phase: str, candidate: str = "2", champion: str | None = None, reason: str | None = None) -> str:
    return json.dumps({"phase": phase, "candidate": candidate, "champion": champion, "reason": reason})


class Acting(FakeRegistry):
    """A registry whose release goes one step on with each look."""

    def __init__(self, *steps: tuple[str | None, str]) -> None:
        super().__init__()
        self._steps = list(steps)

    def model(self, name: str) -> Any:
        if self._steps:
            champion, tag = self._steps.pop(0)
            self.aliases = {} if champion is None else {"champion": champion}
            self.tags = {STATE_TAG: tag}
        return super().model(name)


def nap(_: float) -> None:
    """Let no time pass."""


def test_the_tag_is_the_one_that_the_controller_writes() -> None:
    assert STATE_TAG == controller.STATE_TAG


def test_a_release_is_waited_for() -> None:
    registry = Acting(("1", state("testing")), ("1", state("testing")), ("2", state("released", champion="2")))
    found = release.wait(registry, wanted(), nap)
    assert found == {"champion": "2", "challenger": None, "phase": "released", "warning": None}


def test_started_waits_for_nothing() -> None:
    assert release.wait(Acting((None, "{}")), wanted(wait="started"), nap)["champion"] is None


def test_nothing_to_serve_is_a_failure_and_a_champion_without_a_candidate_is_not() -> None:
    with pytest.raises(Failure, match="nothing to serve"):
        release.wait(Acting((None, "{}")), wanted(candidate=None), nap)
    assert release.wait(Acting(("1", "{}")), wanted(candidate=None), nap)["champion"] == "1"


def test_a_refused_candidate_is_a_warning_while_there_is_a_champion(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = state("testing", champion="1"), state("refused", champion="1", reason="it was rolled back")
    found = release.wait(Acting(("1", before), ("1", after)), wanted(), nap)
    assert found["warning"] == "it was rolled back"
    assert "version 1 stays champion" in capsys.readouterr().out
    with pytest.raises(Failure, match="nothing to serve"):
        release.wait(Acting((None, state("testing")), (None, state("refused", reason="r"))), wanted(), nap)


def test_a_failed_candidate_is_a_failure_with_its_reason() -> None:
    steps = (("1", state("testing", champion="1")), ("1", state("failed", champion="1", reason="no smoke")))
    with pytest.raises(Failure, match=r"version 2 was not released \(failed\): no smoke; version 1 stays champion"):
        release.wait(Acting(*steps), wanted(), nap)


def test_a_failure_from_before_is_not_taken_for_the_answer() -> None:
    old = state("failed", champion="1", reason="no memory")
    registry = Acting(("1", old), ("1", old), ("2", state("released", champion="2")))
    assert release.wait(registry, wanted(), nap)["champion"] == "2"


def test_a_release_that_never_begins_says_so() -> None:
    with pytest.raises(Failure, match="the release controller has not begun it"):
        release.wait(Acting(("1", state("released", candidate="1"))), wanted(timeout_s=0), nap)


def test_a_registry_that_is_down_is_asked_until_time_is_up() -> None:
    registry = FakeRegistry(down=True)
    with pytest.raises(Failure, match="connection refused"):
        release.wait(registry, wanted(timeout_s=0), nap)


@pytest.mark.parametrize(("word", "candidate"), [("passed", "4"), ("rejected", None)])
def test_only_a_passed_version_is_a_candidate(word: str, candidate: str | None) -> None:
    result = {
        "run_id": "r", "model_version": "4", "verdict": word, "metrics": {}, "reasons": [], "gate": "g", "contract": 1,
    }  # fmt: skip
    shown = verdict.shown(result)
    assert shown["candidate"] == candidate
    assert set(shown) == {"run_id", "model_version", "verdict", "metrics", "reasons", "candidate"}
