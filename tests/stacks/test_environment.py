"""One environment through its life, on the real engine, with real MLflow, Ray, training and serving.

The tests build on each other in this order: the environment of one is what the one before left.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.request
from typing import Any

import psutil

from components.seam import Place
from infra.local.layout import Layout
from serving.registry import Registry
from tests.stacks.asking import load, version_that_answers
from tests.stacks.project import Project, call, status_of, wait_until


def ports_of(environment: Project) -> list[int]:
    """Return the ports that the outputs name."""
    outputs = environment.outputs()
    urls = (outputs["tracking"]["uri"], outputs["ray"]["dashboard_url"], outputs["serving"]["url"])
    return [int(str(url).rsplit(":", 1)[1]) for url in urls]


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def example(environment: Project) -> dict[str, Any]:
    """Return the rows stored with the champion, as a person would find them in the registry."""
    outputs = environment.outputs()
    registry = Registry(outputs["tracking"]["uri"])
    root = registry.artifact_root("default", outputs["serving"]["champion"])
    content = registry.read(root, "serving_input_example.json")
    assert content is not None, "the model is stored with an example"
    found: dict[str, Any] = json.loads(content)
    return found


def test_up_brings_a_model_that_answers(environment: Project) -> None:
    outputs = environment.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"]
    answer = call(f"{outputs['serving']['url']}/invocations", example(environment))
    assert set(answer["predictions"]) <= {0, 1}, "labels as in the data"


def test_the_commands_of_the_readme_tell_what_runs(environment: Project) -> None:
    status = environment.slipway("status").must_succeed().output
    for text in ("tracking", "ray", "serving", "champion: default 1", environment.outputs()["serving"]["url"]):
        assert text in status, f"status must name {text!r}:\n{status}"
    assert "predictions: [" in environment.slipway("predict").must_succeed().output


def test_a_second_up_and_a_refresh_change_nothing(environment: Project) -> None:
    environment.up("--expect-no-changes").must_succeed()
    environment.pulumi("refresh", "--expect-no-changes").must_succeed()


def test_everything_listens_on_loopback(environment: Project) -> None:
    ours = environment.processes()
    leaders = {int(environment.record(name)["pid"]) for name in ("tracking", "ray")}
    ports, exposed = set(), []
    for connection in psutil.net_connections(kind="inet"):
        listens = connection.status == psutil.CONN_LISTEN or (
            connection.type == socket.SOCK_DGRAM and not connection.raddr
        )
        mine = connection.pid in ours or (connection.pid is not None and session_of(connection.pid) in leaders)
        if listens and mine and connection.laddr:
            ports.add(connection.laddr.port)
            if connection.laddr.ip not in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}:
                command = ours.get(connection.pid or 0, "")
                exposed.append(f"{connection.laddr.ip}:{connection.laddr.port} {command[:100]}")
    assert set(ports_of(environment)) <= ports, "the control: MLflow, Ray and HAProxy are seen to listen"
    assert exposed == [], "nothing may listen beyond loopback"


def test_ray_answers_nobody_without_its_token_and_mlflow_nobody_under_a_foreign_name(environment: Project) -> None:
    outputs = environment.outputs()
    token = (environment.home / "state" / "secrets" / "ray-token").read_text().strip()
    search = f"{outputs['tracking']['uri']}/api/2.0/mlflow/experiments/search?max_results=1"
    for path in ("/api/jobs/", "/api/serve/applications/"):
        url = outputs["ray"]["dashboard_url"] + path
        assert answer_to(url, {}) == 401
        assert answer_to(url, {"Authorization": "Bearer " + "0" * len(token)}) in {401, 403}
        assert answer_to(url, {"Authorization": f"Bearer {token}"}) == 200, "the control"
    assert answer_to(search, {"Host": "rebound.example"}) == 403
    assert answer_to(search, {}) == 200, "the control"


def answer_to(url: str, headers: dict[str, str]) -> int:
    """Return the status of a GET with these headers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_secrets_are_in_no_command_line_log_or_state(environment: Project) -> None:
    token = (environment.home / "state" / "secrets" / "ray-token").read_text().strip()
    assert len(token) >= 32
    assert (environment.home / "state" / "secrets" / "ray-token").stat().st_mode & 0o077 == 0
    assert not [command for command in environment.processes().values() if token in command]
    searched = 0
    for folder in (environment.home / "state" / "logs", environment.root / ".slipway" / "state"):
        for path in folder.rglob("*"):
            if path.is_file():
                searched += 1
                assert token.encode() not in path.read_bytes(), f"the token stands in {path}"
    assert searched > 3, "the control: there are logs and state to search"


