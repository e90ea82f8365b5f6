"""Ending supervised processes: everything of their session, to the last thread, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.free_ports import free_port
from tests.stacks.provider_bench import SERVICE, bench, eventually, members, run, service

pytestmark = pytest.mark.slow
PORT = free_port()
STUBBORN = (
    "import os, signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "ignore = 'import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);'\n"
    "code = ignore + 'os.setpgid(0, 0); time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-c', code])\n"
    "open('started', 'w').close()\n"
    "time.sleep(600)\n"
)
# Its first thread ends at once, as the first thread of any killed process may; another one serves, and ignores SIGTERM.
HEADLESS = (
    "import ctypes, signal, sys, threading\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    f"threading.Thread(target=exec, args=({SERVICE!r}, {{}})).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)\n"
)
# Told by SIGUSR1, it answers no more, says so, and ends when it may.
ENDING = (
    "import http.server, os, signal, sys, threading, time\n"
    "server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)\n"
    "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
    "def end(*_):\n"
    "    server.shutdown(); server.server_close(); open('closed', 'w').close()\n"
    "    while not os.path.exists('end'): time.sleep(.02)\n"
    "    os._exit(0)\n"
    "signal.signal(signal.SIGUSR1, end)\n"
    "while True: signal.pause()\n"
)


def test_a_process_that_was_ending_when_it_was_taken_over_is_started_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT, command=[sys.executable, "-c", ENDING, str(PORT)])
            first = await it.create("Process", inputs)
            os.kill(first["pid"], signal.SIGUSR1)
            await eventually((tmp_path / "closed").exists, "it answers no more")
            taking = asyncio.create_task(it.create("Process", inputs))
            await eventually(lambda: any("taken over" in line for line in it.heard.lines), "it still runs")
            (tmp_path / "end").touch()
            second = await taking
            assert second["incarnation"] != first["incarnation"]
            assert (await it.read("Process", second)) == second, "it answers"

    run(scenario)


def test_ending_a_process_ends_children_that_ignore_sigterm_and_left_its_group(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT, command=[sys.executable, "-c", STUBBORN], ready=[], stop_timeout_s=0.5)
            made = await it.create("Process", inputs)
            await eventually(lambda: (tmp_path / "started").exists() and len(members(made)) == 2, "leader and child")
            await it.delete("Process", made)
            assert members(made) == []

    run(scenario)


def test_a_process_without_its_first_thread_is_running_and_is_ended_with_its_last_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            command = [sys.executable, "-c", HEADLESS, str(PORT)]
            inputs = service(tmp_path, PORT, command=command, environment={"WORD": "one"}, stop_timeout_s=0.5)
            made = await it.create("Process", inputs)
            stat = Path(f"/proc/{made['pid']}/stat")
            await eventually(lambda: ") Z " in stat.read_text(), "the first thread has ended")
            assert await it.read("Process", made) == made, "it serves, so it runs"
            again = await it.update("Process", made, {**inputs, "environment": {"WORD": "two"}})  # frees the port first
            assert httpx.get(f"http://127.0.0.1:{PORT}/", timeout=10).text == "two"  # noqa: ASYNC210  short
            await it.delete("Process", again)
            assert members(again) == []
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"http://127.0.0.1:{PORT}/", timeout=10)  # noqa: ASYNC210  refused at once

    run(scenario)


def test_orphans_of_a_killed_leader_are_ended_before_the_next_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT, command=[sys.executable, "-c", STUBBORN], ready=[], stop_timeout_s=0.5)
            made = await it.create("Process", inputs)
            await eventually(lambda: (tmp_path / "started").exists() and len(members(made)) == 2, "leader and child")
            os.kill(made["pid"], signal.SIGKILL)
            await eventually(lambda: len(members(made)) == 1, "the orphan lives on")
            again = await it.create("Process", inputs)
            assert members(made) == []
            assert again["pid"] in members(again)

    run(scenario)


def test_a_reused_pid_is_never_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            inputs = service(tmp_path, PORT)
            made = await it.create("Process", inputs)
            await it.delete("Process", made)
            stranger = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)  # noqa: ASYNC220  short
            try:
                forged = {**made, "pid": stranger.pid}  # another process has the recorded pid now
                seen = await it.read("Process", forged)
                assert seen is not None
                assert seen["running"] is False
                await it.delete("Process", forged)
                assert stranger.poll() is None
            finally:
                stranger.kill()
                stranger.wait()

    run(scenario)


def test_removing_the_stacks_folders_ends_what_an_interrupted_up_had_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            for path in (it.state, tmp_path / "run"):  # what lives in either would come to harm
                folder = {"path": str(path), "retain": False, "secrets": []}
                await it.create("DataFolder", folder)
                made = await it.create("Process", service(tmp_path, PORT))  # but the engine never heard of it
                await it.delete("DataFolder", folder)
                assert members(made) == []
                assert not path.exists()

    run(scenario)
