"""Following the champion and running releases against a registry in memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from components.model_service import ALIAS_POLL_S
from serving import controller, loading, smoke
from serving.controller import COMMAND_TAG, STATE_TAG, Controller, Wish
from serving.errors import ModelUnusable, RegistryUnavailable
from serving.follower import Follower
from serving.models import Model, Outputs
from serving.registry import Registry
from serving.release import Verdict
from serving.settings import parse
from serving.signature import from_mlmodel
from tests.serving.fakes import ARGS, Constant, FakeRegistry, native


class Loads:
    """Loads models by version, and counts."""

    def __init__(self, **models: Model) -> None:
        self.models, self.count = models, 0

    def __call__(self, registry: Registry, name: str, version: str) -> tuple[Model, Outputs]:
        self.count += 1
        if f"v{version}" not in self.models:
            raise ModelUnusable(f"version {version}: its artifact has no file MLmodel")
        model = self.models[f"v{version}"]
        return model, loading.smoke(model)


def follower(registry: FakeRegistry, load: Any) -> Follower:
    return Follower(registry, "default", 0.01, load)


def look(following: Follower) -> None:
    asyncio.run(following.look())


def version_of(following: Follower) -> str | None:
    return None if following.champion is None else following.champion.version


def test_it_follows_the_alias_and_keeps_the_version_before() -> None:
    registry, load = FakeRegistry(aliases={"champion": "1"}), Loads(v1=Constant(), v2=native())
    following = follower(registry, load)
    look(following)
    assert version_of(following) == "1"
    registry.aliases["champion"] = "2"
    look(following)
    assert version_of(following) == "2"
    assert following.previous is not None
    assert following.previous.version == "1"
    assert following.notice is not None
    assert "column x1 is new" in following.notice


def test_it_looks_every_second_and_each_look_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, load = FakeRegistry(aliases={"champion": "1"}), Loads(v1=Constant(), v2=Constant(), v3=Constant())
    following = Follower(registry, "default", ALIAS_POLL_S, load)
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        assert version_of(following) == str(len(waits))
        registry.aliases["champion"] = str(len(waits) + 1)
        if len(waits) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", wait)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(following.run())
    assert waits == [ALIAS_POLL_S] * 3
    assert ALIAS_POLL_S <= 1, "a version is to be followed within 5 s, its load included"


def test_going_back_to_the_version_before_loads_nothing() -> None:
    registry, load = FakeRegistry(aliases={"champion": "1"}), Loads(v1=Constant(), v2=Constant())
    following = follower(registry, load)
    for version in ("1", "2", "1", "2"):
        registry.aliases["champion"] = version
        look(following)
        assert version_of(following) == version
    assert load.count == 2


def test_a_registry_that_is_down_changes_nothing_and_is_named() -> None:
    registry = FakeRegistry(aliases={"champion": "1"})
    following = follower(registry, Loads(v1=Constant()))
    look(following)
    registry.down = True
    look(following)
    assert version_of(following) == "1"
    assert following.problem is not None
    assert "connection refused" in following.problem
    registry.down = False
    look(following)
    assert following.problem is None


def test_a_version_that_cannot_be_served_leaves_the_champion_and_is_named_and_not_loaded_at_every_look() -> None:
    registry, load = FakeRegistry(aliases={"champion": "1"}), Loads(v1=Constant())
    following = follower(registry, load)
    look(following)
    registry.aliases["champion"] = "2"
    for _ in range(3):
        look(following)
    assert version_of(following) == "1"
    assert following.problem is not None
    assert "version 2, which cannot be served" in following.problem
    assert load.count == 2


def test_no_champion_yet_is_said() -> None:
    following = follower(FakeRegistry(), Loads())
    look(following)
    assert following.champion is None
    assert following.problem == "the registry has no champion of model default; release a version"


@pytest.mark.parametrize("answer", [np.array([np.nan]), np.array([1.0, 2.0]), np.float64(1)])
def test_a_model_whose_smoke_prediction_is_wrong_is_unusable(answer: Any) -> None:
    model = Constant()
    model.predict = lambda prepared: Outputs({"predict": answer})  # type: ignore[method-assign]
    with pytest.raises(ModelUnusable, match="output predict"):
        loading.smoke(model)


def test_the_smoke_request_is_the_artifacts_own_example() -> None:
    seen: list[Any] = []
    model = Constant()

    def prepare(rows: Any) -> Any:
        seen.append(rows.matrix.ravel().tolist())
        return rows.count

    model.prepare = prepare  # type: ignore[method-assign]
    loading.smoke(model, {"dataframe_split": {"columns": ["x0"], "data": [[5.0], [6.0]]}})
    assert seen == [[5.0, 6.0]]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({}, "no signature"),
        ({"signature": {"inputs": '[{"type": "array", "name": "x"}]'}}, "x (array)"),
        ({"signature": {"inputs": '[{"type": "double"}]'}}, "columns without names"),
    ],
)
def test_a_signature_that_cannot_be_served_is_said(manifest: Any, words: str) -> None:
    with pytest.raises(ModelUnusable) as caught:
        from_mlmodel(manifest)
    assert words in str(caught.value)


def test_a_tensor_signature_becomes_one_input() -> None:
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}
    signature = from_mlmodel({"signature": {"inputs": json.dumps([spec])}})
    assert signature.inputs() == [{"name": "input", "datatype": "FP32", "shape": [-1, 3]}]


def running(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, *, passed: bool = True) -> Controller:
    async def verdict(uri: str, name: str, version: str) -> Verdict:
        return Verdict(version, passed, "" if passed else "it crashed")

    monkeypatch.setattr(smoke, "run", verdict)
    return Controller(registry, "default", 0.01)


async def settle(running: Controller) -> None:
    for _ in range(30):
        if not await running.turn():
            return
    raise AssertionError("it never comes to rest")


def state(registry: FakeRegistry) -> Any:
    return json.loads(registry.tags[STATE_TAG])


def test_the_controller_releases_what_the_stack_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = FakeRegistry(versions={"1": {}})
    release = running(registry, monkeypatch)
    release.wish = Wish("1")
    asyncio.run(settle(release))
    assert registry.aliases == {"champion": "1"}
    assert registry.versions["1"] == {"slipway.release": "champion"}
    assert {key: state(registry)[key] for key in ("contract", "epoch", "candidate", "phase", "champion", "reason")} == {
        "contract": 1, "epoch": 1, "candidate": "1", "phase": "released", "champion": "1", "reason": None,
    }  # fmt: skip
    assert {"from", "to", "by", "at", "reason", "epoch"} == set(state(registry)["history"][0])


def test_the_controller_executes_a_command_once_even_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = FakeRegistry(versions={"1": {}, "2": {}})
    release = running(registry, monkeypatch)
    for version in ("1", "2"):
        release.wish = Wish(version)
        asyncio.run(settle(release))
    registry.tags[COMMAND_TAG] = json.dumps(
        {"id": "x", "action": "rollback", "by": "ana", "at": "now", "reason": "slow"}
    )
    asyncio.run(settle(release))
    assert registry.aliases["champion"] == "1"
    assert registry.versions["2"]["slipway.release"] == "rolled_back"
    restarted = running(registry, monkeypatch)
    restarted.wish = Wish("2")
    asyncio.run(settle(restarted))
    assert registry.aliases["champion"] == "1"


def test_at_rest_a_turn_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = FakeRegistry(versions={"1": {}})
    release = running(registry, monkeypatch)
    release.wish = Wish("1")
    asyncio.run(settle(release))
    calls: list[str] = []
    monkeypatch.setattr(registry, "_answer", lambda: calls.append("call"))
    asyncio.run(settle(release))
    assert len(calls) == 1


def test_a_model_that_was_never_registered_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = FakeRegistry(registered=False)
    release = running(registry, monkeypatch)
    release.wish = Wish("1")
    assert not asyncio.run(release.turn())
    assert registry.tags == {}


def test_the_controller_outlives_a_registry_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        registry = FakeRegistry(versions={"1": {}}, down=True)
        release = running(registry, monkeypatch)
        release.wish = Wish("1")
        task = asyncio.create_task(release.run())
        while release._trouble is None:  # noqa: ASYNC110  what is waited for is another task's attribute
            await asyncio.sleep(0.01)
        registry.down = False
        while registry.aliases.get("champion") != "1":  # noqa: ASYNC110  likewise
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 120))


def test_a_state_that_cannot_be_read_is_named_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = FakeRegistry(tags={STATE_TAG: "{"})
    with pytest.raises(ValueError, match=r"tag slipway.release.state cannot be read .* repair or delete it"):
        asyncio.run(running(registry, monkeypatch).turn())
    assert registry.tags[STATE_TAG] == "{"


@pytest.mark.parametrize("text", ["{", "[]", '{"id": 1}', "3"])
def test_a_command_that_cannot_be_read_is_none(text: str) -> None:
    assert controller._command(FakeRegistry(tags={COMMAND_TAG: text}).model("default")) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [{"candidate": 3}, {"candidat": "3"}, {"release": "rolling"}])
def test_a_wish_that_is_mistyped_is_refused(config: Any) -> None:
    with pytest.raises(ValueError, match="user_config"):
        Wish.parse(config)


def test_a_smoke_test_without_a_tracking_server_says_nothing_about_the_model() -> None:
    with pytest.raises(RegistryUnavailable):
        asyncio.run(smoke.run("http://127.0.0.1:1", "default", "1"))


def test_arguments_of_the_application_have_defaults_and_bounds() -> None:
    settings = parse(ARGS)
    assert (settings.max_queued, settings.max_replicas, settings.max_body_bytes) == (256, 1, 10485760)
    with pytest.raises(ValueError, match="colour: unknown key") as caught:
        parse({**ARGS, "colour": 1, "project": "", "limits": {"max_queue": 1}, "replicas": {"min": 3, "max": 2}})
    for words in ("project: a non-empty string", "limits.max_queue: unknown key", "replicas.max: 2 is below"):
        assert words in str(caught.value)
