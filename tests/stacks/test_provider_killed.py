"""The provider killed at any moment, and as the engine sees it: a gRPC server that ends with its parent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from infra.local.provider.values import Properties, wrapped
from tests.free_ports import free_port
from tests.stacks.provider_bench import Bench, alive, bench, run, service

pytestmark = [pytest.mark.slow, pytest.mark.chaos]
ROOT = Path(__file__).parents[2]
PORT = free_port()
CREATE = """
import asyncio, json, sys
from pathlib import Path
from tests.stacks.provider_bench import Bench
async def main():
    it = Bench(Path(sys.argv[1]))
    await it.configure()
    print("ready", flush=True)
    await it.create("Process", json.loads(sys.argv[2]))
asyncio.run(main())
"""


def started(folder: Path) -> list[int]:
    """Return the live processes that run the service of this folder, whoever started them."""
    marked = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            if words[-2:-1] == [str(folder / "mark").encode()] and alive(process.pid):
                marked.append(process.pid)
    return marked


@pytest.mark.parametrize("milliseconds", [0, 5, 10, 20, 30, 45, 60, 80, 110, 150, 250])
def test_a_provider_killed_while_starting_a_process_leaves_none_or_a_recorded_one(
    tmp_path: Path, milliseconds: int
) -> None:
    inputs = service(tmp_path, PORT)
    inputs["command"].append(str(tmp_path / "mark"))
    command = [sys.executable, "-c", CREATE, str(tmp_path), json.dumps(inputs)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "ready\n"
        time.sleep(milliseconds / 1000)  # the moment of the kill is what varies, not what is waited for
        killed.kill()

    async def scenario() -> None:
        async with bench(tmp_path) as it:
            made = await it.create("Process", inputs)
            assert started(tmp_path) == [made["pid"]], "exactly one, and it is the one in the state"
            await it.delete("Process", made)
            assert started(tmp_path) == []

    run(scenario)


class Served:
    """The provider as a plugin process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def configure(self, folder: Path) -> None:
        values = {
            "state_directory": str(folder / "state"),
            "runtime_directory": str(folder),
            "project": "p",
            "stack": "s",
        }
        self.stub.Configure(provider_pb2.ConfigureRequest(args=struct(values)))


def struct(values: Properties) -> Any:
    return PropertyValue.marshal_map(wrapped(values))


# `sh` stands for the engine: the provider is its child, and it is killed without a word
PLUGIN = '"$0" "$1" 127.0.0.1:1 & echo $!; wait'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    command = ["sh", "-c", PLUGIN, sys.executable, str(ROOT / "infra/local/provider")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        pid, port = int(parent.stdout.readline()), int(parent.stdout.readline())
        made = Served(parent, port)
        made.process.pid_of_provider = pid  # type: ignore[attr-defined]
        yield made
        made.channel.close()
        parent.kill()
    deadline = time.monotonic() + 120
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid), "the provider ends soon after its engine was killed"


def test_a_failure_reaches_the_engine_as_it_was_meant_without_a_traceback(served: Served, tmp_path: Path) -> None:
    served.configure(tmp_path)
    urn = "urn:pulumi:s::p::slipway:local:Process::it"
    inputs = {**service(tmp_path, PORT, command=["/not/there"]), "running": True}
    with pytest.raises(grpc.RpcError) as failed:
        served.stub.Create(provider_pb2.CreateRequest(urn=urn, properties=struct(inputs)))
    said = failed.value.details()
    assert "cannot execute /not/there" in said
    assert "Traceback" not in said
    assert 'File "' not in said


def test_bad_inputs_are_check_failures_by_property(served: Served, tmp_path: Path) -> None:
    served.configure(tmp_path)
    urn = "urn:pulumi:s::p::slipway:local:Process::it"
    answer = served.stub.Check(
        provider_pb2.CheckRequest(urn=urn, news=struct({**service(tmp_path, PORT), "name": "a/b"}))
    )
    assert [failure.property for failure in answer.failures] == ["name"]
    assert 'must be a name without `/`, and is "a/b"' in answer.failures[0].reason


def test_ctrl_c_in_the_terminal_does_not_end_the_provider(served: Served, tmp_path: Path) -> None:
    pid = served.process.pid_of_provider  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGINT)
    served.configure(tmp_path)
    assert alive(pid)


def test_what_it_supervises_outlives_a_provider_whose_engine_was_killed(served: Served, tmp_path: Path) -> None:
    served.configure(tmp_path)
    urn = "urn:pulumi:s::p::slipway:local:Process::it"
    inputs = {**service(tmp_path, PORT), "running": True}
    answer = served.stub.Create(provider_pb2.CreateRequest(urn=urn, properties=struct(inputs)))
    pid = int(answer.properties.fields["pid"].number_value)
    served.process.kill()
    served.process.wait()

    async def scenario() -> None:
        async with bench(tmp_path) as it:
            assert alive(pid)
            assert (await it.create("Process", service(tmp_path, PORT)))["pid"] == pid
            assert isinstance(it, Bench)

    run(scenario)
