"""Scheduled retraining, against an API server in memory: what is trained, what is attached to, what is written."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes import names
from infra.kubernetes.incluster import derived, retrain
from infra.kubernetes.incluster.api import ApiError
from infra.kubernetes.incluster.ending import Failure
from tests.unit.scheduled_objects import CONFIG_MAPS, DONE, RAY_JOBS, RESULT, SPACE, TEMPLATE, Objects
from training import lineage, spec
from training.console import Refused
from training.identity import code_digest, file_digest, identity

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns about type hints of its own while it is imported
    import training.job  # noqa: F401  what the tests put their own judge into

BROKEN = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed", "message": "no column kind"}


@pytest.fixture
def stack(tmp_path: Path) -> dict[str, Any]:
    """The specification of a stack's own run, with digests of files that are there."""
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "lock.txt").write_text("ray==2\n")
    parts = {
        "code": code_digest(tmp_path, ["code.py"]),
        "lock": file_digest(tmp_path / "lock.txt"),
        "data": "s3://b/rows.csv@unpinned target=kind format=auto",
        "parameters": "p",
        "seed": "7",
        "split": "s",
    }
    return {
        "contract": 1,
        "project": "slipway",
        "stack": "dev",
        "identity": identity(parts),
        "identity_parts": parts,
        "model_name": "default",
        "tracking_uri": "http://tracking",
        "data": {"uri": "s3://b/rows.csv", "target": "kind", "version": None, "key": None, "format": "auto"},
        "training": {"params": {}},
        "gate": {"floors": {}, "tolerance": None, "on_failure": "fail"},
        "code": {"root": str(tmp_path), "files": ["code.py"], "lock": "lock.txt"},
        "lineage": {"commit": None, "dirty": None},
        "storage": "s3://b/checkpoints",
    }


class World:
    """Which runs are finished, what the data are now, and what a RayJob comes to."""

    def __init__(self, api: Objects, stack: dict[str, Any]) -> None:
        self.api, self.stack = api, stack
        self.now = "d1"
        self.finished: dict[str, str] = {stack["identity"]: "d1"}
        self.ends: dict[str, Any] = DONE
        api.kept[f"{CONFIG_MAPS}/{RESULT}"] = {"metadata": {"name": RESULT}}
        api.happens = self.trains

    def trains(self, job: dict[str, Any]) -> None:
        job["status"] = self.ends
        if self.ends is DONE:
            text = self.api.kept[f"{CONFIG_MAPS}/{job['metadata']['name']}"]["data"]["spec.json"]
            made = spec.parse(json.loads(text))
            lineage.verify(made, Path(made.code.root))
            self.finished[made.identity] = str(made.data.sha256)

    def judge(self, wanted: spec.RunSpec) -> dict[str, Any]:
        version = str(list(self.finished).index(wanted.identity) + 1)
        return {"run_id": f"r{version}", "model_version": version, "verdict": "passed", "metrics": {}, "reasons": []}

    def tags(self, found: Mapping[str, Any]) -> dict[str, str] | None:
        digest = self.finished.get(found["identity"])
        return None if digest is None else {"slipway.data.sha256": digest}

    def look(self) -> None:
        retrain.retrain(retrain.Scheduled(self.api, TEMPLATE, lambda _: None), self.stack, f"{SPACE}/{RESULT}")


