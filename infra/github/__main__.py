"""`python -m infra.github`: what the workflows of pull requests run; nothing has to be installed for it."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.github.comment import Api, Refused, publish
from infra.github.preview import MARKER, Shown, is_offline, markdown, preview

USAGE = """\
usage: python -m infra.github preview STACK...   previews them; the text goes to the job's summary and its output `text`
       python -m infra.github comment            makes the pull request's one comment say $PREVIEW
"""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command and return the exit status."""
    if len(arguments) > 1 and arguments[0] == "preview":
        return _preview(arguments[1:], environment)
    if list(arguments) == ["comment"]:
        return _comment(environment)
    sys.stderr.write(USAGE)
    return 2


def _preview(stacks: Sequence[str], environment: Mapping[str, str]) -> int:
    shown = [preview(stack) for stack in stacks]
    for one in shown:
        sys.stdout.write(f"== {one.stack}: {one.summary}\n{one.text}\n")
    how: dict[str, Any] = {"offline": is_offline(), "commit": environment.get("SLIPWAY_COMMIT", "")}
    _append(environment.get("GITHUB_STEP_SUMMARY"), markdown(shown, **how))
    text = markdown(_with_former(environment.get("SLIPWAY_PREVIEWS"), shown), **how)
    mark = secrets.token_hex(16)  # nobody who writes the text can know where it ends
    _append(environment.get("GITHUB_OUTPUT"), f"text<<{mark}\n{text}\n{mark}\n")
    return 0 if all(one.ok for one in shown) else 1


def _with_former(path: str | None, shown: Sequence[Shown]) -> Sequence[Shown]:
    """Return what earlier steps of this job previewed, as other roles, and this step's; keep it for the next."""
    if not path:
        return shown
    file = Path(path)
    former = [Shown(**one) for one in json.loads(file.read_text())] if file.exists() else []
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([asdict(one) for one in [*former, *shown]]))
    return [*former, *shown]


def _comment(environment: Mapping[str, str]) -> int:
    api = Api(environment["GITHUB_API_URL"], environment["GITHUB_REPOSITORY"], environment["GITHUB_TOKEN"])
    try:
        url = publish(api, int(environment["PULL_REQUEST"]), environment["PREVIEW"], MARKER)
    except Refused as refused:
        sys.stderr.write(f"slipway: the comment: {refused}\n")
        return 1
    sys.stdout.write(f"{url}\n")
    return 0


def _append(path: str | None, text: str) -> None:
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
