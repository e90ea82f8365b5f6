"""The `slipway` command against an environment on a cluster: what it shows, what it sends, what it never prints."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes import access
from stacks import cli
from stacks.ground import GROUND
from tests.unit.fake_cluster import CONTEXT, FakeCluster, fake_cluster

NAMESPACE = "slipway-prod"
PASSWORD, TOKEN = "pass-word-1", "token-2"
LOGIN = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
CHAMPION = {"model_version": {"version": "3"}}
STATE: dict[str, Any] = {"champion": "3", "previous": "2", "phase": "idle", "history": [], "candidate": None}


class Services:
    """MLflow and the model endpoint, both refusing who does not show their secret."""

    def __init__(self) -> None:
        self.url = ""
        self.refused: list[str] = []
        self.problem: str | None = None

    def answer(self, path: str, authorization: str | None) -> tuple[int, Any, dict[str, str]]:
        wanted = f"Bearer {TOKEN}" if path.startswith(("/invocations", "/v2/")) else LOGIN
        if path not in ("/health", "/v2/health/ready") and authorization != wanted:
            self.refused.append(path)
            return 401, {"message": "who are you?"}, {}
        for start, body in self.bodies().items():
            if path.startswith(start):
                return 200, body, {"X-Slipway-Model-Version": "3"}
        return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}, {}

    def bodies(self) -> dict[str, Any]:
        root = "mlflow-artifacts:/models/m-1"
        return {
            "/health": "OK",
            "/version": "3.17.2",
            "/v2/health/ready": {},
            "/v2/models/default": {"name": "default", "slipway": {"version": "2", "problem": self.problem}},
            "/invocations": {"predictions": [1, 0]},
            "/api/2.0/mlflow/registered-models/alias": CHAMPION,
            "/api/2.0/mlflow/registered-models/get": {
                "registered_model": {"tags": [{"key": "slipway.release.state", "value": json.dumps(STATE)}]}
            },
            "/api/2.0/mlflow/model-versions/get-download-uri": {"artifact_uri": root},
            "/api/2.0/mlflow-artifacts/artifacts/models/m-1/serving_input_example.json": {"dataframe_records": []},
        }


@contextmanager
def listening(services: Services) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body, headers = services.answer(self.path, self.headers.get("Authorization"))
            text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        services.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Both services on loopback, where the port-forwards of the cluster lead."""
    found = Services()

    @contextmanager
    def forward(*_: object) -> Iterator[str]:
        yield found.url

    monkeypatch.setattr(access, "forward", forward)
    with listening(found):
        yield found


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that holds the environment's Secrets and its RayService, and the stack's outputs."""
    with fake_cluster() as cluster:
        base = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        cluster.answers[f"{base}/tracking-login"] = secret(username="admin", password=PASSWORD)
        cluster.answers[f"{base}/serving-token"] = secret(token=TOKEN)
        cluster.answers[f"/apis/ray.io/v1/namespaces/{NAMESPACE}/rayservices/serving"] = {
            "spec": {"rayClusterConfig": {"rayVersion": "2.60.0"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        cluster.answers[f"/apis/ray.io/v1/namespaces/{NAMESPACE}/rayclusters"] = {
            "items": [
                {
                    "metadata": {"name": "training-9a1b2"},
                    "status": {"availableWorkerReplicas": 1, "state": "suspended"},
                },
                {"metadata": {"name": "serving-x7k2p"}, "status": {"availableWorkerReplicas": 2, "state": "ready"}},
            ]
        }
        found = outputs(cluster.kubeconfig(tmp_path))
        monkeypatch.setattr(cli, "outputs", lambda _: found)
        yield cluster


def secret(**values: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def outputs(kubeconfig: str) -> dict[str, Any]:
    return {
        "substrate": {"kind": "kubernetes", "context": CONTEXT, "kubeconfig": kubeconfig, "namespace": NAMESPACE},
        "artifact_store": {"uri": "/var/lib/slipway/artifacts"},
        "tracking": {"uri": f"http://tracking.{NAMESPACE}.svc.cluster.local:5000"},
        "ray": {"dashboard_url": None},
        "training": {
            "model_name": "default",
            "model_version": "3",
            "run_id": "r1",
            "verdict": "passed",
            "metrics": {"accuracy": 0.97},
        },
        "serving": {"url": f"http://serving.{NAMESPACE}.svc.cluster.local:8000", "model_name": "default"},
    }


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code


def status(capsys: pytest.CaptureFixture[str]) -> tuple[int | str | None, Mapping[str, Mapping[str, Any]]]:
    code = run("status", "--stack", "prod", "--json")
    return code, {part["name"]: part for part in json.loads(capsys.readouterr().out)}


def test_status_shows_every_part_of_an_environment_on_a_cluster(
    fake: FakeCluster, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    code, parts = status(capsys)
    assert code == 0, parts
    assert list(parts) == ["artifact store", "tracking", "ray", "training", "serving"]
    assert parts["tracking"]["version"] == "MLflow 3.17.2"
    clusters = "serving-x7k2p (2 workers), training-9a1b2 (1 worker, suspended)"
    assert (parts["ray"]["state"], parts["ray"]["version"]) == (f"up: {clusters}", "Ray 2.60.0")
    assert parts["serving"]["version"] == "champion: default 3"
    assert parts["artifact store"]["healthy"], "a folder in a pod is not looked for on this machine"
    assert services.refused == [], "the login of the cluster was shown"


def test_a_service_that_answers_with_another_version_than_the_champion_is_not_well(
    fake: FakeCluster, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    services.problem = "version 3 cannot be loaded"
    code, parts = status(capsys)
    assert code == 1
    assert parts["serving"]["state"] == "answers with version 2: version 3 cannot be loaded"


def test_urls_are_those_of_the_environment_and_not_of_the_tunnel(
    fake: FakeCluster, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    _, parts = status(capsys)
    assert parts["serving"]["url"] == f"http://serving.{NAMESPACE}.svc.cluster.local:8000"
    assert not any("127.0.0.1" in part["url"] for part in parts.values())


def test_a_service_without_a_ready_pod_is_shown_and_the_others_still_are(
    fake: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the fixture `services`, forwards are the real ones, and the fake cluster knows no such service."""
    code, parts = status(capsys)
    assert code == 1
    assert "service serving in slipway-prod" in parts["serving"]["state"]
    assert "service tracking in slipway-prod" in parts["tracking"]["state"]
    assert parts["ray"]["healthy"]