@pytest.fixture
def world(tmp_path: Path, stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(Objects(tmp_path), stack)
    monkeypatch.setattr("training.source.content_digest", lambda _data: made.now)
    monkeypatch.setattr("training.job.judge", made.judge)
    monkeypatch.setattr(derived, "finished", made.tags)
    return made


def test_the_data_of_the_stacks_own_run_train_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.look()
    world.look()
    assert world.api.jobs() == []
    assert world.api.result() == {**world.judge(spec.parse(world.stack)), "candidate": "1"}
    assert "nothing new: version 1" in capsys.readouterr().out


def test_new_data_train_a_run_whose_identity_is_derived(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.look()
    world.now = "d2"
    world.look()
    (name,) = world.api.jobs()
    job = world.api.kept[f"{RAY_JOBS}/{name}"]
    made = derived.document(world.stack, "d2")
    assert name == names.training_name(made["identity"])
    assert job["metadata"]["annotations"]["slipway/identity-data"].endswith("format=auto @ sha256:d2")
    assert job["spec"]["volumes"][0]["configMap"]["name"] == name
    assert job["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    file = world.api.kept[f"{CONFIG_MAPS}/{name}"]
    assert file["metadata"]["ownerReferences"][0] == {
        "apiVersion": "ray.io/v1", "kind": "RayJob", "name": name, "uid": f"uid-{name}"
    }  # fmt: skip
    result = world.api.result()
    assert result is not None
    assert result["candidate"] == "2"
    world.look()
    assert world.api.jobs() == [name]
    assert "nothing new: version 2" in capsys.readouterr().out


def test_data_that_went_back_make_the_former_run_the_result_again(world: World) -> None:
    for world.now in ("d2", "d1"):
        world.look()
    result = world.api.result()
    assert result is not None
    assert result["candidate"] == "1"
    assert len(world.api.jobs()) == 1


def test_while_the_stacks_own_run_has_not_finished_nothing_is_done(world: World) -> None:
    world.finished.clear()
    world.look()
    assert world.api.jobs() == []
    assert world.api.result() is None


def test_a_run_that_goes_on_is_attached_to_and_gets_the_file_that_it_still_lacks(world: World) -> None:
    wanted = derived.document(world.stack, "d2")
    name = derived.run_name(wanted)
    going = derived.ray_job(TEMPLATE, wanted, name)
    going["metadata"]["uid"] = f"uid-{name}"
    going["metadata"]["creationTimestamp"] = "2026-01-01"
    world.api.kept[f"{RAY_JOBS}/{name}"] = {**going, "status": {"jobDeploymentStatus": "Running"}}
    world.now = "d2"
    world.look()
    assert world.api.jobs() == [name], "no second one"
    assert f"{CONFIG_MAPS}/{name}" in world.api.kept


def test_a_failed_training_is_told_and_the_next_date_tries_anew(world: World) -> None:
    world.look()
    before = world.api.result()
    world.now, world.ends = "d2", BROKEN
    with pytest.raises(Failure, match="AppFailed: no column kind"):
        world.look()
    assert world.api.result() == before
    world.ends = DONE
    world.look()
    first = derived.run_name(derived.document(world.stack, "d2"))
    assert world.api.jobs() == [first, f"{first}-1"]


def test_a_training_that_was_deleted_is_no_success(world: World) -> None:
    world.now = "d2"

    def gone(job: dict[str, Any]) -> None:
        raise ApiError(f"{job['metadata']['name']} is gone", 404)

    world.api.happens = gone
    with pytest.raises(Failure, match="is gone"):
        world.look()


def test_only_the_newest_ended_runs_of_the_schedule_are_kept(world: World) -> None:
    for number in range(6):
        labels = {derived.SCHEDULED_LABEL: "true"} if number else {}
        status = {"jobDeploymentStatus": "Running"} if number == 1 else DONE
        metadata = {"name": f"old-{number}", "labels": labels, "creationTimestamp": f"2026-01-0{number + 1}"}
        world.api.kept[f"{RAY_JOBS}/old-{number}"] = {"metadata": metadata, "status": status}
    world.now = "d2"
    world.look()
    new = derived.run_name(derived.document(world.stack, "d2"))
    assert world.api.jobs() == ["old-0", "old-1", "old-4", "old-5", new], (
        "the stack's own and the going one are not its"
    )


@pytest.mark.parametrize("status", [403, 404])
def test_a_stack_that_wants_another_run_by_now_is_not_written_to(world: World, status: int) -> None:
    world.api.refuse["get", RESULT] = status
    world.now = "d2"
    with pytest.raises(Failure, match="the stack wants another run by now"):
        world.look()
    assert world.api.jobs() == [], "and nothing is trained for it"


def test_an_api_server_that_is_away_is_not_taken_for_that(world: World) -> None:
    world.api.refuse["get", RESULT] = 500
    with pytest.raises(ApiError, match="refused"):
        world.look()


def test_a_derived_identity_is_that_of_its_parts_and_its_run_says_whose_it_is(stack: dict[str, Any]) -> None:
    made = spec.parse(derived.document(stack, "d2"))
    lineage.verify(made, Path(made.code.root))
    tags = lineage.tags(made)
    assert (tags["slipway.scheduled"], tags["slipway.identity.stack"]) == ("true", stack["identity"])
    assert lineage.version_tags(made)["slipway.scheduled"] == "true"
    assert "slipway.scheduled" not in lineage.tags(spec.parse(stack)), "the stack's own is not scheduled"
    with pytest.raises(Refused, match="not that of its parts"):
        lineage.verify(
            spec.parse({**derived.document(stack, "d2"), "identity": stack["identity"]}), Path(made.code.root)
        )


def test_a_shared_cluster_gets_the_specification_in_the_environment(stack: dict[str, Any]) -> None:
    encoded = base64.b64encode(derived.SPEC_MARK.encode()).decode()
    template = {**TEMPLATE, "spec": {"runtimeEnvYAML": f'{{"env_vars": {{"SPEC": "{encoded}"}}}}'}}
    wanted = derived.document(stack, "d2")
    job = derived.ray_job(template, wanted, "training-x")
    assert json.loads(base64.b64decode(json.loads(job["spec"]["runtimeEnvYAML"])["env_vars"]["SPEC"])) == wanted
    assert not derived.needs_file(template)


@pytest.mark.parametrize("text", ["", "a.b.c", "a.e30.c"])
def test_a_token_of_no_service_account_is_named(text: str) -> None:
    with pytest.raises(Failure, match="names no ServiceAccount"):
        retrain.owner(text)
