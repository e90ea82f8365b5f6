"""slipway:local:DataFolder: a folder of the stack, with files of secrets that are made once.

Its promise: a folder that Slipway did not make, or that is to be retained, is never removed.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from infra.local.provider import rules
from infra.local.provider.difference import Difference, difference
from infra.local.provider.failure import Failure
from infra.local.provider.machine import Work
from infra.local.provider.resource_type import ResourceType
from infra.local.provider.rules import Rule
from infra.local.provider.supervisor import remove_paths, stop
from infra.local.provider.values import Properties

_MARKER = ".slipway-folder"
_SECRETS = "secrets"
_SECRET_BYTES = 32


_LEAST_PARTS = 3  # never the root folder or one of its children


def _is_folder(value: Any) -> bool:
    return rules.is_path(value) and len(Path(value).parts) >= _LEAST_PARTS


class DataFolderType(ResourceType):
    """Creates and removes folders."""

    rules: ClassVar[Mapping[str, Rule]] = {
        "path": Rule(accepts=_is_folder, says="an absolute path of a folder of its own, such as /tmp/NAME"),
        "retain": rules.FLAG,
        "secrets": rules.TEXTS,
    }

    def defaults(self, inputs: Properties) -> Properties:
        return {"retain": False, "secrets": [], **inputs}

    def difference(self, old: Properties, new: Properties) -> Difference:
        """Another path is another folder."""
        return difference(self.rules, old, new, replacing=["path"])

    def preview(self, old: Properties | None, new: Properties) -> Properties:  # noqa: ARG002  as every type's
        """Everything is known beforehand."""
        return new

    def id_of(self, inputs: Properties) -> str:
        return str(inputs["path"])

    async def create(self, work: Work, inputs: Properties) -> Properties:
        """Make the folder and its secrets; what exists stays as it is."""
        _make(Path(inputs["path"]), inputs["secrets"], work)
        return inputs

    async def update(self, work: Work, old: Properties, new: Properties) -> Properties:  # noqa: ARG002  as every type's
        """Make what is missing."""
        return await self.create(work, new)

    async def read(self, work: Work, state: Properties) -> Properties | None:  # noqa: ARG002  as every type's
        """Tell whether the folder and its secrets are there."""
        return _look(state)

    async def delete(self, work: Work, state: Properties) -> None:
        """Remove the folder, unless it is to be retained; before the ground of all processes goes, they end."""
        path, settings = state["path"], work.machine.settings
        if Path(path) in (settings.state_directory, settings.runtime_directory):
            await _end_recorded(work)
        reason = _reason_to_keep(Path(path), retain=state["retain"])
        if reason:
            await work.say(f"kept {path}: {reason}")
            return
        _remove(path)


def _remove(path: str) -> None:
    """Remove the folder, its mark last: cut anywhere, what is left is still known as ours and removed by the next."""
    folder = Path(path)
    if folder.is_dir() and not folder.is_symlink():
        remove_paths([str(entry) for entry in folder.iterdir() if entry.name != _MARKER])
    remove_paths([path])
    if os.path.lexists(path):
        raise Failure(f"{path} could not be removed completely: remove it by hand, then run `destroy` again")


def _make(path: Path, names: list[str], work: Work) -> None:
    try:
        if not path.exists():
            path.mkdir(parents=True, mode=0o700)
        if not path.is_dir():
            raise Failure(f"{path} is a file: it must be a folder or absent. Move it away.")
        if path.stat().st_uid != os.getuid():
            raise Failure(f"{path} belongs to another user: remove it, or use another folder")
        if not any(path.iterdir()):
            made = {"project": work.machine.settings.project, "stack": work.machine.settings.stack}
            (path / _MARKER).write_text(json.dumps(made), encoding="utf-8")
        for name in names:
            _make_secret(path / _SECRETS, name)
    except OSError as error:
        raise Failure(f"cannot make the folder {path}: {error}") from error


def _make_secret(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / name
    if path.exists():
        return
    written = folder / f".{name}.{os.getpid()}"
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(_SECRET_BYTES))
    written.replace(path)


def _look(state: Properties) -> Properties | None:
    path = Path(state["path"])
    if not path.is_dir():
        return None
    return {**state, "secrets": [name for name in state["secrets"] if (path / _SECRETS / name).exists()]}


def _reason_to_keep(path: Path, *, retain: bool) -> str | None:
    if not path.exists():
        return None
    if retain:
        return "it is to be retained"
    if not (path / _MARKER).exists() and any(path.iterdir()):
        return "it was not made by Slipway"
    return None


async def _end_recorded(work: Work) -> None:
    """End processes that no resource knows of: those of an `up` that was killed before it could say so."""
    records = work.machine.records
    for name in records.names():
        async with records.lock(name):
            record = records.load(name)
            if record is not None:
                if record.members():
                    await work.say(f"ending {name}, which an interrupted `up` had started")
                await stop(record)
                remove_paths(record.clean)
                records.remove(name)
