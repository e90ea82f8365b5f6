"""Supervised processes: started once, adopted, restarted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.free_ports import free_ports
from tests.stacks.provider_bench import Bench, alive, bench, eventually, members, run, service

pytestmark = pytest.mark.slow
PORT, NEXT = free_ports(2)


def word(port: int = PORT) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/", timeout=10).text


def test_a_process_is_up_when_its_create_returns_and_gone_when_its_delete_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            made = await it.create("Process", service(tmp_path, PORT, environment={"WORD": "hello"}))
            assert word() == "hello"
            assert made["running"] is True
            assert made["incarnation"] == f"{made['pid']}-{made['started']}"
            assert os.getsid(made["pid"]) == made["pid"], "it leads a session of its own"
            await it.delete("Process", made)
            assert members(made) == []
            assert not alive(made["pid"])
            await it.delete("Process", made)  # again is fine

    run(scenario)


def test_a_second_create_takes_over_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            first = await it.create("Process", service(tmp_path, PORT))
            other = Bench(tmp_path)  # the provider of the next `up`
            await other.configure()
            assert await other.create("Process", service(tmp_path, PORT)) == first
            assert any("taken over" in line for line in other.heard.lines)
            await other.provider.close()

    run(scenario)


def test_a_create_with_other_inputs_replaces_what_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            first = await it.create("Process", service(tmp_path, PORT, environment={"WORD": "one"}))
            second = await it.create("Process", service(tmp_path, PORT, environment={"WORD": "two"}))
            assert word() == "two"
            assert first["incarnation"] != second["incarnation"]
            assert members(first) == []

    run(scenario)


def test_an_update_restarts_only_when_the_process_has_to_be_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT)
            made = await it.create("Process", inputs)
            patient = await it.update("Process", made, {**inputs, "start_timeout_s": 60})
            assert patient["incarnation"] == made["incarnation"]
            changed = await it.update("Process", patient, {**inputs, "environment": {"WORD": "new"}})
            assert changed["incarnation"] != made["incarnation"]
            assert word() == "new"

    run(scenario)


def test_a_killed_process_is_not_running_and_never_missing_and_an_update_heals_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT)
            made = await it.create("Process", inputs)
            assert await it.read("Process", made) == made, "the control: it runs"
            assert await it.changes("Process", made, inputs) is False
            os.kill(made["pid"], signal.SIGKILL)
            seen = await it.read("Process", made)
            assert seen == {**made, "running": False}
            assert await it.changes("Process", seen, inputs) is True
            healed = await it.update("Process", seen, inputs)
            assert healed["running"] is True
            assert healed["incarnation"] != made["incarnation"]
            assert word() == ""

    run(scenario)


def test_a_process_that_hangs_is_not_running_and_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT, stop_timeout_s=1)
            made = await it.create("Process", inputs)
            os.kill(made["pid"], signal.SIGSTOP)
            seen = await it.read("Process", made)
            assert seen is not None
            assert seen["running"] is False
            healed = await it.update("Process", seen, inputs)
            assert healed["incarnation"] != made["incarnation"]
            assert members(made) == []

    run(scenario)


def test_a_process_that_recovered_by_itself_is_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT)
            made = await it.create("Process", inputs)
            healed = await it.update("Process", {**made, "running": False}, inputs)
            assert healed["incarnation"] == made["incarnation"]

    run(scenario)


def test_requests_after_ready_are_sent_once_and_not_again_on_adoption(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT, after_ready=[{"url": f"http://127.0.0.1:{PORT}/warm", "method": "PUT"}])
            await it.create("Process", inputs)
            puts = tmp_path / "puts"
            await eventually(lambda: puts.exists() and puts.read_text() == "/warm\n", "one request")
            await it.create("Process", inputs)
            assert not it.provider._machine._background  # type: ignore[union-attr]
            assert puts.read_text() == "/warm\n"

    run(scenario)


def test_temporary_files_are_removed_before_the_start_and_after_the_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            left = tmp_path / "session" / "old"
            left.mkdir(parents=True)
            made = await it.create("Process", service(tmp_path, PORT, clean=[str(tmp_path / "session")]))
            assert not left.exists()
            left.mkdir(parents=True)
            await it.delete("Process", made)
            assert not left.exists()

    run(scenario)


def test_the_folder_for_temporary_files_is_made_anew_for_each_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            folder = tmp_path / "mine" / "tmp"
            left = folder / "of-a-killed-one"
            inputs = service(tmp_path, PORT, environment={"TMPDIR": str(folder)}, clean=[str(folder)])
            made = await it.create("Process", inputs)
            assert folder.stat().st_mode & 0o777 == 0o700
            left.touch()
            os.kill(made["pid"], signal.SIGKILL)
            await eventually(lambda: not alive(made["pid"]), "it is dead")
            healed = await it.create("Process", inputs)
            assert folder.is_dir()
            assert not left.exists()
            await it.delete("Process", healed)
            assert not folder.exists()

    run(scenario)


def test_ctrl_c_returns_at_once_and_the_next_up_takes_over_the_same_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            gate = tmp_path / "open"
            slow = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(.02)\n"
            command = [sys.executable, "-c", slow + service(tmp_path, PORT)["command"][2], str(PORT)]
            waiting = asyncio.create_task(it.create("Process", service(tmp_path, PORT, command=command)))
            record = it.state / "records" / "service.json"
            await eventually(lambda: record.exists() and json.loads(record.read_text())["pid"], "it was started")
            await it.provider.cancel()
            assert "interrupted; what was started goes on" in await it.refused(waiting)
            started = json.loads(record.read_text())["pid"]
            assert alive(started)
            gate.touch()
            other = Bench(tmp_path)
            await other.configure()
            assert (await other.create("Process", service(tmp_path, PORT, command=command)))["pid"] == started
            await other.provider.close()

    run(scenario)


def test_two_processes_start_at_the_same_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            wait = (
                "import os, time\nopen(os.environ['MINE'], 'w').close()\n"
                "while not os.path.exists(os.environ['OTHER']): time.sleep(.02)\n"
            )
            made = []
            for mine, other, port in (("a", "b", PORT), ("b", "a", NEXT)):
                base = service(tmp_path, port, name=mine, environment={"MINE": mine, "OTHER": other})
                made.append({**base, "command": [sys.executable, "-c", wait + base["command"][2], str(port)]})
            await asyncio.gather(*(it.create("Process", inputs) for inputs in made))  # each waits for the other

    run(scenario)