def test_a_cluster_that_is_not_ready_says_why(
    fake: FakeCluster, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"/apis/ray.io/v1/namespaces/{NAMESPACE}/rayservices/serving"
    waiting = {"type": "Ready", "status": "False", "message": "Number of serve endpoints is 0"}
    fake.answers[path] = {"spec": {}, "status": {"conditions": [waiting]}}
    code, parts = status(capsys)
    assert code == 1
    assert "Number of serve endpoints is 0" in parts["ray"]["state"]


def test_predict_shows_the_token_and_never_prints_it(
    fake: FakeCluster, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "--stack", "prod") == 0
    shown = capsys.readouterr()
    assert "predictions: [1, 0]" in shown.out
    assert "default version 3" in shown.out
    assert services.refused == []
    assert not any(secret in shown.out + shown.err for secret in (PASSWORD, TOKEN, LOGIN))


def test_a_wrong_token_is_refused_and_the_answer_told(fake: FakeCluster, services: Services) -> None:
    """The control of the test above: the stand-in does look."""
    fake.answers[f"/api/v1/namespaces/{NAMESPACE}/secrets/serving-token"] = secret(token="other")
    assert "answered 401" in str(run("predict", "--stack", "prod"))


def test_an_unknown_context_ends_the_command_with_one_line(
    fake: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = outputs(fake.kubeconfig(tmp_path))
    found["substrate"]["context"] = "gone"
    monkeypatch.setattr(cli, "outputs", lambda _: found)
    assert "there is no such context" in str(run("status"))


def test_the_logins_are_not_in_the_text_of_what_holds_them(
    fake: FakeCluster, services: Services, tmp_path: Path
) -> None:
    with GROUND["kubernetes"].reach(outputs(fake.kubeconfig(tmp_path))) as reached:
        assert reached.login == ("admin", PASSWORD)
        assert PASSWORD not in repr(reached)
        assert TOKEN not in repr(reached)


STACK = """
config:
  slipway:substrate: {{kind: kubernetes, context: fake, kubeconfig: {kubeconfig}, image: "{image}", quota: {{gpus: 8}}}}
  slipway:artifacts: {{uri: "s3://bucket/prefix"}}
  slipway:database_url: {{secure: "v1:abc"}}
  slipway:data: {{uri: "sklearn:breast_cancer", target: target}}
  slipway:gpu_pools: [{{name: a10g, gpus: 2}}]
  slipway:training: {{resources: {{gpus: {gpus}}}}}
"""


@pytest.mark.parametrize("gpus", [2, 4])
def test_doctor_of_a_stack_examines_its_cluster_before_anything_is_deployed(
    fake: FakeCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gpus: int,
) -> None:
    image = "r.example/slipway@sha256:" + "0" * 64
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\n")
    stack = STACK.format(kubeconfig=fake.kubeconfig(tmp_path), image=image, gpus=gpus)
    (tmp_path / "Pulumi.prod.yaml").write_text(stack)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.delenv("SLIPWAY_OFFLINE", raising=False)
    assert run("doctor", "--stack", "prod", "--json") == 1
    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert found["cluster"]["ok"]
    assert found["GPU nodes"]["ok"] is False
    assert ("GPU pools" in found) == (gpus > 2)
    if gpus > 2:
        assert "Nearest is a10g: asks for 4 GPUs, a node has 2" in found["GPU pools"]["seen"]


def test_doctor_of_a_stack_without_a_file_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    assert "Pulumi.nope.yaml" in str(run("doctor", "--stack", "nope"))
    (tmp_path / "Pulumi.prod.yaml").touch()
    told = str(run("cost", "--stack", "nope"))
    assert "those that exist: prod" in told
    assert "Errno" not in told
