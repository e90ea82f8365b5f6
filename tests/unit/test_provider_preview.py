"""What each type says before anything is done: what is known, what is not, what needs a new resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.provider.data_folder import DataFolderType
from infra.local.provider.process import ProcessType
from infra.local.provider.ray_job import RayJobType
from infra.local.provider.serve_application import ServeApplicationType
from infra.local.provider.values import UNKNOWN

PROCESS = {
    "name": "tracking",
    "command": ["server"],
    "environment": {},
    "working_directory": "/w",
    "ports": {"slipway:tracking.port": 5000},
    "ready": [],
    "start_timeout_s": 10,
    "stop_timeout_s": 5,
    "after_ready": [],
    "clean": [],
    "running": True,
}
RUNNING = {**PROCESS, "pid": 7, "started": "1-b", "incarnation": "7-1-b", "log_file": "/l"}
JOB = {
    "identity": "i1",
    "identity_parts": {"code": "c1", "seed": "7"},
    "spec": "{}",
    "gate": json.dumps({"floors": {"accuracy": 0.9}, "tolerance": None, "on_failure": "fail"}),
    "wait": True,
    "timeout_s": 60,
    "dashboard_url": "http://127.0.0.1:1",
}
FINISHED = {
    **JOB,
    "status": "finished",
    "run_id": "r",
    "model_version": "3",
    "verdict": "passed",
    "metrics": {"accuracy": 0.95},
    "reasons": [],
    "candidate": "3",
}
APPLICATION = {"name": "slipway", "candidate": "3", "incarnation": "7-1-b", "url": "http://127.0.0.1:2"}
DEPLOYED = {**APPLICATION, "live": True, "champion": "3", "challenger": None, "release_phase": "released"}


def test_a_process_that_will_start_has_no_known_pid() -> None:
    seen = ProcessType().preview(None, PROCESS)
    assert seen["incarnation"] is seen["pid"] is seen["started"] is UNKNOWN


@pytest.mark.parametrize(
    "change", [{"command": ["other"]}, {"environment": {"A": "1"}}, {"environment": {"A": UNKNOWN}}]
)
def test_a_process_that_will_restart_has_no_known_incarnation(change: dict[str, Any]) -> None:
    assert ProcessType().preview(RUNNING, {**PROCESS, **change})["incarnation"] is UNKNOWN


def test_a_dead_process_will_restart() -> None:
    kind, dead = ProcessType(), {**RUNNING, "running": False}
    assert kind.difference(dead, PROCESS).response().diffs == ["running"]
    assert kind.preview(dead, PROCESS)["incarnation"] is UNKNOWN


@pytest.mark.parametrize("change", [{"start_timeout_s": 20}, {"ready": [{"url": "http://x"}]}, {"clean": ["/c"]}])
def test_a_change_that_needs_no_restart_keeps_the_process(change: dict[str, Any]) -> None:
    kind, new = ProcessType(), {**PROCESS, **change}
    assert kind.difference(RUNNING, new).response().changes is True
    assert kind.preview(RUNNING, new)["incarnation"] == "7-1-b"


def test_another_name_is_another_process_and_the_old_one_goes_first() -> None:
    response = ProcessType().difference(RUNNING, {**PROCESS, "name": "other"}).response()
    assert response.replaces == ["name"]
    assert response.delete_before_replace


def test_a_run_that_will_be_made_has_unknown_results() -> None:
    seen = RayJobType().preview(None, JOB)
    assert {name for name, value in seen.items() if value is UNKNOWN} == {
        "status", "run_id", "model_version", "verdict", "metrics", "reasons", "candidate",
    }  # fmt: skip


def test_a_changed_part_of_the_identity_replaces_the_run_and_says_which() -> None:
    new = {**JOB, "identity": "i2", "identity_parts": {"code": "c1", "seed": "8"}, "spec": '{"seed": 8}'}
    response = RayJobType().difference(FINISHED, new).response()
    assert set(response.detailed_diff) == {"identity", "identity_parts.seed"}
    assert response.replaces == ["identity", "identity_parts"]
    assert not response.delete_before_replace


@pytest.mark.parametrize(
    "change", [{"timeout_s": 90}, {"dashboard_url": "http://127.0.0.1:9"}, {"spec": '{"new": "text"}'}, {"wait": False}]
)
def test_what_is_no_part_of_the_identity_is_updated_without_a_run(change: dict[str, Any]) -> None:
    kind, new = RayJobType(), {**JOB, **change}
    response = kind.difference(FINISHED, new).response()
    assert response.changes is True
    assert response.replaces == []
    assert kind.preview(FINISHED, new)["verdict"] == "passed"


def test_another_gate_makes_the_verdict_unknown_and_leaves_the_metrics() -> None:
    new = {**JOB, "gate": json.dumps({"floors": {"accuracy": 0.99}, "tolerance": None, "on_failure": "fail"})}
    seen = RayJobType().preview(FINISHED, new)
    assert seen["verdict"] is seen["candidate"] is UNKNOWN
    assert seen["metrics"] == {"accuracy": 0.95}


def test_another_on_failure_judges_nothing_again() -> None:
    new = {**JOB, "gate": json.dumps({"floors": {"accuracy": 0.9}, "tolerance": None, "on_failure": "keep-champion"})}
    assert RayJobType().preview(FINISHED, new)["verdict"] == "passed"


@pytest.mark.parametrize(
    ("status", "wait", "changed"), [("running", True, True), ("running", False, False), ("failed", False, True)]
)
def test_an_unfinished_run_is_taken_up_when_it_is_awaited_or_has_failed(status: str, wait: bool, changed: bool) -> None:  # noqa: FBT001
    state = {**FINISHED, "status": status, "wait": wait}
    assert RayJobType().difference(state, {**JOB, "wait": wait}).response().changes is changed


@pytest.mark.parametrize("change", [{"candidate": "4"}, {"candidate": UNKNOWN}, {"incarnation": UNKNOWN}])
def test_another_candidate_or_ray_head_makes_the_champion_unknown(change: dict[str, Any]) -> None:
    assert ServeApplicationType().preview(DEPLOYED, {**APPLICATION, **change})["champion"] is UNKNOWN


def test_an_unchanged_application_keeps_its_champion() -> None:
    kind = ServeApplicationType()
    assert kind.difference(DEPLOYED, APPLICATION).response().changes is False
    assert kind.preview(DEPLOYED, APPLICATION)["champion"] == "3"


def test_an_application_that_does_not_answer_is_deployed_again() -> None:
    response = ServeApplicationType().difference({**DEPLOYED, "live": False}, APPLICATION).response()
    assert response.diffs == ["live"]
    assert response.replaces == []


def test_another_path_is_another_folder_and_retain_is_not() -> None:
    kind, state = DataFolderType(), {"path": "/a/b/c", "retain": False, "secrets": []}
    assert kind.difference(state, {**state, "path": "/a/b/d"}).response().replaces == ["path"]
    assert kind.difference(state, {**state, "retain": True}).response().replaces == []


def test_another_training_run_says_which_parts_of_its_identity_changed_and_how() -> None:
    kind = RayJobType()
    other = {**JOB, "identity": "i2", "identity_parts": {"code": "c1", "seed": "8"}}
    assert kind.reason(FINISHED, other) == "another training run, because of its seed:\n  seed: 7 -> 8"
    assert kind.reason(FINISHED, JOB) is None
    assert kind.reason(FINISHED, {**other, "identity_parts": UNKNOWN}) is None
