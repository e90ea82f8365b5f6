"""The provider's operations called directly, without an engine; and a small service to supervise."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pulumi.provider.experimental import provider as engine

from infra.local.provider.engine_log import EngineLog
from infra.local.provider.failure import Failure
from infra.local.provider.procfs import session_members, start_ticks
from infra.local.provider.provider import LocalProvider
from infra.local.provider.values import Properties, plain, wrapped

DEADLINE_S = 120.0
SERVICE = textwrap.dedent(
    """
    import http.server, os, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(os.environ.get("WORD", "").encode())
        def do_PUT(self):
            with open("puts", "a") as file: file.write(self.path + chr(10))
            self.do_GET()
        def log_message(self, *_): pass
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """
)


class Heard(EngineLog):
    """What the provider told the engine."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.statuses: list[str] = []

    async def info(self, urn: str, message: str, *, stream: int = 0) -> None:
        self.lines += message.splitlines()

    async def warning(self, urn: str, message: str) -> None:
        self.warnings.append(message)

    async def status(self, urn: str, message: str) -> None:
        self.statuses.append(message)


class Bench:
    """One configured provider."""

    def __init__(self, folder: Path, state: Path | None = None) -> None:
        self.folder = folder
        self.state = state or folder / "state"
        self.heard = Heard()
        self.provider = LocalProvider(self.heard)

    async def configure(self) -> None:
        names = {"project": "slipway", "stack": "bench"}
        folders = {"state_directory": str(self.state), "runtime_directory": str(self.folder / "run")}
        await self.provider.configure(engine.ConfigureRequest({}, wrapped({**folders, **names}), True, True))  # noqa: FBT003

    def urn(self, kind: str) -> str:
        return f"urn:pulumi:bench::slipway::slipway:index:Part$slipway:local:{kind}::it"

    async def check(self, kind: str, inputs: Properties) -> tuple[Properties, list[str]]:
        answer = await self.provider.check(engine.CheckRequest(self.urn(kind), {}, wrapped(inputs), b""))
        return plain(answer.inputs or {}), [failure.reason for failure in answer.failures or []]

    async def create(self, kind: str, inputs: Properties) -> Properties:
        checked, failures = await self.check(kind, inputs)
        assert failures == []
        answer = await self.provider.create(engine.CreateRequest(self.urn(kind), wrapped(checked), 0, False))  # noqa: FBT003
        return plain(answer.properties)

    async def update(self, kind: str, old: Properties, inputs: Properties) -> Properties:
        checked, failures = await self.check(kind, inputs)
        assert failures == []
        answer = await self.provider.update(
            engine.UpdateRequest(self.urn(kind), "it", wrapped(old), wrapped(checked), 0, [], False)  # noqa: FBT003
        )
        return plain(answer.properties)

    async def read(self, kind: str, state: Properties) -> Properties | None:
        request = engine.ReadRequest(self.urn(kind), "it", wrapped(state), wrapped(state))
        answer = await self.provider.read(request)
        return plain(answer.properties) if answer.resource_id else None

    async def delete(self, kind: str, state: Properties) -> None:
        await self.provider.delete(engine.DeleteRequest(self.urn(kind), "it", wrapped(state), 0))

    async def changes(self, kind: str, state: Properties, inputs: Properties) -> bool | None:
        checked, _ = await self.check(kind, inputs)
        request = engine.DiffRequest(self.urn(kind), "it", wrapped(state), wrapped(checked), [])
        return (await self.provider.diff(request)).changes

    async def refused(self, work: Awaitable[Any]) -> str:
        """Return the message of the failure that `work` must end with."""
        try:
            await work
        except Failure as failure:
            return str(failure)
        raise AssertionError("this had to fail")


@asynccontextmanager
async def bench(folder: Path, state: Path | None = None) -> AsyncIterator[Bench]:
    """A configured provider whose recorded processes are all ended at the end."""
    made = Bench(folder, state)
    await made.configure()
    try:
        yield made
    finally:
        ender = Bench(folder, state)  # the first one may have been cancelled
        await ender.configure()
        await ender.create("DataFolder", {"path": str(made.state)})
        await ender.delete("DataFolder", {"path": str(made.state), "retain": False, "secrets": []})
        await ender.provider.close()
        await made.provider.close()


def service(folder: Path, port: int, **changes: Any) -> Properties:
    """Inputs of a Process that answers HTTP on `port`."""
    folder.mkdir(exist_ok=True)
    inputs: Properties = {
        "name": "service",
        "command": [sys.executable, "-c", SERVICE, str(port)],
        "environment": {},
        "working_directory": str(folder),
        "ports": {"slipway:service.port": port},
        "ready": [{"url": f"http://127.0.0.1:{port}/"}],
        "start_timeout_s": 30,
        "stop_timeout_s": 10,
        "after_ready": [],
        "clean": [],
    }
    return {**inputs, **changes}


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fails after two minutes."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110  a condition of the world, not of this program
            await asyncio.sleep(0.02)
    assert holds(), what


def members(state: Properties) -> list[int]:
    """Return the live processes of a process's session."""
    return session_members(state["pid"], int(state["started"].split("-")[0]))


def alive(pid: int) -> bool:
    try:
        return bool(start_ticks(pid)) and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run one scenario; nothing of it may outlive it."""

    async def bounded() -> None:
        async with asyncio.timeout(4 * DEADLINE_S):
            await scenario()

    asyncio.run(bounded())
