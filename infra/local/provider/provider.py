"""The provider: hands each request of the engine to its resource type, and stops waiting when told to.

It owns the translation between the engine's protocol and `ResourceType`; it knows nothing about any one type.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as engine

from infra.local.provider.data_folder import DataFolderType
from infra.local.provider.engine_log import EngineLog
from infra.local.provider.failure import Failure, Interrupted
from infra.local.provider.machine import Machine, Settings, Work
from infra.local.provider.process import ProcessType
from infra.local.provider.ray_job import RayJobType
from infra.local.provider.resource_type import ResourceType
from infra.local.provider.rules import problems
from infra.local.provider.serve_application import ServeApplicationType
from infra.local.provider.supervisor import disk_hint
from infra.local.provider.values import plain, wrapped

VERSION = "0.1.0"
TYPES: Mapping[str, ResourceType] = {
    "slipway:local:Process": ProcessType(),
    "slipway:local:RayJob": RayJobType(),
    "slipway:local:ServeApplication": ServeApplicationType(),
    "slipway:local:DataFolder": DataFolderType(),
}
_SETTINGS = ("state_directory", "runtime_directory", "project", "stack")
Result = TypeVar("Result")


class LocalProvider(engine.Provider):
    """The provider for one stack on this machine."""

    def __init__(self, log: EngineLog | None = None) -> None:
        self._log = log or EngineLog(None)
        self._machine: Machine | None = None
        self._cancelled = asyncio.Event()

    async def get_schema(self, request: engine.GetSchemaRequest) -> engine.GetSchemaResponse:  # noqa: ARG002  as the SDK's
        """Return a schema without resources: the program's classes are written by hand."""
        return engine.GetSchemaResponse(json.dumps({"name": "slipway", "version": VERSION, "resources": {}}))

    async def configure(self, request: engine.ConfigureRequest) -> engine.ConfigureResponse:
        """Take the stack's name and folders."""
        given = plain(request.args)
        missing = [name for name in _SETTINGS if not isinstance(given.get(name), str)]
        if missing:
            raise Failure(f"the slipway provider needs {', '.join(missing)}: give them to its ProviderResource")
        settings = Settings(
            state_directory=Path(given["state_directory"]),
            runtime_directory=Path(given["runtime_directory"]),
            project=given["project"],
            stack=given["stack"],
        )
        self._machine = Machine(settings, self._log)
        return engine.ConfigureResponse(supports_preview=True)

    async def check(self, request: engine.CheckRequest) -> engine.CheckResponse:
        """Report every input that breaks a rule."""
        kind = _type(request.type)
        inputs = kind.defaults(plain(request.new_inputs))
        failures = [engine.CheckFailure(found.name, found.reason) for found in problems(kind.rules, inputs)]
        return engine.CheckResponse(wrapped(inputs), failures)

    async def diff(self, request: engine.DiffRequest) -> engine.DiffResponse:
        """Say what changed, and whether it needs a new resource and why."""
        kind, old, new = _type(request.type), plain(request.old_state), plain(request.new_inputs)
        found = kind.difference(old, new)
        reason = kind.reason(old, new) if found.replaces else None
        if reason:
            await self._log.info(request.urn, reason)
        return found.response()

    async def create(self, request: engine.CreateRequest) -> engine.CreateResponse:
        """Ensure a resource."""
        kind, inputs = _type(request.type), plain(request.properties)
        if request.preview:
            return engine.CreateResponse("", wrapped(kind.preview(None, inputs)))
        outputs = await self._until_cancelled(request.name, kind.create(self._work(request.urn), inputs))
        return engine.CreateResponse(kind.id_of(inputs), wrapped(outputs))

    async def update(self, request: engine.UpdateRequest) -> engine.UpdateResponse:
        """Bring a resource to its new inputs."""
        kind, old, new = _type(request.type), plain(request.olds), plain(request.news)
        if request.preview:
            return engine.UpdateResponse(wrapped(kind.preview(old, new)))
        outputs = await self._until_cancelled(request.name, kind.update(self._work(request.urn), old, new))
        return engine.UpdateResponse(wrapped(outputs))

    async def read(self, request: engine.ReadRequest) -> engine.ReadResponse:
        """Look at a resource; an id without inputs (an import) is refused."""
        if not request.properties:
            raise Failure(f"{request.urn}: resources of this machine cannot be imported; `up` adopts what it recorded")
        kind, state = _type(request.type), plain(request.properties)
        outputs = await self._until_cancelled(request.name, kind.read(self._work(request.urn), state))
        if outputs is None:
            return engine.ReadResponse("")
        return engine.ReadResponse(request.resource_id, wrapped(outputs), request.inputs)

    async def delete(self, request: engine.DeleteRequest) -> None:
        """End a resource."""
        state = plain(request.properties)
        await self._until_cancelled(request.name, _type(request.type).delete(self._work(request.urn), state))

    async def cancel(self) -> None:
        """Make every waiting operation return; nothing is stopped."""
        self._cancelled.set()

    async def close(self) -> None:
        """Let go of connections; processes go on."""
        if self._machine:
            await self._machine.close()
        else:
            await self._log.close()

    def _work(self, urn: str) -> Work:
        if self._machine is None:
            raise Failure("the slipway provider is not configured: give it a ProviderResource")
        return Work(self._machine, urn)

    async def _until_cancelled(self, name: str, work: Coroutine[Any, Any, Result]) -> Result:
        running = asyncio.ensure_future(work)
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({running, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return _result(name, running)
            raise Interrupted(f"{name}: interrupted; what was started goes on, and the next `up` takes it up")
        finally:
            for task in (running, cancelled):
                task.cancel()
            await asyncio.gather(running, cancelled, return_exceptions=True)


def _result(name: str, done: asyncio.Future[Result]) -> Result:
    try:
        return done.result()
    except OSError as error:
        hint = disk_hint(error.filename) if error.errno == errno.ENOSPC and error.filename else None
        raise Failure(f"{name}: {hint or error}") from error


def _type(qualified: str) -> ResourceType:
    token = qualified.rpartition("$")[2]  # the types of the parents come first
    if token not in TYPES:
        raise Failure(f"the slipway provider has no type {token}; it has {', '.join(TYPES)}")
    return TYPES[token]
