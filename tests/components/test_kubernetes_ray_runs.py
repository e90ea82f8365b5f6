"""A training run on Kubernetes as a resource: what is another run, what is judged again, and how it fails."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from tests.components.kubernetes_ray import (
    CONFIG_MAP,
    FAILED,
    IDENTITY,
    JOB,
    PARTS,
    RAY_JOB,
    declare,
    engine,
    pool,
)
from tests.mock_engine import Engine

NAME = f"training-{IDENTITY[:20]}"


def job_of(**changes: Any) -> dict[str, Any]:
    return declare(run_changes=changes).one(RAY_JOB).inputs


def name_of(made: Engine, type_: str, name: str) -> str:
    return str(made.one(type_, name).inputs["metadata"]["name"])


def test_a_run_is_named_by_its_identity_and_says_what_that_is_made_of() -> None:
    metadata = job_of()["metadata"]
    assert metadata["name"] == NAME
    parts = {key.removeprefix("slipway/identity-"): value for key, value in metadata["annotations"].items()}
    assert {key: parts[key] for key in PARTS} == PARTS


def test_another_identity_is_another_run() -> None:
    other = job_of(identity="f" * 64)
    assert other["metadata"]["name"] != NAME


@pytest.mark.parametrize(
    "change",
    [
        {"timeout_s": 60},
        {"retries": 3},
        {"memory_gib": 8},
        {"resources": {"workers": 3, "cpus": 2, "gpus": 0}},
        {"gate": {"floors": {}, "tolerance": None, "on_failure": "fail"}},
    ],
)
def test_what_is_no_part_of_the_identity_is_no_other_run(change: dict[str, Any]) -> None:
    assert job_of(**change)["metadata"] == job_of()["metadata"]


def test_another_image_is_no_other_run() -> None:
    image = f"registry.example/slipway@sha256:{'b' * 64}"
    assert declare(run_changes={}, image=image).one(RAY_JOB).inputs["metadata"] == job_of()["metadata"]


def test_another_gate_replaces_only_the_verdict() -> None:
    before, after = declare(run_changes={}), declare(run_changes={"gate": {"floors": {"accuracy": 0.5}}})
    assert name_of(before, RAY_JOB, "training-job") == name_of(after, RAY_JOB, "training-job")
    assert name_of(before, CONFIG_MAP, "training-spec") == name_of(after, CONFIG_MAP, "training-spec")
    assert name_of(before, JOB, "training-verdict") != name_of(after, JOB, "training-verdict")
    assert name_of(before, CONFIG_MAP, "training-result") != name_of(after, CONFIG_MAP, "training-result")


def test_what_happens_on_rejection_is_no_part_of_the_verdict() -> None:
    gate = {"floors": {"accuracy": 0.9}, "tolerance": None, "on_failure": "fail"}
    before, after = declare(run_changes={}), declare(run_changes={"gate": gate})
    assert name_of(before, JOB, "training-verdict") == name_of(after, JOB, "training-verdict")


def test_the_job_is_waited_for_longer_than_it_may_take() -> None:
    job = declare(run_changes={"timeout_s": 100.5, "retries": 2}).one(RAY_JOB)
    spec = job.inputs["spec"]
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (101, 2)
    assert spec["shutdownAfterJobFinishes"] is True
    assert job.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "jsonpath={.status.endTime}"
    for wait in job.waits:
        assert float(wait.removesuffix("s")) > 3 * 101, "three attempts, each as long as it may take"


def test_a_verdict_is_waited_for_longer_than_it_may_take() -> None:
    verdict = declare(run_changes={}).one(JOB, "training-verdict")
    for wait in verdict.waits:
        assert float(wait.removesuffix("s")) > verdict.inputs["spec"]["activeDeadlineSeconds"]


def test_the_specification_is_what_the_job_reads() -> None:
    from training import spec  # noqa: PLC0415  as the job does

    made = declare(run_changes={})
    read = spec.parse(json.loads(made.one(CONFIG_MAP, "training-spec").inputs["data"]["spec.json"]))
    assert read.identity == IDENTITY
    assert read.storage == "s3://models/a/checkpoints"
    assert read.code.root == "/opt/slipway/app"


def test_the_job_reads_the_specification_that_was_made_for_it() -> None:
    made = declare(run_changes={})
    (group,) = made.one(RAY_JOB).inputs["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    volume = next(item for item in group["template"]["spec"]["volumes"] if item["name"] == "run-spec")
    assert volume["configMap"]["name"] == name_of(made, CONFIG_MAP, "training-spec")
    assert "training-spec" in made.one(RAY_JOB).dependencies


def test_the_verdict_is_judged_by_the_gate_after_the_run() -> None:
    made = declare(run_changes={})
    verdict = made.one(JOB, "training-verdict")
    assert "training-job" in verdict.dependencies, "before the run has ended there is nothing to judge"
    (container,) = verdict.inputs["spec"]["template"]["spec"]["containers"]
    assert json.loads(container["args"][container["args"].index("--gate") + 1]) == {
        "floors": {"accuracy": 0.9},
        "tolerance": None,
    }
    assert container["args"][-1] == f"slipway-dev/{name_of(made, CONFIG_MAP, 'training-result')}"


def test_the_verdict_may_change_exactly_its_result() -> None:
    made = declare(run_changes={})
    (rule,) = made.one("kubernetes:rbac.authorization.k8s.io/v1:Role", "training-verdict-role").inputs["rules"]
    assert rule["resourceNames"] == [name_of(made, CONFIG_MAP, "training-result")]
    assert sorted(rule["verbs"]) == ["get", "patch"]


def test_a_job_that_failed_is_done_again_by_the_next_up() -> None:
    """It never runs again by itself, and its name says what it is for, not how often it was tried."""
    made = declare(run_changes={})
    assert made.one(JOB, "training-verdict").inputs["metadata"]["annotations"] == {"pulumi.com/replaceUnready": "true"}


def test_results_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"run_id": "r1", "model_version": "4", "verdict": "passed", "metrics": {"f1": 0.9}, "candidate": "4"}
    made = engine()
    made._answers[CONFIG_MAP] = {"data": {"result.json": json.dumps(result)}}
    monkeypatch.setattr("tests.components.kubernetes_ray.engine", lambda _job: made)
    seen: dict[str, Any] = {}
    declare(run_changes={}, seen=seen)
    assert seen == {**result, "reasons": []}


def test_a_preview_of_a_new_run_knows_no_result() -> None:
    seen: dict[str, Any] = {}
    declare(run_changes={}, preview=True, seen=seen)
    assert seen == {}


def test_the_result_is_read_once_the_verdict_is_there_and_never_in_a_preview_of_it() -> None:
    made = declare(run_changes={})
    assert made.reads == [f"slipway-dev/{name_of(made, CONFIG_MAP, 'training-result')}"]
    assert declare(run_changes={}, preview=True).reads == [""], "what is there by then is an earlier run's, or nothing"


def test_the_result_is_made_empty_and_what_the_job_writes_into_it_is_left_alone() -> None:
    result = declare(run_changes={}).one(CONFIG_MAP, "training-result")
    assert "data" not in result.inputs
    assert result.ignores == ("data",), "the next `up` would empty it"


def test_a_failed_run_fails_the_program_with_its_exception_and_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(FAILED)
    monkeypatch.setattr("tests.components.kubernetes_ray.engine", lambda _job: made)
    with pytest.raises(pulumi.RunError, match="no such column: colour"):
        declare(run_changes={})
    assert made.one(RAY_JOB), "the control: the run was made"
    assert made.all(JOB) == []


def test_a_run_that_is_not_waited_for_is_pending() -> None:
    seen: dict[str, Any] = {}
    made = declare(run_changes={"wait": False}, job={"jobDeploymentStatus": "Running"}, seen=seen)
    assert made.one(RAY_JOB).inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    assert made.one(JOB, "training-verdict").inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    assert seen["verdict"] == "pending"


def test_the_next_attempt_at_a_failed_run_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"metadata": {"name": f"{NAME}-1", "labels": {"slipway/run": NAME}}, "status": FAILED}
    monkeypatch.setattr("infra.kubernetes.earlier._jobs", lambda _context: [failed])
    made = declare(run_changes={})
    assert made.one(RAY_JOB).inputs["metadata"]["name"] == f"{NAME}-2"
    assert name_of(made, CONFIG_MAP, "training-spec") == NAME


def test_a_shared_cluster_is_given_the_specification_in_the_environment() -> None:
    job = declare(run_changes={}, shared=True, pools=(pool(),)).one(RAY_JOB).inputs["spec"]
    assert job["entrypoint"].endswith("shared_run SLIPWAY_RUN_SPEC")
    assert json.loads(job["runtimeEnvYAML"])["env_vars"]["SLIPWAY_RUN_SPEC"]


def test_names_are_short_enough_for_kuberay() -> None:
    assert len(f"{NAME}-99") <= 47
