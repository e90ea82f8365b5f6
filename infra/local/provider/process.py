"""slipway:local:Process: a supervised process of this machine.

Its promise: at most one process per name, whoever was killed when; and what is recorded is what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from infra.local.provider import rules
from infra.local.provider.difference import Difference, difference
from infra.local.provider.failure import Failure
from infra.local.provider.http import Unreachable
from infra.local.provider.machine import Work
from infra.local.provider.procfs import boot_id
from infra.local.provider.readiness import healthy, wait_until_ready
from infra.local.provider.records import Record
from infra.local.provider.resource_type import ResourceType
from infra.local.provider.rules import Rule
from infra.local.provider.start_error import start_error
from infra.local.provider.supervisor import exit_code, remove_paths, start, stop
from infra.local.provider.values import UNKNOWN, Properties, has_unknown
from training.identity import digest_of

_NEW_PROCESS = ("command", "environment", "working_directory", "ports", "after_ready")
"""Inputs whose change needs another process; the others are taken over by the running one."""
_FOUND = ("pid", "started", "incarnation")
_AFTER_READY_S = 120.0


def _is_check(value: Any) -> bool:
    return isinstance(value, dict) and (rules.is_url(value.get("url")) or rules.is_port(value.get("port")))


def _is_checks(value: Any) -> bool:
    return isinstance(value, list) and all(_is_check(item) for item in value)


def _is_ports(value: Any) -> bool:
    return isinstance(value, dict) and all(rules.is_port(port) for port in value.values())


class ProcessType(ResourceType):
    """Creates, restarts, looks at and ends processes."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "name": Rule(accepts=lambda value: rules.is_text(value) and "/" not in value, says="a name without `/`"),
        "command": Rule(accepts=lambda value: rules.is_texts(value) and bool(value), says="a list: program, arguments"),
        "environment": rules.TEXT_MAP,
        "working_directory": rules.PATH,
        "ports": Rule(accepts=_is_ports, says="a map from config keys to ports between 1 and 65535"),
        "ready": Rule(accepts=_is_checks, says="a list of checks, each with `url`, or `host` and `port`"),
        "start_timeout_s": rules.SECONDS,
        "stop_timeout_s": rules.SECONDS,
        "after_ready": Rule(accepts=_is_checks, says="a list of requests, each with `url`"),
        "clean": rules.TEXTS,
        "running": Rule(accepts=lambda value: value is True, says="true"),
    }

    def defaults(self, inputs: Properties) -> Properties:
        """A process that should exist should run."""
        return {"ports": {}, "environment": {}, "ready": [], "after_ready": [], "clean": [], **inputs, "running": True}

    def difference(self, old: Properties, new: Properties) -> Difference:
        """Everything is updated in place, except for the name, under which it is recorded."""
        drift = [] if old.get("running") is True else ["running"]
        return difference(set(self.rules) - {"running"}, old, new, replacing=["name"], drift=drift, delete_first=True)

    def preview(self, old: Properties | None, new: Properties) -> Properties:
        """Another process has another pid; an update without a restart keeps it."""
        if old is None or _needs_restart(old, new):
            return {**new, **dict.fromkeys(_FOUND, UNKNOWN), "log_file": UNKNOWN if old is None else old["log_file"]}
        return {**old, **new}

    def id_of(self, inputs: Properties) -> str:
        return str(inputs["name"])

    async def create(self, work: Work, inputs: Properties) -> Properties:
        """Adopt the recorded process when it was started with the same inputs; else start one."""
        return await _ensure(work, inputs)

    async def update(self, work: Work, old: Properties, new: Properties) -> Properties:
        """Restart when the inputs need it, or when it was found dead or unhealthy and still is."""
        unwell = old.get("running") is not True and not await healthy(work.machine.http, new["ready"], attempts=1)
        return await _ensure(work, new, restart=unwell, known=old)

    async def read(self, work: Work, state: Properties) -> Properties:
        """Look whether it lives and answers; a process is never missing, only not running."""
        record = _record(work, state)
        running = record.is_running() and await healthy(work.machine.http, state["ready"])
        return {**state, "running": running}

    async def delete(self, work: Work, state: Properties) -> None:
        """End the process, its session and its temporary files; its log stays with the stack's folder."""
        records = work.machine.records
        async with records.lock(state["name"]):
            record = _record(work, state)
            await work.status(f"stopping {state['name']}")
            await stop(record)
            remove_paths(state["clean"])
            records.remove(state["name"])


