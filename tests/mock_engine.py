"""A recording engine for tests of components and programs.

It answers registrations with what the provider would, records parents, providers and dependencies, and refuses every
function call: an invoke would need the network in a preview.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import mocks, set_mocks, settings, stack

# what the provider adds to the inputs; in a preview these are unknown
COMPUTED: dict[str, dict[str, Any]] = {
    "slipway:local:Process": {"pid": 4711, "started": "1", "incarnation": "4711-1", "log_file": "/log"},
    "slipway:local:RayJob": {
        "status": "finished",
        "run_id": "run-1",
        "model_version": "3",
        "verdict": "passed",
        "metrics": {"accuracy": 0.97},
        "reasons": [],
        "candidate": "3",
    },
    "slipway:local:ServeApplication": {"live": True, "champion": "3", "challenger": None, "release_phase": "released"},
    "slipway:local:DataFolder": {},
}
REJECTED = {"verdict": "rejected", "reasons": ["accuracy 0.8 is below its floor 0.9"], "candidate": None}


@dataclass(frozen=True)
class Registration:
    """One resource as the program registered it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    provider: str
    dependencies: tuple[str, ...]
    protect: bool = False
    retain: bool = False
    """Whether a delete leaves the real thing."""
    ignores: tuple[str, ...] = ()
    """Changes of these properties are nobody's business."""
    delete_first: bool = False
    """Whether a replacement deletes before it creates."""
    waits: tuple[str, str] = ("", "")
    """How long the engine lets a create and an update take; empty: as long as the provider does by itself."""


class Engine(mocks.Mocks):
    """Records what a program registers; fresh for each run."""

    def __init__(self, answers: dict[str, dict[str, Any]] | None = None) -> None:
        self.registrations: list[Registration] = []
        self.reads: list[str] = []
        """The ids of what was read; empty: not known yet."""
        self._answers = answers or {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        computed = {**COMPUTED.get(args.typ, {}), **self._answers.get(args.typ, {})}
        if pulumi.runtime.is_dry_run():
            computed = {}  # left out of the answer, they are unknown in a preview
        return (f"{args.name}-id" if args.custom else None), {**args.inputs, **computed}

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"the program called {args.token}: a preview must work without any function of a provider")

    def all(self, type_: str) -> list[Registration]:
        return [registration for registration in self.registrations if registration.type == type_]

    def one(self, type_: str, name: str | None = None) -> Registration:
        found = [item for item in self.all(type_) if name is None or item.name == name]
        assert len(found) == 1, f"expected one {type_} {name or ''}, found {[item.name for item in found]}"
        return found[0]


class _Monitor(mocks.MockMonitor):
    """Adds what `Mocks` never sees: parent, provider and dependencies."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.engine = engine

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the name of the gRPC method
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        _close_loop_of_this_thread()
        if request.type != "pulumi:pulumi:Stack":
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object, keep_unknowns=False)
            short = [urn.rsplit("::", 1)[-1] for urn in request.dependencies]
            self.engine.registrations.append(
                Registration(
                    type=request.type,
                    name=request.name,
                    inputs=inputs,
                    parent=request.parent.rsplit("::", 1)[-1],
                    provider=request.provider.split("::")[2:3][0] if request.provider else "",
                    dependencies=tuple(sorted(short)),
                    protect=request.protect,
                    retain=request.retainOnDelete,
                    ignores=tuple(request.ignoreChanges),
                    delete_first=request.deleteBeforeReplace,
                    waits=(request.customTimeouts.create, request.customTimeouts.update),
                )
            )
        return response

    def Invoke(self, request: Any) -> Any:  # noqa: N802  the name of the gRPC method
        try:
            return super().Invoke(request)  # type: ignore[no-untyped-call]
        finally:  # the engine refuses every call
            _close_loop_of_this_thread()

    def ReadResource(self, request: Any) -> Any:  # noqa: N802  the name of the gRPC method
        self.engine.reads.append("" if request.id == pulumi.runtime.rpc.UNKNOWN else request.id)
        response = super().ReadResource(request)  # type: ignore[no-untyped-call]
        _close_loop_of_this_thread()
        return response


def _close_loop_of_this_thread() -> None:
    """Close the event loop that the SDK's mock monitor opens in each of its threads and leaves to the collector."""
    if threading.current_thread() is not threading.main_thread():
        with contextlib.suppress(RuntimeError):  # it opened none for this request
            asyncio.get_event_loop().close()
            asyncio.set_event_loop(None)


def run(program: Callable[[], None], *, engine: Engine | None = None, preview: bool = False) -> Engine:
    """Run a program to its end under the recording engine, every registration drained.

    Raises:
        Exception: whatever the program, or an `apply` of it, raised.
    """
    engine = engine or Engine()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        set_mocks(engine, project="slipway", stack="dev", preview=preview, monitor=_Monitor(engine))

        async def entry() -> None:
            program()

        loop.run_until_complete(stack.run_pulumi_func(entry))
    finally:
        _drop_what_is_left(loop)
        settings.reset_options()
        loop.close()
        asyncio.set_event_loop(None)
    return engine


def _drop_what_is_left(loop: asyncio.AbstractEventLoop) -> None:
    """End the tasks of a program that failed: left to the collector, they would fail whichever test it runs in."""
    while left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
