"""A stack's state and its config file, as this project keeps them.

Owns three things. A stack comes to be when its Pulumi.NAME.yaml exists. The engine reads a copy of that file under
.slipway/config, because it writes an encryption salt into the file it reads, and the committed one must stay as it is.
And which stack is meant when none is named.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra.engine.find import Engine
from infra.engine.invocation import DEFAULT_STACK
from infra.engine.layout import Project, StopError, say

FILE_SCHEME = "file://"


def state_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder of a file backend, or None for another backend."""
    url = environment["PULUMI_BACKEND_URL"]
    if not url.startswith(FILE_SCHEME):
        return None
    place = url.removeprefix(FILE_SCHEME).partition("?")[0]
    return Path(place).expanduser() / ".pulumi"


def chosen_stack(project: Project, environment: Mapping[str, str]) -> str:
    """The stack when none is named: $PULUMI_STACK, what `stack select` chose, else `dev`."""
    if environment.get("PULUMI_STACK"):
        return environment["PULUMI_STACK"]
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    # sha1 is the engine's name for this file, not a safeguard
    digest = hashlib.sha1(str(project.root / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    settings = home / "workspaces" / f"{project.name}-{digest}-workspace.json"
    try:
        known = json.loads(settings.read_text())
    except (OSError, ValueError):
        return DEFAULT_STACK
    selected = known.get("stacks", {}).get(environment["PULUMI_BACKEND_URL"]) or known.get("stack")
    return short_name(selected) if selected else DEFAULT_STACK


def short_name(stack: str) -> str:
    """`organization/slipway/dev` -> `dev`."""
    return stack.rpartition("/")[2]


def stack_exists(project: Project, stack: str, engine: Engine, environment: Mapping[str, str]) -> bool:
    """Whether the backend has the stack. A file backend is looked into, since asking the engine costs 0.2 s."""
    folder = state_folder(environment)
    if folder is not None:
        base = folder / "stacks" / project.name
        return any((base / f"{short_name(stack)}.json{end}").exists() for end in ("", ".gz", ".zst"))
    asked = subprocess.run(
        [engine.path, "stack", "--stack", stack, "--show-name"],
        cwd=project.root, env=dict(environment), capture_output=True, check=False,
    )  # fmt: skip
    return asked.returncode == 0


def create_stack(
    project: Project, stack: str, engine: Engine, environment: Mapping[str, str], *flags: str, tell: bool = True
) -> None:
    """Create the stack of an existing Pulumi.NAME.yaml, and say so. `flags` are those of `stack init`.

    In a folder of its own: the engine writes the new salt into the stack file it finds.

    Raises:
        StopError: no such file, or the engine refused.
    """
    file = project.stack_file(short_name(stack))
    if not file.exists():
        known = ", ".join(project.stacks()) or "none"
        raise StopError(
            f"there is no stack {stack!r} and no file {file.name} to create it from (files exist for: {known}). "
            f"Write {file.name}, or name another stack with -s"
        )
    with tempfile.TemporaryDirectory(prefix="slipway-stack-") as scratch:
        (Path(scratch) / "Pulumi.yaml").write_text(f"name: {project.name}\nruntime: python\n")
        (Path(scratch) / file.name).write_text(file.read_text())
        made = subprocess.run(
            [engine.path, "stack", "init", stack, "--no-select", "--non-interactive", *flags],
            cwd=scratch, env=dict(environment), capture_output=True, text=True, check=False,
        )  # fmt: skip
    if made.returncode != 0:
        raise StopError(f"the stack {stack!r} could not be created:\n{made.stderr.strip() or made.stdout.strip()}")
    if tell:
        say(f"created the stack {stack!r} of {file.name} in {environment['PULUMI_BACKEND_URL']}")


def config_copy(project: Project, stack: str, folder: Path | None = None) -> Path | None:
    """Bring the engine's copy of the stack file up to date; None when the stack has no file.

    The salt that the engine wrote into the former copy is not carried over: it takes it from the state.
    """
    file = project.stack_file(short_name(stack))
    if not file.exists():
        return None
    copy = (folder or project.generated / "config") / file.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_suffix(f".{os.getpid()}")
    draft.write_text(file.read_text())
    draft.replace(copy)
    return copy