def _needs_restart(old: Properties, new: Properties) -> bool:
    if old.get("running") is not True or has_unknown(new):
        return True
    return _digest(old) != _digest(new)


def _digest(inputs: Properties) -> str:
    return digest_of({name: inputs[name] for name in _NEW_PROCESS})


def _intent(work: Work, inputs: Properties) -> Record:
    return Record(
        name=inputs["name"],
        digest=_digest(inputs),
        command=inputs["command"],
        log_file=str(work.machine.settings.logs / f"{inputs['name']}.log"),
        stop_timeout_s=inputs["stop_timeout_s"],
        clean=inputs["clean"],
    )


def _record(work: Work, state: Properties) -> Record:
    """Return the record on disk, or what the stack's state remembers of it."""
    record = work.machine.records.load(state["name"])
    if record is not None or "started" not in state:
        return record or _intent(work, state)
    ticks, boot = state["started"].split("-", 1)
    current = _current_boot(boot)
    return replace(_intent(work, state), pid=state["pid"], ticks=int(ticks), boot=current)


def _current_boot(short: str) -> str | None:
    whole = boot_id()
    return whole if whole.startswith(short) else None


async def _ensure(
    work: Work, inputs: Properties, *, restart: bool = False, known: Properties | None = None
) -> Properties:
    records, name = work.machine.records, inputs["name"]
    intent, taken_over = _intent(work, inputs), False
    async with records.lock(name) as lock:
        former = _record(work, known) if known else records.load(name)
        if former and former.is_running() and former.digest == intent.digest and not restart:
            record, taken_over = replace(former, stop_timeout_s=intent.stop_timeout_s, clean=intent.clean), True
            records.save(record)
            if known is None:
                await work.say(f"{name} runs already (pid {record.pid}): taken over")
        else:
            if former:
                await work.status(f"stopping the former {name}")
                await stop(former)
            record = await start(
                records, lock, intent, inputs["ports"], inputs["working_directory"], inputs["environment"]
            )
    if not await _until_ready(work, record, inputs, taken_over=taken_over):
        return await _ensure(work, inputs, restart=True, known=known)
    await _announce(work, record, inputs)
    return {
        **inputs,
        "pid": record.pid,
        "started": record.started,
        "incarnation": f"{record.pid}-{record.started}",
        "log_file": record.log_file,
    }


async def _until_ready(work: Work, record: Record, inputs: Properties, *, taken_over: bool) -> bool:
    """Wait for readiness; what does not become ready is ended, and the error says why.

    False when it was taken over and has ended since: it was ending already, killed a moment ago by somebody.
    """
    codes: list[int] = []

    def lives() -> bool:
        if record.pid is not None and (code := exit_code(record.pid)) is not None:
            codes.append(code)
        return record.is_running()

    async def progress(what: str) -> None:
        await work.status(f"waiting for {record.name}: {what}")

    unmet = await wait_until_ready(
        work.machine.http, inputs["ready"], timeout_s=inputs["start_timeout_s"], lives=lives, progress=progress
    )
    if unmet is None:
        return True
    if taken_over and not record.is_running():
        return False
    message = start_error(record, inputs, unmet, codes[0] if codes else None, lives=lives())
    async with work.machine.records.lock(record.name):
        await stop(record)
        work.machine.records.remove(record.name)
    raise Failure(message)


async def _announce(work: Work, record: Record, inputs: Properties) -> None:
    """Send the `after_ready` requests in the background, at most once for each process.

    Once only, since they may undo what came later: prestarting Serve states that it has no applications.  The lock is
    held before the process counts as created, so that whatever is deployed on it is deployed afterwards.
    """
    requests = inputs["after_ready"]
    current = work.machine.records.load(record.name)
    if not requests or current is None or current.announced:
        return
    work.machine.records.save(replace(current, announced=True))
    lock = work.machine.serve_lock(requests[0]["url"])
    await lock.acquire()
    work.machine.in_background(_send(work, requests, lock))


async def _send(work: Work, requests: list[dict[str, Any]], lock: asyncio.Lock) -> None:
    try:
        for request in requests:
            with contextlib.suppress(Unreachable):  # an optimisation: what it prepares is done later anyway
                await work.machine.http.request(
                    request.get("method", "POST"),
                    request["url"],
                    body=request.get("body"),
                    token_file=request.get("token_file"),
                    timeout_s=_AFTER_READY_S,
                )
    finally:
        lock.release()
