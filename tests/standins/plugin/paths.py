"""Where in a resource something is, as the engine writes it, and what differs there. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """One difference: where, and whether it adds, deletes or updates; and whether it needs a new object."""

    path: Path
    how: str
    replaces: bool = False

    @property
    def text(self) -> str:
        return format_path(self.path)


def parse_path(text: str) -> Path:
    """Read `a.b[0]["c.d"].*` (a property path of the engine)."""
    steps: list[str | int] = []
    for name, quoted, index in re.findall(r'([^.\[\]"]+)(?=[.\[]|$)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]', text):
        steps.append(name or quoted.replace('\\"', '"') or (index if index == "*" else int(index)))
    return tuple(steps)


def format_path(path: Path) -> str:
    """Write a path as the engine does."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.search(r'[."\[\]]', step):
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{step}" if text else step
    return text
