"""Why a training run failed: each cause is named, with what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from infra.kubernetes.failure import explain, failed, pod_trouble, succeeded


def pod(*, conditions: Any = (), containers: Any = (), inits: Any = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": "worker-1"},
        "status": {
            "conditions": list(conditions),
            "containerStatuses": list(containers),
            "initContainerStatuses": list(inits),
        },
    }


def unschedulable(message: str) -> dict[str, Any]:
    return pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}])


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": "ray-worker",
        "image": "r/x@sha256:1",
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."), "slipway:gpu_pools"),
        (unschedulable("0/3 nodes are available: 3 Insufficient cpu."), "slipway:training.resources"),
        (unschedulable("0/1 nodes are available: 1 node(s) had untolerated taint"), "taints"),
        (pod(containers=[waiting("ImagePullBackOff", "not found")]), "slipway:substrate.image"),
        (pod(inits=[waiting("ErrImagePull", "denied")]), "slipway:substrate.pull_secret"),
        (pod(containers=[waiting("CreateContainerConfigError", 'secret "x" not found')]), 'secret "x" not found'),
        (
            pod(containers=[{"name": "w", "state": {"terminated": {"reason": "OOMKilled"}}}]),
            "slipway:training.resources.memory_gib",
        ),
        (
            pod(containers=[waiting("CrashLoopBackOff", lastState={"terminated": {"reason": "OOMKilled"}})]),
            "OOMKilled",
        ),
        (
            pod(containers=[waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 3}})]),
            "kubectl logs worker-1 -c ray-worker --previous",
        ),
    ],
)
def test_what_keeps_a_pod_from_running_is_told_with_the_fix(found: dict[str, Any], told: str) -> None:
    text = pod_trouble(found)
    assert text is not None
    assert text.startswith("the pod worker-1 ")
    assert told in text


@pytest.mark.parametrize(
    "young",
    [
        pod(),
        pod(containers=[waiting("ContainerCreating")]),
        pod(containers=[waiting("PodInitializing")], conditions=[{"type": "PodScheduled", "status": "True"}]),
        pod(containers=[{"name": "w", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}]),
        {},
    ],
)
def test_a_young_or_finished_pod_has_no_trouble(young: dict[str, Any]) -> None:
    assert pod_trouble(young) is None


def test_an_exception_is_shown_by_the_end_of_the_log() -> None:
    status = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed", "message": "exit code 1"}
    lines = [f"line {number}" for number in range(100)] + ["KeyError: 'colour'"]
    text = explain("training-1", status, lines=lines)
    assert "KeyError: 'colour'" in text
    assert "line 10\n" not in text, "the end is enough"
    assert "exit code 1" in explain("training-1", status), "KubeRay's message where nothing was followed"


def test_a_deadline_is_explained_by_what_was_seen_before_it() -> None:
    status = {"jobDeploymentStatus": "Failed", "reason": "PreRunningDeadlineExceeded", "message": "passed"}
    assert "no GPU" in explain("training-1", status, ["the pod has no GPU."])
    assert "kubectl get events" in explain("training-1", status)
    late = {"jobDeploymentStatus": "Failed", "reason": "DeadlineExceeded"}
    assert "raise slipway:training.timeout" in explain("training-1", late)


def test_an_image_without_the_code_is_named() -> None:
    status = {
        "jobDeploymentStatus": "Failed",
        "jobStatus": "FAILED",
        "message": "/usr/bin/python: No module named training",
    }
    text = explain("training-1", status)
    assert "slipway:substrate.image" in text
    assert "Dockerfile" in text


def test_an_import_error_of_the_user_is_not_blamed_on_the_image() -> None:
    status = {"jobDeploymentStatus": "Failed", "message": "ModuleNotFoundError: No module named 'pandsa'"}
    assert "substrate.image" not in explain("training-1", status)


def test_a_spec_that_the_operator_refuses_is_told() -> None:
    status = {"jobDeploymentStatus": "ValidationFailed", "message": "backoffLimit must be a positive integer"}
    text = explain("training-1", status)
    assert "backoffLimit must be a positive integer" in text
    assert "KubeRay" in text


def test_a_stopped_run_can_be_started_again() -> None:
    assert "up" in explain("training-1", {"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"})


@pytest.mark.parametrize(
    ("status", "good", "bad"),
    [
        (None, False, False),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, False, False),
        ({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}, False, False),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, True, False),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, False, True),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "RUNNING"}, False, True),
        ({"jobDeploymentStatus": "ValidationFailed"}, False, True),
    ],
)
def test_a_run_is_over_only_when_kuberay_does_nothing_more(
    status: dict[str, Any] | None,
    good: bool,  # noqa: FBT001
    bad: bool,  # noqa: FBT001
) -> None:
    assert (succeeded(status), failed(status)) == (good, bad)


def test_what_the_job_itself_refuses_is_told_in_its_own_words_alone() -> None:
    refusal = "image registry.example/slipway@sha256:0 holds code a1, the stack wants b2; build with `docker build .`"
    status = {"jobDeploymentStatus": "Failed", "reason": "AppFailed", "message": f"logs: x\nrefused   {refusal}\n"}
    assert explain("training-1", status) == f"the training run training-1 was refused: {refusal}"
    assert "(AppFailed)" in explain("training-1", {**status, "message": "a connection was refused"})
