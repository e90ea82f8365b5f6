"""The example stack file of a cluster through `deploy()`: which objects there are, how they hang together, how safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mock_engine import Engine
from tests.programs.kubernetes_program import deployed

GOLDEN = Path(__file__).parent / "golden" / "Pulumi.cluster.yaml.json"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return deployed()[0]


def shape(engine: Engine) -> list[list[Any]]:
    return sorted([item.type, item.name, item.parent, item.provider] for item in engine.registrations)


def test_the_registered_resources_are_the_golden_ones(engine: Engine) -> None:
    text = json.dumps(shape(engine), indent=1) + "\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text)
        pytest.fail(f"{GOLDEN.name} did not exist and was written: read it, commit it")
    assert text == GOLDEN.read_text(), f"if the change is meant, delete {GOLDEN} and run again"


def test_a_preview_registers_what_an_update_does(engine: Engine) -> None:
    preview, outputs = deployed(preview=True)
    assert shape(preview) == shape(engine), "a resource made in an `apply` is missing from a preview"
    assert "training" not in outputs, "the control: what training will find is unknown, so that output is too"
    assert outputs["tracking"] == {"uri": "http://tracking.slipway-dev.svc.cluster.local:5000"}


def test_two_runs_of_the_program_register_the_same_inputs(engine: Engine) -> None:
    key = lambda item: (item.type, item.name)  # noqa: E731
    assert sorted(deployed()[0].registrations, key=key) == sorted(engine.registrations, key=key)


def test_every_object_is_made_by_the_one_explicit_provider(engine: Engine) -> None:
    providers = {item.provider for item in engine.registrations if item.type.startswith("kubernetes:")}
    assert len(providers) == 1
    assert providers != {""}, "a resource without an explicit provider would use the current context"
    provider = engine.one("pulumi:providers:kubernetes").inputs
    assert provider["context"] == "example"
    assert provider["enableServerSideApply"] == "true"
    assert provider["clusterIdentifier"] == "example", "another path to the kubeconfig would replace everything"


def test_every_object_says_whose_it_is(engine: Engine) -> None:
    for item in engine.registrations:
        if item.type.startswith("kubernetes:"):
            labels = item.inputs["metadata"].get("labels", {})
            assert labels.get("slipway/environment") == "slipway-dev", f"{item.name} has the labels {labels}"


def ground_of(engine: Engine) -> set[str]:
    return {
        item.name
        for item in engine.registrations
        if item.type.startswith("kubernetes:") and item.parent in ("namespace", "network", "foundation")
    }


def behind(engine: Engine, name: str) -> set[str]:
    """Return everything that the resource depends on, at first or second hand."""
    direct = {item.name: set(item.dependencies) for item in engine.registrations}
    found: set[str] = set()
    open_ = set(direct[name])
    while open_:
        found |= open_
        open_ = {further for one in open_ for further in direct.get(one, ())} - found
    return found


def test_workloads_are_destroyed_before_the_ground_they_stand_on(engine: Engine) -> None:
    ground = ground_of(engine)
    assert {"namespace-namespace", "network-default-deny", "secrets-job"} <= ground
    workloads = [
        item for item in engine.registrations if item.type.startswith("kubernetes:") and item.name not in ground
    ]
    assert {item.parent for item in workloads} == {"tracking", "training", "serving"}
    for item in workloads:
        missing = ground - behind(engine, item.name)
        assert not missing, f"{item.name} must depend on {sorted(missing)}"


def test_each_small_job_is_done_again_by_the_next_up_where_it_failed(engine: Engine) -> None:
    jobs = {item.name: item.inputs["metadata"]["annotations"] for item in engine.all("kubernetes:batch/v1:Job")}
    assert jobs.keys() == {"secrets-job", "serving-release", "training-verdict"}
    assert all(annotations == {"pulumi.com/replaceUnready": "true"} for annotations in jobs.values())


def test_training_needs_tracking_and_serving_needs_it_too(engine: Engine) -> None:
    for type_ in ("kubernetes:ray.io/v1:RayJob", "kubernetes:ray.io/v1:RayService"):
        assert "tracking-service" in engine.one(type_).dependencies
    assert "tracking-deployment" in engine.one("kubernetes:core/v1:Service", "tracking-service").dependencies, (
        "a Service is awaited until it has endpoints, which come with the Deployment"
    )


def test_the_database_is_there_before_what_migrates_it(engine: Engine) -> None:
    deployment = engine.one("kubernetes:apps/v1:Deployment", "tracking-deployment")
    assert {"tracking-database", "tracking-database-service"} <= set(deployment.dependencies)
