"""Why a process did not become ready, in words for its user.

Pure but for reading the log, the disk's free space and who holds a port.
"""

from __future__ import annotations

from infra.local.provider.procfs import port_holder
from infra.local.provider.records import Record
from infra.local.provider.supervisor import disk_hint, tail
from infra.local.provider.values import Properties

_PORT_TAKEN = ("address already in use", "eaddrinuse", "errno 98")
_DISK_FULL = ("no space left on device", "enospc", "database or disk is full", "errno 28")


def start_error(record: Record, inputs: Properties, unmet: str, code: int | None, *, lives: bool) -> str:
    """Return the whole message: what happened, what is known about the cause, the end of the log and its path."""
    end = tail(record.log_file)
    if lives:
        happened = f"did not become ready within {inputs['start_timeout_s']:g} s and was stopped; last: {unmet}"
    else:
        happened = f"ended while starting{'' if code is None else f', {_ending(code)}'}"
    hints = _hints(record, inputs, end)
    return "\n".join([f"{record.name} {happened}.", *hints, "The end of its log:", end, f"log: {record.log_file}"])


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"


def _hints(record: Record, inputs: Properties, end: str) -> list[str]:
    text, hints = end.lower(), []
    if any(sign in text for sign in _PORT_TAKEN):
        for key, port in inputs["ports"].items():
            holder = port_holder(port)
            if holder and holder.pid != record.pid:
                hints.append(f"port {port} ({key}) is in use by {holder}: end that process, or set another port.")
    disk = disk_hint(record.log_file) or disk_hint(inputs["working_directory"])
    if disk:
        hints.append(disk)
    elif any(sign in text for sign in _DISK_FULL):
        hints.append("its log says that a disk is full: free some space, then run `up` again.")
    return hints
