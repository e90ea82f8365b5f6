"""Becomes a supervised process: writes its own pid and start time into the record, then executes the command.

Run as `python -I -S launcher.py RECORD LOCK_FD FOLDER` by the supervisor, in a session of its own.  Because the
process that is recorded does the recording, a provider that is killed at any moment leaves either no process or a
recorded one; and the lock, inherited and held until the exec, keeps a next provider from looking in between.
Standard library only, and nothing of the project: it starts in some 20 ms.
"""

import json
import os
import sys
from pathlib import Path

_START_TIME = 19  # field 22 of /proc/PID/stat, counted after the closing parenthesis of field 2


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third (state) on; the second may hold spaces.

    Raises:
        OSError: there is no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot: with the boot id, unlike any other process."""
    return int(stat_fields(pid)[_START_TIME])


def boot_id() -> str:
    """Return the id of this boot of the machine: pids and start times mean nothing after another one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def main(argv: list[str]) -> None:
    path, lock = Path(argv[1]), int(argv[2])
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  only the numbers are wanted
        if int(name) > 2 and int(name) != lock:  # noqa: PLR2004  whatever else the provider had open
            _close(int(name))
    record = json.loads(path.read_text(encoding="utf-8"))
    record |= {"pid": os.getpid(), "ticks": start_ticks(os.getpid()), "boot": boot_id()}
    written = path.with_suffix(f".{os.getpid()}")
    written.write_text(json.dumps(record), encoding="utf-8")
    written.replace(path)
    os.set_inheritable(lock, False)  # noqa: FBT003  positional only; the exec below lets go of it
    try:
        os.chdir(argv[3])
        os.execvpe(record["command"][0], record["command"], os.environ)  # noqa: S606  this is what it is for
    except OSError as error:
        sys.stderr.write(f"cannot execute {record['command'][0]}: {error}\n")
        sys.stderr.flush()
        os._exit(127)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return  # the descriptor of the listing itself


if __name__ == "__main__":
    main(sys.argv)
