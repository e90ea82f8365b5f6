"""What `up` would change in some stacks, as the Markdown of one pull-request comment.

It runs the engine and formats; who may preview what, and who publishes the text, is the workflow's business.  Standard
library only: it runs before anything is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKER = "<!-- slipway-preview -->"
"""How the comment is found again."""
LONGEST = 60_000
"""Bytes; GitHub takes 65,536 characters in a comment, and a variable of the environment 128 kB."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_FENCE = "~~~~~~"
_COUNTS = re.compile(r"^\s+[-+~]{1,2}\s?\d+ to \w+|^\s+\d+ (?:unchanged|errored)", re.MULTILINE)
_CUT = "\n... cut; the whole of it is in the log of the workflow ...\n"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One stack's preview."""

    stack: str
    ok: bool
    text: str

    @property
    def summary(self) -> str:
        """The counts in one line."""
        if not self.ok:
            return "**failed**"
        return ", ".join(" ".join(found.group().split()) for found in _COUNTS.finditer(self.text)) or "no changes"


def preview(stack: str, command: Sequence[str] = (str(ROOT / "pulumiw"),)) -> Shown:
    """Run the preview of one stack."""
    arguments = [*command, "preview", "--stack", stack, "--non-interactive", "--color", "never"]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL, errors="replace"
    )
    text = _ANSI.sub("", f"{done.stdout}\n{done.stderr}".strip())
    return Shown(stack=stack, ok=done.returncode == 0, text=text)


def markdown(shown: Sequence[Shown], *, offline: bool, commit: str = "") -> str:
    """Return the comment: one line a stack, each one's text folded away, within what GitHub takes."""
    how = (
        "without cloud or cluster, from an empty state: what would be made from nothing"
        if offline
        else "against what is deployed"
    )
    at = f" of {commit[:12]}" if commit else ""
    head = [MARKER, "### What `up` would change", "", f"Previewed{at} {how}.", ""]
    lines = [f"- `{one.stack}`: {one.summary}" for one in shown]
    each = (LONGEST - sum(len(line) + 1 for line in [*head, *lines])) // max(len(shown), 1) - 200
    parts = [_folded(one, each) for one in shown]
    return "\n".join([*head, *lines, "", *parts])


def _folded(one: Shown, longest: int) -> str:
    text = one.text.replace(_FENCE, "")
    whole = text.encode()
    if len(whole) > longest:
        # the counts and errors stand at the end
        first, last = longest // 3, longest - longest // 3 - len(_CUT)
        text = whole[:first].decode(errors="ignore") + _CUT + whole[len(whole) - last :].decode(errors="ignore")
    return f"<details><summary>{one.stack}</summary>\n\n{_FENCE}\n{text}\n{_FENCE}\n\n</details>\n"


def is_offline() -> bool:
    """Whether previews ask no cloud."""
    return os.environ.get("SLIPWAY_OFFLINE") == "1"
