"""A process that cannot start says why: exit code, end of the log, who holds the port, how full the disk is."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from infra.local.provider.records import Record
from infra.local.provider.start_error import start_error
from tests.free_ports import free_port
from tests.stacks.provider_bench import alive, bench, run, service

pytestmark = pytest.mark.slow
PORT = free_port()


def test_a_process_that_dies_while_starting_shows_code_log_and_path(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            dying = [sys.executable, "-c", "import sys; print('no such option: --fast'); sys.exit(3)"]
            said = await it.refused(it.create("Process", service(tmp_path, PORT, command=dying)))
            assert "service ended while starting, exit code 3" in said
            assert "no such option: --fast" in said
            assert str(it.state / "logs" / "service.log") in said
            assert list((it.state / "records").glob("*.json")) == [], "nothing is recorded that does not run"

    run(scenario)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            said = await it.refused(it.create("Process", service(tmp_path, PORT, command=["/not/there"])))
            assert "cannot execute /not/there" in said

    run(scenario)


def test_a_process_that_never_answers_is_ended_after_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            # a shell starts in a moment also where Python would not within the time
            silent = ["/bin/sh", "-c", "echo $$ > pid; exec sleep 600"]
            inputs = service(tmp_path, PORT, command=silent, start_timeout_s=3)
            said = await it.refused(it.create("Process", inputs))
            assert "did not become ready within 3 s and was stopped" in said
            assert f"GET http://127.0.0.1:{PORT}/" in said
            assert not alive(int((tmp_path / "pid").read_text()))
            assert any("waiting for service: GET" in status for status in it.heard.statuses)

    run(scenario)


def test_a_taken_port_is_told_with_key_and_holder_and_nothing_is_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            with socket.create_server(("127.0.0.1", PORT)):
                said = await it.refused(it.create("Process", service(tmp_path, PORT)))
            assert f"port {PORT} (slipway:service.port) is in use by process {os.getpid()}" in said
            assert not (it.state / "logs" / "service.log").exists()
            await it.create("Process", service(tmp_path, PORT))  # the control: the port is free now

    run(scenario)


def test_a_port_that_was_taken_after_the_check_is_told_with_its_holder(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("OSError: [Errno 98] Address already in use\n")
    record = Record(
        name="service", digest="", command=[], log_file=str(log), stop_timeout_s=1, clean=[], pid=1, ticks=1
    )
    inputs = service(tmp_path, PORT)
    with socket.create_server(("127.0.0.1", PORT)):
        said = start_error(record, inputs, "unmet", 1, lives=False)
    assert f"port {PORT} (slipway:service.port) is in use by process {os.getpid()}" in said
    assert "is in use by" not in start_error(record, inputs, "unmet", 1, lives=False), "the control: it is free again"


def test_a_full_disk_is_told_before_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((real.f_bsize, 4096, real.f_blocks, 256, 256, *list(real)[5:]))

    async def scenario() -> None:
        async with bench(tmp_path) as it:
            dying = [sys.executable, "-c", "import sys; sys.exit('sqlite3.OperationalError: database or disk is full')"]
            with monkeypatch.context() as patched:
                patched.setattr(os, "statvfs", lambda _: full)
                said = await it.refused(it.create("Process", service(tmp_path, PORT, command=dying)))
            assert "1 MB are free. Free some space, then run `up` again." in said
            assert "database or disk is full" in said

    run(scenario)
