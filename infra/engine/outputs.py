"""`pulumiw get`: one leaf of a stack's outputs, for shells.

Owns the walk from a dotted key to its value; the outputs themselves are the engine's answer.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from infra.engine.find import Engine
from infra.engine.invocation import parse
from infra.engine.layout import Project, StopError
from infra.engine.stacks import chosen_stack, stack_exists


def get(project: Project, arguments: list[str], engine: Engine, environment: Mapping[str, str]) -> int:
    """`get [KEY] [-s NAME] [--show-secrets]`: the value of KEY, or `key value` lines of all leaves.

    A text is printed as it is, anything else as JSON.
    """
    invocation = parse(["get", *arguments])
    flags = ["--show-secrets"] if invocation.has("--show-secrets") else []
    stack = invocation.stack or chosen_stack(project, dict(environment))
    if not stack_exists(project, stack, engine, environment):
        raise StopError(f"there is no stack {stack!r} yet: ./pulumiw up -s {stack}")
    asked = subprocess.run(
        [engine.path, "stack", "output", "--json", "--stack", stack, *flags],
        cwd=project.root, env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if asked.returncode != 0:
        raise StopError(f"the outputs of {stack!r} could not be read:\n{asked.stderr.strip()}")
    outputs: dict[str, Any] = json.loads(asked.stdout)
    if invocation.subverb:
        print(text(find(outputs, invocation.subverb, stack)))
        return 0
    for key, value in leaves(outputs) if outputs else ():
        print(f"{key} {text(value)}")
    return 0


def find(outputs: Mapping[str, Any], key: str, stack: str) -> Any:
    """The value at a dotted key; a part that is a number enters a list.

    Raises:
        StopError: nothing is there; the message lists what is.
    """
    value: Any = outputs
    for part in key.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            known = ", ".join(name for name, _ in leaves(outputs) if name) or f"none: run ./pulumiw up -s {stack}"
            raise StopError(f"the stack {stack!r} has no output {key!r}. It has: {known}")
    return value


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, in the order of the outputs. An empty collection is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{prefix}{key}.")
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{prefix}{index}.")
    else:
        yield prefix.removesuffix("."), value


def text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
