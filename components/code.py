"""Which files are the code of a workload, and their digest.

Only Python files below the project's root count; the list is what a runtime ships, so what is hashed is what runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.seam import Code
from components.settings import SettingError
from training.identity import code_digest

LOCK = "requirements/runtime.txt"
TRAINING_PACKAGE = ("training",)
# serving reads models with the same class that training writes them with
SERVING_PACKAGE = ("serving", "training/__init__.py", "training/tabular.py")


def package_code(root: Path, sources: Sequence[str], entrypoint: str | None = None) -> Code:
    """Return the code made of `sources` (packages or files below `root`) and the package of `entrypoint`.

    Raises:
        SettingError: the module of the entrypoint is not below `root`.
    """
    wanted = [*sources]
    if entrypoint is not None:
        wanted.append(_entrypoint_source(root, entrypoint))
    files = sorted({name for source in wanted for name in _python_files(root, source)})
    return Code(root=root, files=files, digest=code_digest(root, files), lock=LOCK)


def _python_files(root: Path, source: str) -> list[str]:
    path = root / source
    if path.is_file():
        return [source]
    found = [file.relative_to(root) for file in path.rglob("*.py")]
    return [str(file) for file in found if not any(part.startswith((".", "__pycache__")) for part in file.parts)]


def _entrypoint_source(root: Path, entrypoint: str) -> str:
    """Return the top-level package or module file that holds the entrypoint, relative to `root`."""
    module = entrypoint.partition(":")[0]
    top, *_ = module.split(".")
    in_package = (root / Path(*module.split("."))).with_suffix(".py").is_file() or (
        root / Path(*module.split(".")) / "__init__.py"
    ).is_file()
    if in_package:
        return top if (root / top).is_dir() else f"{top}.py"
    raise SettingError(
        f"slipway:training.entrypoint = {entrypoint!r}: there is no module {module} in {root}. "
        f"It must be a Python file of this project, such as {module.replace('.', '/')}.py."
    )
