"""The code that goes into the image: which files, their digests, and the folder made of them.

The digests are the ones that the stack computes for a training run and for the application, over the same relative
names, so a job and a replica can tell whether the image they run in is the one that was asked for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.code import SERVING_PACKAGE, TRAINING_PACKAGE, package_code
from infra.engine.layout import StopError
from infra.image.layout import ABOUT, CODE, LOCK
from training.identity import code_digest, file_digest

CONTRACT = 1


@dataclass(frozen=True)
class ImageCode:
    """The files of the code layer, and what the image says of itself."""

    root: Path
    files: tuple[str, ...]
    digest: str
    """One sha256 over everything in the code layer: another digest, another image."""
    about: dict[str, object]


def collect(root: Path, extra: Sequence[str] = ()) -> ImageCode:
    """Return the code below `root`, with `extra` packages or files of the user.

    Raises:
        StopError: an extra path is outside the project, or holds no Python file.
    """
    sources = [*CODE, *(_inside(root, name) for name in extra)]
    files = tuple(sorted((*package_code(root, sources).files, LOCK)))
    about = {
        "contract": CONTRACT,
        "code": {
            "training": package_code(root, TRAINING_PACKAGE).digest,
            "serving": package_code(root, SERVING_PACKAGE).digest,
        },
        "lock": file_digest(root / LOCK),
    }
    return ImageCode(root, files, code_digest(root, files), about)


def _inside(root: Path, name: str) -> str:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise StopError(f"--extra {name}: it is outside the project {root}; copy it into the project first")
    if not path.exists() or (path.is_dir() and not any(path.rglob("*.py"))):
        raise StopError(f"--extra {name}: there is no Python file there; name a package or a module of the project")
    return str(path.relative_to(root.resolve()))


def stage(code: ImageCode, folder: Path) -> None:
    """Write the files and `image.json` below `folder`, which becomes /opt/slipway/app; readable by everyone.

    Raises:
        StopError: a file changed after its digest was taken.
    """
    for name in code.files:
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(code.root / name, copy)
    if code_digest(folder, code.files) != code.digest:
        raise StopError(f"the code in {code.root} was changed while the image was being made: make it again")
    (folder / ABOUT).write_text(json.dumps(code.about, indent=1, sort_keys=True) + "\n")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