def test_git_status_stays_clean(environment: Project) -> None:
    command = ["git", "-C", str(environment.root), "status", "--porcelain"]
    changed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert [line for line in changed if line and "Pulumi.test.yaml" not in line] == []
    assert "encryptionsalt" not in (environment.root / "Pulumi.test.yaml").read_text()


def test_a_preview_says_that_and_why_a_run_is_replaced_and_does_nothing(environment: Project) -> None:
    before = len(environment.runs())
    source = environment.root / "training" / "train.py"
    committed = source.read_text()
    for part, settings, code in (
        ("parameters", {"training": {"rounds": 60}}, ""),
        ("data", {"data": {"uri": "sklearn:wine", "target": "target"}}, ""),
        ("code", {}, "\n# edited by a test\n"),
    ):
        environment.configure(**settings)
        source.write_text(committed + code)
        preview = environment.pulumi("preview", "--diff").must_succeed().output
        assert re.search(r"slipway:local:RayJob", preview), preview
        assert "replace" in preview, preview
        changed = set(re.findall(r"~ (code|lock|data|parameters|seed|split)\s*:", preview))
        assert changed == {part}, f"the preview must name the part of the identity that changed:\n{preview}"
        told = environment.pulumi("preview").must_succeed().output
        assert f"another training run, because of its {part}:" in told, told
        if part == "parameters":
            assert "rounds=60" in told, told
    source.write_text(committed)
    assert len(environment.runs()) == before, "a preview must not train"


def test_a_changed_parameter_retrains_and_is_released_under_load(environment: Project) -> None:
    url = environment.outputs()["serving"]["url"]
    environment.configure(training={"rounds": 60})
    with load(f"{url}/invocations", example(environment)) as failures:
        said = environment.up().must_succeed().output
    assert failures == [], f"{len(failures)} requests failed during the release"
    for step in ("load", "split", "train", "evaluate", "gate", "register"):
        assert re.search(rf"^\s*{step}\s+\S", said, re.MULTILINE), (
            f"the log line of {step} is in the diagnostics:\n{said}"
        )
    outputs = environment.outputs()
    assert outputs["training"]["model_version"] == "2"
    assert outputs["serving"]["champion"] == "2"
    assert version_that_answers(url, example(environment)) == "2", "`up` ends when the champion itself answers"


def test_going_back_adopts_the_former_run_and_releases_its_version(environment: Project) -> None:
    before = len(environment.runs())
    environment.configure()
    environment.up().must_succeed()
    assert len(environment.runs()) == before, "the former run is adopted, nothing is trained"
    assert environment.outputs()["serving"]["champion"] == "1"


def test_a_rejected_candidate_leaves_the_champion_and_tells_why(environment: Project) -> None:
    environment.configure(
        training={"rounds": 1, "params": {"max_depth": 1, "learning_rate": 0.001}}, gate={"floors": {"accuracy": 0.999}}
    )
    environment.up().must_succeed()
    outputs = environment.outputs()
    assert outputs["training"]["verdict"] == "rejected"
    assert any("accuracy" in reason and "0.999" in reason for reason in outputs["training"]["reasons"])
    assert outputs["serving"]["champion"] == "1"
    assert outputs["serving"]["candidate"] is None


