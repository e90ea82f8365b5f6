"""Each stack file through `deploy()` under a recording engine: which resources there are and how they hang together."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.seam import Place
from stacks.config import EnvironmentConfig, load
from stacks.environment import SUBSTRATES, deploy
from stacks.outputs import CONTRACT
from tests.mock_engine import REJECTED, Engine, run
from tests.stack_files import settings_in

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
STACK_FILES = sorted(
    path.name for path in ROOT.glob("Pulumi.*.yaml") if "kind: local" in path.read_text()
)  # the others have tests of their own, by substrate


def config_of(stack_file: str, **changes: Any) -> EnvironmentConfig:
    return load({**settings_in(ROOT / stack_file), **changes})


def deployed(
    config: EnvironmentConfig, *, preview: bool = False, engine: Engine | None = None
) -> tuple[Engine, dict[str, Any]]:
    """Run `deploy()` and return what was registered and the outputs that became known."""
    known: dict[str, Any] = {}

    def program() -> None:
        outputs = deploy(Place(project="slipway", stack="dev", root=ROOT), config).as_dict()
        for key, value in outputs.items():
            pulumi.Output.from_input(value).apply(partial(known.__setitem__, key))

    return run(program, engine=engine, preview=preview), known


def shape(engine: Engine) -> list[list[Any]]:
    return sorted([item.type, item.name, item.parent, item.provider] for item in engine.registrations)


@pytest.mark.parametrize("stack_file", STACK_FILES)
def test_the_registered_resources_are_the_golden_ones(stack_file: str) -> None:
    engine, _ = deployed(config_of(stack_file))
    golden = GOLDEN / f"{stack_file}.json"
    text = json.dumps(shape(engine), indent=1) + "\n"
    if not golden.exists():
        golden.write_text(text)
        pytest.fail(f"{golden.name} did not exist and was written: read it, commit it")
    assert text == golden.read_text(), f"if the change is meant, delete {golden} and run again"


@pytest.mark.parametrize("stack_file", STACK_FILES)
def test_a_preview_registers_what_an_update_does(stack_file: str) -> None:
    preview, _ = deployed(config_of(stack_file), preview=True)
    update, _ = deployed(config_of(stack_file))
    assert shape(preview) == shape(update), "a resource made in an `apply` is missing from a preview"


def test_two_runs_of_the_program_register_the_same_inputs() -> None:
    first, _ = deployed(config_of("Pulumi.dev.yaml"))
    second, _ = deployed(config_of("Pulumi.dev.yaml"))
    key = lambda item: (item.type, item.name)  # noqa: E731
    assert sorted(first.registrations, key=key) == sorted(second.registrations, key=key)


def test_urls_and_identity_are_known_in_the_preview_of_a_fresh_environment() -> None:
    _, outputs = deployed(config_of("Pulumi.dev.yaml"), preview=True)
    assert outputs["contract"] == CONTRACT
    assert {key: value for key, value in outputs["substrate"].items() if value is not None} == {"kind": "local"}
    assert "training" not in outputs, "the control: what training will find is unknown, so that output is too"


def test_every_output_is_there_and_absent_ones_are_none() -> None:
    _, outputs = deployed(config_of("Pulumi.dev.yaml"))
    assert set(outputs) == {
        *("contract", "substrate", "artifact_store", "tracking", "ray", "training", "serving"),
        *("monitoring", "cost", "secrets"),
    }
    assert outputs["monitoring"] == {"url": None}
    assert None not in outputs.values(), "the engine would drop it: a consumer would find the key missing"
    assert set(outputs["serving"]) == {"url", "model_name", "candidate", "champion", "challenger"}
    assert set(outputs["training"]) >= {"model_name", "model_version", "run_id", "identity", "verdict", "metrics"}


def test_every_resource_is_made_by_the_one_explicit_provider() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml"))
    custom = [item for item in engine.registrations if item.type.startswith("slipway:local:")]
    assert custom
    providers = {item.provider for item in custom}
    assert len(providers) == 1, f"one provider for everything on this machine, found {providers}"
    assert providers != {""}, "a resource without an explicit provider would use a default one"


def test_the_passed_version_is_the_candidate_and_a_rejected_one_is_not() -> None:
    passed, _ = deployed(config_of("Pulumi.dev.yaml"))
    assert passed.one("slipway:local:ServeApplication").inputs["candidate"] == "3"
    rejecting = Engine({"slipway:local:RayJob": REJECTED})
    rejected, outputs = deployed(config_of("Pulumi.dev.yaml"), engine=rejecting)
    assert rejected.one("slipway:local:ServeApplication").inputs.get("candidate") is None
    assert outputs["training"]["verdict"] == "rejected"
    assert outputs["training"]["reasons"] == REJECTED["reasons"], "the evidence belongs into the outputs"


def test_on_failure_fail_ends_the_program_with_the_evidence() -> None:
    config = config_of("Pulumi.dev.yaml", gate={"on_failure": "fail"})
    with pytest.raises(Exception, match=r"accuracy 0\.8 is below its floor 0\.9"):
        deployed(config, engine=Engine({"slipway:local:RayJob": REJECTED}))


def test_on_failure_fail_lets_a_passed_candidate_through() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml", gate={"on_failure": "fail"}))
    assert engine.one("slipway:local:ServeApplication").inputs["candidate"] == "3"


def test_workloads_are_destroyed_before_the_ground_they_stand_on() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml"))
    ground = {item.name for item in engine.all("slipway:local:DataFolder") if item.name.startswith("foundation")}
    assert ground
    for type_ in ("slipway:local:Process", "slipway:local:RayJob", "slipway:local:ServeApplication"):
        for item in engine.all(type_):
            assert ground <= set(item.dependencies), f"{item.name} must depend on {sorted(ground)}"


def test_training_needs_tracking_and_ray_and_serving_needs_both() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml"))
    for type_ in ("slipway:local:RayJob", "slipway:local:ServeApplication"):
        assert {"tracking-process", "ray-head"} <= set(engine.one(type_).dependencies)


def test_a_restarted_ray_head_deploys_the_application_again() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml"))
    incarnation = engine.one("slipway:local:Process", "ray-head").inputs.get("incarnation")
    assert incarnation is None, "the control: it is the provider's answer, not an input"
    assert engine.one("slipway:local:ServeApplication").inputs["incarnation"] == "4711-1"


def test_nothing_listens_beyond_loopback() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml"))
    head = engine.one("slipway:local:Process", "ray-head").inputs
    assert head["environment"]["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0", "else Ray listens on every interface"
    for process in engine.all("slipway:local:Process"):
        assert "0.0.0.0" not in json.dumps(process.inputs)  # noqa: S104  the thing looked for
    assert engine.one("slipway:local:ServeApplication").inputs["http"]["host"] == "127.0.0.1"


def test_no_token_is_in_any_input() -> None:
    engine, _ = deployed(config_of("Pulumi.dev.yaml"))
    head = engine.one("slipway:local:Process", "ray-head").inputs
    assert head["environment"]["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_TOKEN" not in head["environment"], "the token is read from a file, never passed"


def test_every_substrate_in_the_table_is_one_the_config_accepts() -> None:
    assert {type(config_of(name).substrate) for name in STACK_FILES} <= set(SUBSTRATES)
