"""Keeps a stack on the substrate that it was made on.

Another `kind` in a stack file is another environment: one `up` would destroy everything of the former, registry and
artifacts included, to make the latter. Owns the refusal; where the state is not a local file, it cannot look.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.engine.layout import Project, StopError
from infra.engine.stacks import short_name, state_folder

_KIND = re.compile(r"""^[^#\n]*\bkind:\s*["']?([a-z]+)""", re.MULTILINE)
_MAKES_CLUSTER = {"aws"}


def refuse_another(project: Project, stack: str, environment: Mapping[str, str]) -> None:
    """Compare what the stack file asks for with what the state holds.

    Raises:
        StopError: they differ.
    """
    folder, name = state_folder(environment), short_name(stack)
    if folder is None:
        return
    made = made_on(folder / "stacks" / project.name / f"{name}.json")
    file = project.stack_file(name)
    asked = asked_for(file)
    if made is not None and asked is not None and made != asked:
        raise StopError(
            f"the stack {name!r} was made on the substrate {made}, and {file.name} now says {asked}: this `up` would "
            f"destroy the one to make the other. Give the new one a stack of its own: cp {file.name} Pulumi.NEW.yaml; "
            f"or end this one first, with kind: {made} in its file: ./pulumiw destroy -s {name}"
        )


def made_on(state: Path) -> str | None:
    """The substrate of the last whole `up`, as its outputs say it; None when there is none."""
    try:
        resources: list[dict[str, Any]] = json.loads(state.read_bytes())["checkpoint"]["latest"]["resources"]
        root = next(one for one in resources if one["type"] == "pulumi:pulumi:Stack")
        return str(root["outputs"]["substrate"]["kind"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def makes_its_cluster(stack_file: Path) -> bool:
    """Whether the stack makes its cluster itself, and all that it stands on."""
    return asked_for(stack_file) in _MAKES_CLUSTER


def asked_for(stack_file: Path) -> str | None:
    """The substrate of a stack file, read without a YAML parser, which is not installed yet when this runs."""
    try:
        found = _KIND.search(stack_file.read_text(encoding="utf-8"))
    except OSError:
        return None
    return found[1] if found else None