def test_on_failure_fail_fails_and_fails_again_without_training(environment: Project) -> None:
    runs = len(environment.runs())
    gate = {"floors": {"accuracy": 0.999}, "on_failure": "fail"}
    environment.configure(training={"rounds": 1, "params": {"max_depth": 1, "learning_rate": 0.001}}, gate=gate)
    for _ in range(2):
        failed = environment.up().must_fail().output
        assert "the gate rejected" in failed
        assert "0.999" in failed
    assert len(environment.runs()) == runs, "neither trained again"


def test_a_changed_gate_is_applied_to_the_evidence_without_training(environment: Project) -> None:
    runs = len(environment.runs())
    environment.configure(gate={"floors": {"accuracy": 0.5}})
    environment.up().must_succeed()
    assert len(environment.runs()) == runs
    assert environment.outputs()["training"]["verdict"] == "passed"


def test_rollback_returns_to_the_former_champion_and_up_does_not_release_it_again(environment: Project) -> None:
    environment.configure(training={"rounds": 60})
    environment.up().must_succeed()
    assert environment.outputs()["serving"]["champion"] == "2"
    environment.slipway("release", "rollback", "--reason", "test").must_succeed()
    environment.pulumi("refresh", "--run-program").must_succeed()
    assert environment.outputs()["serving"]["champion"] == "1"
    again = environment.up("--refresh").must_succeed()
    assert environment.outputs()["serving"]["champion"] == "1", again.output
    history = environment.slipway("release", "history").must_succeed().output
    assert "test" in history


def test_an_alias_moved_by_a_person_is_followed_without_a_failure_and_recorded(environment: Project) -> None:
    outputs = environment.outputs()
    tracking, url = outputs["tracking"]["uri"], outputs["serving"]["url"]
    payload = example(environment)
    with load(f"{url}/invocations", payload) as failures:
        body = {"name": "default", "alias": "champion", "version": "3"}
        call(f"{tracking}/api/2.0/mlflow/registered-models/alias", body)
        wait_until(lambda: version_that_answers(url, payload) == "3", "the replicas follow the alias")
    assert failures == []
    wait_until(lambda: "person" in environment.slipway("release", "history").output, "the move is in the history")


def test_code_that_was_edited_is_what_runs_and_lineage_says_so(environment: Project) -> None:
    source = environment.root / "training" / "train.py"
    source.write_text(source.read_text() + "\n# edited by a test\n")
    environment.configure()
    environment.up().must_succeed()
    outputs = environment.outputs()
    run = call(f"{outputs['tracking']['uri']}/api/2.0/mlflow/runs/get?run_id={outputs['training']['run_id']}")["run"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["slipway.git.dirty"] == "true"
    assert re.fullmatch(r"[0-9a-f]{40}", tags["mlflow.source.git.commit"])
    snapshots = list((environment.home / "state" / "code").glob("*/training/train.py"))
    assert any("edited by a test" in path.read_text() for path in snapshots), (
        "what runs is a snapshot of the edited code"
    )
    assert json.dumps(tags).count(tags["slipway.identity"]) >= 1


def test_destroy_leaves_nothing_and_up_works_again(environment: Project) -> None:
    ports = ports_of(environment)
    assert environment.temporary is not None
    sockets = Layout(Place(project="slipway", stack=environment.stack, root=environment.root)).sockets
    assert sockets.is_dir(), "the control: this is where sockets and temporary files are"
    environment.pulumi("destroy").must_succeed()
    assert environment.left() == {}, "no process may be left"
    assert [port for port in ports if status_of(f"http://127.0.0.1:{port}/") != 0] == []
    assert not (environment.home / "state").exists()
    assert not (environment.home / "artifacts").exists()
    assert not sockets.exists(), "no socket may be left"
    assert list(environment.temporary.iterdir()) == [], "no temporary file may be left"
    environment.configure()
    environment.up().must_succeed()
    assert environment.outputs()["serving"]["champion"] == "1"
