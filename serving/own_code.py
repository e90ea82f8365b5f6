"""Lets a model be loaded with the code that it brings, in a process that has other code of the same names.

A custom model's artifact holds the packages that it was trained with: this project's `training`, of which a replica has
only a part, and the user's own, which change from version to version.  Python knows one module of a name.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

LOADING = threading.RLock()
"""Held while names mean a model's code: whoever imports this process's own waits."""


@contextmanager
def of_model(folder: Path) -> Iterator[None]:
    """Let the top-level names in `folder` be imported anew, as the model's.

    Afterwards names that this process has itself mean its own code again; others stay the model's, which may import
    them while it predicts, and no longer a former version's.  When the load fails everything is as before.
    """
    names = {path.stem for path in folder.iterdir()} if folder.is_dir() else set()
    with LOADING:
        path, before = list(sys.path), _taken_out(names)
        try:
            yield
        except BaseException:
            _taken_out(names)
            sys.modules.update(before)
            raise
        finally:
            sys.path[:] = path
            importlib.invalidate_caches()
        own = {name for name in names if PathFinder.find_spec(name) is not None}
        _taken_out(own)
        sys.modules.update({name: module for name, module in before.items() if name.partition(".")[0] in own})


def _taken_out(names: set[str]) -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
