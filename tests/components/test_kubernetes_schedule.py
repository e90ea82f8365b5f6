"""The schedule for retraining as the program declares it: what it may do, what it renders, and that it is off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import cron
from infra.kubernetes.incluster import derived
from stacks.config import load
from stacks.problems import ConfigError
from tests.components.kuberay_schema import faults
from tests.components.kubernetes_ray import CONFIG_MAP, RAY_JOB, declare
from tests.mock_engine import Engine
from tests.programs.kubernetes_program import settings

CRON_JOB = "kubernetes:batch/v1:CronJob"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
DAILY = {"schedule": "0 3 * * *"}


def template(made: Engine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        made.one(CONFIG_MAP, "training-schedule-template").inputs["data"]["template.json"]
    )
    return found


@pytest.fixture(scope="module")
def scheduled() -> Engine:
    return declare(run_changes=DAILY)


def test_without_a_schedule_there_is_nothing_of_it() -> None:
    made = declare(run_changes={})
    assert [item.name for item in made.registrations if "schedule" in item.name] == []


def test_one_job_at_a_time_looks_by_universal_time(scheduled: Engine) -> None:
    spec = scheduled.one(CRON_JOB).inputs["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 3 * * *", "Etc/UTC", "Forbid")
    job = spec["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] > 2 * 600, "all attempts of a training fit in it"
    assert job["podFailurePolicy"]["rules"][1]["onExitCodes"] == {"operator": "In", "values": [1]}
    assert job["template"]["spec"]["restartPolicy"] == "Never", "a pod failure policy demands it"
    assert "training-job" in scheduled.one(CRON_JOB).dependencies, "the stack's own run comes first"


def test_a_preview_registers_the_same(scheduled: Engine) -> None:
    preview = declare(run_changes=DAILY, preview=True)
    assert sorted(item.name for item in preview.registrations) == sorted(item.name for item in scheduled.registrations)


def test_the_pod_is_restricted_and_reaches_what_its_labels_say(scheduled: Engine) -> None:
    pod = scheduled.one(CRON_JOB).inputs["spec"]["jobTemplate"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["serviceAccountName"] == "schedule"
    assert pod["spec"]["automountServiceAccountToken"] is True
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "setup"
    (policy,) = [item.inputs for item in scheduled.registrations if item.name == "training-schedule-network"]
    selected = policy["spec"]["podSelector"]["matchLabels"]
    assert selected.items() <= pod["metadata"]["labels"].items()
    others = [item for item in scheduled.registrations if item.type == "kubernetes:batch/v1:Job"]
    assert others, "the control"
    for other in others:
        labels = other.inputs["spec"]["template"]["metadata"]["labels"]
        assert not selected.items() <= labels.items(), "no other small Job reaches the store"


def test_the_account_changes_one_configmap_and_removes_none(scheduled: Engine) -> None:
    rules = scheduled.one(ROLE, "training-schedule-role").inputs["rules"]
    result = scheduled.one(CONFIG_MAP, "training-result").inputs["metadata"]["name"]
    by_name = [rule for rule in rules if rule.get("resourceNames") == [result]]
    assert [rule["verbs"] for rule in by_name] == [["get", "patch"]]
    free = [rule for rule in rules if rule["resources"] == ["configmaps"] and "resourceNames" not in rule]
    assert [rule["verbs"] for rule in free] == [["create"]]
    assert {resource for rule in rules for resource in rule["resources"]} == {"rayjobs", "configmaps"}


def test_its_rayjob_is_the_stacks_own_but_for_the_data(scheduled: Engine) -> None:
    found = template(scheduled)
    own = scheduled.one(RAY_JOB).inputs
    made = derived.ray_job(found["rayjob"], found["spec"], own["metadata"]["name"])
    assert made["spec"] == own["spec"]
    other = derived.ray_job(found["rayjob"], derived.document(found["spec"], "d2"), "training-other")
    assert faults("RayJob", {key: other[key] for key in ("metadata", "spec")}) == []
    assert derived.OBJECT_MARK not in json.dumps(other)


def test_on_a_shared_cluster_too() -> None:
    made = declare(run_changes=DAILY, shared=True)
    found = template(made)
    job = derived.ray_job(found["rayjob"], found["spec"], "any")
    assert job["spec"] == made.one(RAY_JOB).inputs["spec"]


@pytest.mark.parametrize(
    "text", ["0 3 * * *", "*/15 0-6,22 1 JAN-mar mon-FRI", "@daily", "@every 1h30m", "0 0 ? * 0", "5/10 * * * *"]
)
def test_what_kubernetes_takes_is_a_schedule(text: str) -> None:
    assert cron.checked(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "five fields"),
        ("0 3 * *", "it has 4"),
        ("0 3 * * * *", "it has 6"),
        ("60 3 * * *", "minute `60`"),
        ("0 24 * * *", "hour `24`"),
        ("0 3 0 * *", "day of the month `0`"),
        ("0 3 * 13 *", "month `13`"),
        ("0 3 * * 7", "day of the week `7`"),
        ("*/0 * * * *", "minute"),
        ("9-5 * * * *", "minute `9-5`"),
        ("TZ=Europe/Berlin 0 3 * * *", "it has 6"),
        ("@reboot", "one of @yearly"),
    ],
)
def test_anything_else_is_refused_by_its_field(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        cron.checked(text)


def test_the_stack_file_says_when() -> None:
    config = load(settings(training={"schedule": "@daily"}))
    assert config.training.schedule == "@daily"
    with pytest.raises(ConfigError, match=r'slipway:training\.schedule = "daily": must have five fields'):
        load(settings(training={"schedule": "daily"}))


def test_a_machine_that_starts_nothing_by_itself_says_so() -> None:
    local = {
        "substrate": {"kind": "local"},
        "data": {"uri": "sklearn:iris", "target": "target"},
        "training": {"schedule": "@daily"},
    }
    with pytest.raises(ConfigError, match=r"starts nothing by itself.*let a timer"):
        load(local)
