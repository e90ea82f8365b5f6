"""When a deployment counts as up, and how a failed one is tried again."""

from __future__ import annotations

from typing import Any

from infra.local.provider.serve_state import MARKER, failure_text, marker_of, next_marker, settled


def application(status: str, *replicas: tuple[str, float], marker: str = "", target: int = 1) -> dict[str, Any]:
    return {
        "status": status,
        "message": "",
        "deployed_app_config": {"runtime_env": {"env_vars": {MARKER: marker}}} if marker else None,
        "deployments": {
            "Model": {
                "status": "UPDATING",
                "message": "",
                "target_num_replicas": target,
                "replicas": [{"state": state, "start_time_s": start} for state, start in replicas],
            }
        },
    }


def test_a_running_application_is_up() -> None:
    assert settled(application("RUNNING", ("RUNNING", 1.0)), since=None)


def test_new_replicas_count_while_old_ones_drain() -> None:
    assert settled(application("DEPLOYING", ("RUNNING", 20.0), ("STOPPING", 1.0)), since=10.0)


def test_old_replicas_do_not_count_before_they_are_replaced() -> None:
    assert not settled(application("DEPLOYING", ("RUNNING", 1.0)), since=10.0)


def test_a_replica_that_starts_is_waited_for() -> None:
    assert not settled(application("DEPLOYING", ("RUNNING", 20.0), ("STARTING", 21.0)), since=10.0)


def test_fewer_replicas_than_asked_for_are_waited_for() -> None:
    assert not settled(application("DEPLOYING", ("RUNNING", 20.0), target=2), since=10.0)


def test_an_application_that_is_still_built_is_not_up() -> None:
    assert not settled({"status": "DEPLOYING", "deployments": {}}, since=None)


def test_a_failed_application_is_not_up_whatever_its_replicas_say() -> None:
    assert not settled(application("DEPLOY_FAILED", ("RUNNING", 20.0)), since=10.0)


def test_an_unchanged_deployment_keeps_its_marker_so_that_nothing_restarts() -> None:
    assert next_marker(application("RUNNING", marker="d.2"), "d") == "d.2"


def test_a_failed_deployment_is_tried_again_under_another_marker() -> None:
    assert next_marker(application("DEPLOY_FAILED", marker="d.2"), "d") == "d.3"


def test_other_code_begins_with_its_first_attempt() -> None:
    assert next_marker(application("DEPLOY_FAILED", marker="d.2"), "e") == "e.1"
    assert next_marker(None, "e") == "e.1"


def test_the_marker_is_read_from_what_was_deployed() -> None:
    assert marker_of(application("RUNNING", marker="d.1")) == "d.1"
    assert marker_of(application("RUNNING")) == ""


def test_a_failure_gives_each_message_once() -> None:
    failed = application("DEPLOY_FAILED")
    failed["message"] = "failed to update"
    failed["deployments"]["Model"]["message"] = "ValueError: no model"
    assert failure_text(failed) == "failed to update\nModel: ValueError: no model"
