"""Training runs: made once per identity, adopted, attached to, gated again; missing only when definitely gone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.provider_bench import eventually, run
from tests.stacks.provider_standins import GATE, IDENTITY, TOKEN, Ground, ground

pytestmark = pytest.mark.slow
STRICT = {**GATE, "floors": {"accuracy": 0.99}}


def trains(on: Ground) -> None:
    """Let every submitted job succeed at once and record its result."""

    def on_submit(job: dict[str, Any]) -> None:
        spec = json.loads(Path(job["entrypoint"].split("--spec ")[1].split()[0]).read_text())
        passed = spec["gate"]["floors"]["accuracy"] <= 0.95
        on.tracking.finish(gate=spec["gate"], verdict="passed" if passed else "rejected")
        on.ray.end(job["submission_id"])

    on.ray.on_submit = on_submit


def test_a_run_is_submitted_from_a_snapshot_and_its_result_enters_the_state(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            trains(on)
            made = await on.it.create("RayJob", on.job())
            found = {name: made[name] for name in ("status", "run_id", "model_version", "verdict", "candidate")}
            assert found == {
                "status": "finished", "run_id": "r1", "model_version": "1", "verdict": "passed", "candidate": "1",
            }  # fmt: skip
            assert made["metrics"] == {"accuracy": 0.95}
            (job,) = on.ray.submitted
            assert job["submission_id"] == IDENTITY
            assert job["entrypoint"].startswith("/usr/bin/python3 -P -m training --spec ")
            assert job["entrypoint_num_cpus"] == 1
            folder = Path(job["runtime_env"]["env_vars"]["PYTHONPATH"])
            assert folder.is_relative_to(tmp_path / "code")
            assert (folder / "step.py").read_text() == "VALUE = 1\n"
            spec = json.loads((tmp_path / "run" / IDENTITY / "spec.json").read_text())
            assert spec["code"] == {"root": str(folder), "files": ["step.py"], "lock": "lock.txt"}
            assert spec["gate"] == GATE
            assert set(spec["lineage"]) == {"commit", "dirty"}
            assert TOKEN not in json.dumps(made)

    run(scenario)


def test_several_workers_reserve_for_themselves(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            trains(on)
            await on.it.create("RayJob", on.job(resources={"workers": 2, "cpus": 1, "gpus": 0}))
            assert "entrypoint_num_cpus" not in on.ray.submitted[0]

    run(scenario)


def test_a_finished_run_is_adopted_and_nothing_is_trained(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.finish()
            made = await on.it.create("RayJob", on.job())
            assert made["verdict"] == "passed"
            assert on.ray.submitted == []
            assert on.it.heard.lines == ["adopted run r1, nothing trained"]

    run(scenario)


def test_a_finished_run_of_another_identity_is_not_adopted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.finish("other", identity="0" * 64)
            trains(on)
            made = await on.it.create("RayJob", on.job())
            assert made["run_id"] == "r1"
            assert len(on.ray.submitted) == 1

    run(scenario)


def test_a_running_job_is_attached_to(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.ray.jobs[IDENTITY] = {"status": "RUNNING"}
            on.ray.log = "train 50 rounds\n"
            waiting = asyncio.create_task(on.it.create("RayJob", on.job()))
            await eventually(lambda: "train 50 rounds" in on.it.heard.lines, "its log is followed")
            on.tracking.finish()
            on.ray.end(IDENTITY)
            assert (await waiting)["status"] == "finished"
            assert on.ray.submitted == []

    run(scenario)


@pytest.mark.parametrize("status", ["FAILED", "STOPPED", "SUCCEEDED"])
def test_a_job_that_left_no_result_is_made_again_under_an_id_of_its_own(tmp_path: Path, status: str) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.ray.jobs[IDENTITY] = {"status": status}
            trains(on)
            assert (await on.it.create("RayJob", on.job()))["status"] == "finished"
            assert [job["submission_id"] for job in on.ray.submitted] == [f"{IDENTITY}-2"]

    run(scenario)


def test_a_failed_job_shows_its_traceback_and_where_its_log_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.ray.log = "load 569 rows\nTraceback (most recent call last):\nKeyError: 'target'\n"
            on.ray.on_submit = lambda job: on.ray.end(job["submission_id"], "FAILED", driver_exit_code=1)
            said = await on.it.refused(on.it.create("RayJob", on.job()))
            assert f"the training run {IDENTITY[:16]} failed (exit code 1)" in said
            assert "KeyError: 'target'" in said
            log = tmp_path / "run" / IDENTITY / "spec.log"
            assert f"log: {log}" in said
            assert log.read_text() == on.ray.log

    run(scenario)


def test_log_lines_come_once_although_connections_break_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            lines = [f"line {number}" for number in range(100)]
            on.ray.log = "\n".join(lines) + "\n"
            on.ray.drop_connections = 2
            waiting = asyncio.create_task(on.it.create("RayJob", on.job()))
            await eventually(lambda: "line 99" in on.it.heard.lines, "the log got through")
            on.tracking.finish()
            on.ray.end(IDENTITY)
            await waiting
            assert on.it.heard.lines == lines

    run(scenario)


def test_a_run_that_takes_too_long_is_stopped_and_names_the_setting(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.ray.jobs[IDENTITY] = {"status": "RUNNING", "start_time": 1000}
            said = await on.it.refused(on.it.create("RayJob", on.job(timeout_s=60)))
            assert "did not end within 60 s and was stopped: raise slipway:training.timeout" in said
            assert on.ray.stopped == [IDENTITY]

    run(scenario)


def test_ctrl_c_leaves_the_job_running_and_the_next_up_attaches(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            waiting = asyncio.create_task(on.it.create("RayJob", on.job()))
            await eventually(lambda: bool(on.ray.submitted), "submitted")
            await on.it.provider.cancel()
            assert "interrupted" in await on.it.refused(waiting)
            assert on.ray.stopped == []
            assert on.ray.jobs[IDENTITY]["status"] == "RUNNING"

    run(scenario)


def test_without_wait_it_is_submitted_and_the_result_enters_with_a_refresh(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            inputs = on.job(wait=False)
            made = await on.it.create("RayJob", inputs)
            assert made["status"] == "running"
            assert "run_id" not in made
            assert await on.it.changes("RayJob", made, inputs) is False
            assert await on.it.read("RayJob", made) == made, "still running"
            on.tracking.finish()
            on.ray.end(IDENTITY)
            seen = await on.it.read("RayJob", made)
            assert seen is not None
            assert (seen["status"], seen["candidate"]) == ("finished", "1")
            assert await on.it.changes("RayJob", seen, inputs) is False

    run(scenario)


def test_a_run_that_failed_unseen_is_found_by_a_refresh_and_made_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            inputs = on.job(wait=False)
            made = await on.it.create("RayJob", inputs)
            on.ray.end(IDENTITY, "FAILED")
            seen = await on.it.read("RayJob", made)
            assert seen is not None
            assert seen["status"] == "failed"
            assert await on.it.changes("RayJob", seen, inputs) is True
            assert (await on.it.update("RayJob", seen, inputs))["status"] == "running"
            assert [job["submission_id"] for job in on.ray.submitted] == [IDENTITY, f"{IDENTITY}-2"]
            assert (await on.it.read("RayJob", made)) == made, "the second attempt runs"

    run(scenario)


def test_another_gate_judges_the_run_again_without_training(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            trains(on)
            made = await on.it.create("RayJob", on.job())
            judged = await on.it.update("RayJob", made, on.job(gate=json.dumps(STRICT)))
            assert (judged["verdict"], judged["run_id"]) == ("rejected", made["run_id"])
            assert "candidate" not in judged
            again = on.ray.submitted[-1]
            assert again["entrypoint"].endswith("--regate")
            assert again["submission_id"].startswith(f"{IDENTITY[:16]}-gate-")

    run(scenario)


def test_a_run_that_was_judged_by_another_gate_is_judged_again_when_adopted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.finish(gate=STRICT, verdict="rejected")
            trains(on)
            assert (await on.it.create("RayJob", on.job()))["verdict"] == "passed"
            (job,) = on.ray.submitted
            assert job["entrypoint"].endswith("--regate")

    run(scenario)


def test_other_timeouts_and_addresses_start_no_job(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.finish()
            made = await on.it.create("RayJob", on.job())
            changed = await on.it.update("RayJob", made, on.job(timeout_s=90, spec='{"contract": 1, "note": "x"}'))
            assert changed == {**made, "timeout_s": 90, "spec": '{"contract": 1, "note": "x"}'}
            assert on.ray.submitted == []

    run(scenario)


def test_a_deleted_run_is_missing_and_an_unreachable_server_is_not_drift(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.tracking.finish()
            made = await on.it.create("RayJob", on.job())
            assert await on.it.read("RayJob", made) == made
            on.tracking.down = True
            assert await on.it.read("RayJob", made) == made
            on.tracking.down = False
            on.tracking.runs["r1"]["info"]["lifecycle_stage"] = "deleted"
            assert await on.it.read("RayJob", made) is None
            del on.tracking.runs["r1"]
            assert await on.it.read("RayJob", made) is None

    run(scenario)


def test_delete_stops_a_running_job_and_leaves_a_finished_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            made = await on.it.create("RayJob", on.job(wait=False))
            await on.it.delete("RayJob", made)
            assert on.ray.stopped == [IDENTITY]
            on.tracking.finish()
            await on.it.delete("RayJob", made)
            assert on.ray.stopped == [IDENTITY]
            assert "r1" in on.tracking.runs
            await on.it.delete("RayJob", {**made, "dashboard_url": "http://127.0.0.1:1"})  # no head, no job

    run(scenario)


def test_a_success_without_a_result_is_an_error_that_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ground(tmp_path) as on:
            on.ray.on_submit = lambda job: on.ray.end(job["submission_id"])
            said = await on.it.refused(on.it.create("RayJob", on.job()))
            assert "succeeded without recording a result" in said

    run(scenario)
