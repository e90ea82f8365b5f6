"""Runs one Python plugin (a provider) for the language host: `python run_plugin.py PARENT_PID FOLDER [ARGUMENT...]`.

Owns the process's start: the folder's `__main__.py` as the main program, its output unbuffered, its end tied to the
language host. It imports nothing of the project, so that any virtualenv's interpreter can run it.
"""

import runpy
import signal
import sys
from pathlib import Path

ENGINE_FOLDER = str(Path(__file__).resolve().parent)


def main(argv: list[str]) -> None:
    parent, folder, arguments = int(argv[1]), argv[2], argv[3:]
    # found beside this file, whose folder leaves sys.path below
    from orphan import end_with_parent  # type: ignore[import-not-found]  # noqa: PLC0415

    end_with_parent(parent)
    # The engine interrupts the language host's whole process group at the end; a plugin is ended by its host. A
    # handler, not SIG_IGN, since that would be inherited by every process that the plugin starts.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    sys.path[:] = [entry for entry in sys.path if entry != ENGINE_FOLDER]
    sys.argv[:] = [folder, *arguments]
    runpy.run_path(folder, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv)
