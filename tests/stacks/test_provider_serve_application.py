"""The serving application: deployed once, redeployed when it has to be, and its release awaited."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.provider import release
from tests.stacks.provider_bench import eventually, run
from tests.stacks.provider_standins import Ground, attempt, failed, ground, up
from training.identity import code_digest

pytestmark = pytest.mark.slow


def releases(on: Ground, phase: str = "released", reason: str | None = None, champion: str | None = "1") -> None:
    """Let the release controller come to an end as soon as the application is deployed."""

    def on_put(application: dict[str, Any]) -> dict[str, Any]:
        asked = application["deployments"][-1]["user_config"]["candidate"]
        on.tracking.release(phase, asked, champion=champion, reason=reason)
        return up(application)

    on.ray.on_put = on_put


def test_the_application_is_deployed_with_its_candidate_and_its_release_awaited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            made = await on.it.create("ServeApplication", on.service())
            assert (made["live"], made["champion"], made["release_phase"]) == (True, "1", "released")
            (put,) = on.ray.puts
            assert put["http_options"] == {"host": "127.0.0.1", "port": 8000, "request_timeout_s": 30}
            (application,) = put["applications"]
            assert application["deployments"] == [
                {"name": "ReleaseController", "user_config": {"candidate": "1", "release": {"strategy": "rolling"}}}
            ]
            folder = Path(application["runtime_env"]["env_vars"]["PYTHONPATH"])
            assert (folder / "step.py").exists()

    run(scenario)


def test_without_champion_and_candidate_there_is_nothing_to_serve(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            said = await on.it.refused(on.it.create("ServeApplication", on.service(candidate=None)))
            assert "nothing to serve: the model default has no champion, and there is no candidate" in said
            assert on.ray.puts == []
            on.tracking.release("released", "1", champion="1")
            made = await on.it.create("ServeApplication", on.service(candidate=None))
            assert made["champion"] == "1", "the control: a champion is enough"

    run(scenario)


def test_a_failed_release_is_an_error_with_its_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on, "failed", "the smoke request answered 500", champion="0")
            said = await on.it.refused(on.it.create("ServeApplication", on.service()))
            assert "version 1 was not released (failed): the smoke request answered 500" in said
            assert "version 0 stays champion" in said

    run(scenario)


def test_a_refused_candidate_is_a_warning_while_a_champion_serves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on, "refused", "version 1 was rolled back", champion="0")
            made = await on.it.create("ServeApplication", on.service())
            assert (made["champion"], made["release_phase"]) == ("0", "refused")
            assert any("was rolled back" in warning for warning in on.it.heard.warnings)

    run(scenario)


def test_an_old_failure_of_the_same_candidate_does_not_count_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.release("failed", "1", reason="old")
            waiting = asyncio.create_task(on.it.create("ServeApplication", on.service()))
            await eventually(lambda: bool(on.ray.puts), "deployed")
            on.tracking.release("released", "1", champion="1")
            assert (await waiting)["release_phase"] == "released"

    run(scenario)


def test_a_release_has_ended_when_the_champion_itself_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            on.ray.answers_with = {"X-Slipway-Model-Version": "0"}
            waiting = asyncio.create_task(on.it.create("ServeApplication", on.service()))
            await eventually(lambda: bool(on.ray.puts), "deployed")
            await asyncio.wait({waiting}, timeout=1)
            assert not waiting.done(), "the version before still answers"
            on.ray.answers_with = {"X-Slipway-Model-Version": "1"}
            assert (await waiting)["champion"] == "1"

    run(scenario)


def test_a_replica_that_stays_behind_is_a_warning_and_a_broken_champion_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "_SWAP_S", 0.3)
    monkeypatch.setattr(release, "_HOPELESS_S", 0.3)

    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            on.ray.answers_with = {"X-Slipway-Model-Version": "0"}
            await on.it.create("ServeApplication", on.service())
            assert any("still answers with version 0" in warning for warning in on.it.heard.warnings)
            on.ray.said = "the alias champion names version 1, which cannot be served: model.ubj is no XGBoost model"
            said = await on.it.refused(on.it.create("ServeApplication", on.service()))
            assert "model.ubj is no XGBoost model" in said
            assert "Restore the artifacts" in said

    run(scenario)


def test_with_wait_started_the_release_is_not_awaited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            made = await on.it.create(
                "ServeApplication", on.service(release={"strategy": "rolling", "wait": "started"})
            )
            assert made["live"] is True
            assert "champion" not in made

    run(scenario)


def test_another_candidate_leaves_the_replicas_alone_and_other_code_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            made = await on.it.create("ServeApplication", on.service())
            moved = await on.it.update("ServeApplication", made, on.service(candidate="2"))
            assert attempt(on.ray.puts[0]) == attempt(on.ray.puts[1])
            code, files = on.code(), ["other.py", "step.py"]
            root = Path(code["root"])
            (root / "other.py").write_text("")
            other = on.service(candidate="2")
            other["code"] = {**code, "files": files, "digest": code_digest(root, files)}
            await on.it.update("ServeApplication", moved, other)
            assert attempt(on.ray.puts[1]) != attempt(on.ray.puts[2])

    run(scenario)


def test_a_failed_deployment_shows_why_and_is_tried_again_although_nothing_changed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            logs = tmp_path / "run" / "ray" / "session_latest" / "logs" / "serve"
            logs.mkdir(parents=True)
            (logs / "replica_slipway_Model_ab12.log").write_text("loading\nTraceback: in the replica\n")
            on.ray.on_put = failed
            said = await on.it.refused(on.it.create("ServeApplication", on.service()))
            assert "Model: ValueError: no such model" in said
            assert "Traceback: in the replica" in said
            releases(on)
            assert (await on.it.create("ServeApplication", on.service()))["live"] is True
            first, second = on.ray.puts
            assert attempt(first) != attempt(second), "Serve would take an unchanged configuration for nothing to do"

    run(scenario)


def test_an_application_that_a_late_prestart_erased_is_stated_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.release("released", "1", champion="1")

            def starting(application: dict[str, Any]) -> dict[str, Any]:
                return {**up(application), "status": "DEPLOYING"}

            on.ray.on_put = starting
            waiting = asyncio.create_task(on.it.create("ServeApplication", on.service()))
            await eventually(lambda: bool(on.ray.serving), "deployed")
            on.ray.on_put = up
            on.ray.serving.clear()
            assert (await waiting)["live"] is True
            assert len(on.ray.puts) == 2

    run(scenario)


def test_the_prestart_of_a_head_never_comes_after_its_application(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            machine = on.it.provider._machine
            assert machine is not None
            prestart = machine.serve_lock(f"{on.ray.url}/api/serve/applications/")
            await prestart.acquire()  # as a Process does before its create returns
            waiting = asyncio.create_task(on.it.create("ServeApplication", on.service()))
            await eventually(lambda: bool(list((tmp_path / "code").glob("*"))), "the deployment is prepared")
            assert on.ray.puts == []
            prestart.release()
            await waiting
            assert len(on.ray.puts) == 1

    run(scenario)


def test_a_refresh_sees_what_is_live_and_who_is_champion_and_nothing_is_ever_missing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            inputs = on.service()
            made = await on.it.create("ServeApplication", inputs)
            assert await on.it.read("ServeApplication", made) == made
            on.tracking.release("released", "1", champion="7")
            moved = await on.it.read("ServeApplication", made)
            assert moved is not None
            assert moved["champion"] == "7"
            assert await on.it.changes("ServeApplication", moved, inputs) is False, "a person may move the champion"
            on.ray.serving.clear()
            gone = await on.it.read("ServeApplication", made)
            assert gone is not None
            assert gone["live"] is False
            assert await on.it.changes("ServeApplication", gone, inputs) is True

    run(scenario)


def test_an_unreachable_head_is_not_live_and_an_unreachable_registry_keeps_what_was_known(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            made = await on.it.create("ServeApplication", on.service())
            on.tracking.down = True
            seen = await on.it.read("ServeApplication", {**made, "dashboard_url": "http://127.0.0.1:1"})
            assert seen is not None
            assert (seen["live"], seen["champion"]) == (False, "1")

    run(scenario)


def test_delete_removes_the_application_and_needs_no_head(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            releases(on)
            made = await on.it.create("ServeApplication", on.service())
            await on.it.delete("ServeApplication", made)
            assert on.ray.serving == {}
            await on.it.delete("ServeApplication", {**made, "dashboard_url": "http://127.0.0.1:1"})

    run(scenario)


def test_a_malformed_application_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            for text in ("{", "[]", json.dumps({"name": "slipway"})):
                _, failures = await on.it.check("ServeApplication", on.service(application=text))
                assert any(failure.startswith("application must be JSON with") for failure in failures), text

    run(scenario)
