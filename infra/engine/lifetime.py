"""`stack init NAME --copy-config-from STACK`: a stack file like another's, with the end of its own life.

Owns the new file. Pulumi itself copies only from a stack that exists, and a template of ephemeral environments never
does; where the file holds encrypted values, whose key is in that stack's state, the copying is left to Pulumi.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.engine.find import Engine
from infra.engine.invocation import FLAGS_WITH_VALUE, Invocation
from infra.engine.layout import Project, StopError, say
from infra.engine.stacks import create_stack, short_name, stack_exists

COPY = "--copy-config-from"
NO_SELECT = "--no-select"
_TAKES_VALUE = FLAGS_WITH_VALUE | {COPY, "--secrets-provider", "--teams"}
_NAMES = ("-s", "--stack")
_KEY = re.compile(r"^(?P<indent>[ ]+)slipway:lifetime:[ ]*(?P<value>\{[^{}\n]*\})?[ ]*(#.*)?$", re.MULTILINE)
_HOURS = re.compile(r"\bhours:[ ]*(?P<hours>[0-9]+(\.[0-9]+)?)")
_END = re.compile(r""",?[ ]*\bexpires_at:[ ]*(?P<quote>["']?)[0-9TZ:.+-]+(?P=quote)""")
_WRITTEN = re.compile(r"^[^#\n]*\bexpires_at:", re.MULTILINE)
_SECRET = re.compile(r"^[^#]*\bsecure:", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """What the command line of a `stack init` says."""

    name: str
    source: str
    flags: tuple[str, ...]
    """Those that are Pulumi's affair."""
    select: bool


def copies(invocation: Invocation) -> bool:
    """Whether the command makes a stack like another."""
    making = invocation.verb == "stack" and invocation.subverb in ("init", "new")
    return making and not invocation.help and not invocation.elsewhere and invocation.has(COPY)


def read(arguments: tuple[str, ...]) -> Asked:
    """Read the command line.

    Raises:
        StopError: it names no new stack, or no other.
    """
    words, values, flags = _sorted(arguments)
    new, source = _new(words, values), values.get(COPY, "")
    if not new or not source:
        raise StopError(f"./pulumiw stack init NAME {COPY} STACK: both names are needed", status=2)
    return Asked(name=new, source=short_name(source), flags=tuple(flags), select=NO_SELECT not in arguments)


def stack_of(arguments: tuple[str, ...]) -> str:
    """Return the stack that a `stack VERB NAME` names, or "" ."""
    words, values, _ = _sorted(arguments)
    return _new(words, values)


def has_end(file: Path) -> bool:
    """Whether a stack file is one of an ephemeral environment with a written end."""
    return file.exists() and _WRITTEN.search(file.read_text()) is not None


def _new(words: list[str], values: Mapping[str, str]) -> str:
    return values.get("name") or (words[2] if len(words) > 2 else "")  # noqa: PLR2004  `stack VERB NAME`


def _sorted(arguments: tuple[str, ...]) -> tuple[list[str], dict[str, str], list[str]]:
    """Return a command line's words, the values of the flags that are read here, and its other flags."""
    words, values, flags = [], {}, []
    rest = iter(arguments)
    for item in rest:
        name, equals, value = item.partition("=")
        if not item.startswith("-"):
            words.append(item)
        elif name in (*_NAMES, COPY):
            values[COPY if name == COPY else "name"] = value if equals else next(rest, "")
        elif name in _TAKES_VALUE and not equals:
            flags += [item, next(rest, "")]
        elif item != NO_SELECT:
            flags.append(item)
    return words, values, flags


def make_copy(
    project: Project, invocation: Invocation, engine: Engine, environment: Mapping[str, str], now: datetime
) -> int:
    """Write the new stack's file and create the stack; the exit status.

    Raises:
        StopError: the file or the stack is there already, there is nothing to copy, or the engine refused.
    """
    asked = read(invocation.arguments)
    source, file = project.stack_file(asked.source), project.stack_file(short_name(asked.name))
    if file.exists() or stack_exists(project, asked.name, engine, environment):
        raise StopError(f"there is a stack {asked.name!r} or its file {file.name} already: choose another name")
    if not source.exists():
        raise StopError(f"there is no {source.name} to copy from (files exist for: {', '.join(project.stacks())})")
    text = source.read_text()
    if _SECRET.search(text):
        ended = _run(project, engine, environment, *invocation.arguments)
        if ended == 0 and file.exists():
            _write_end(file, now)
        return ended
    file.write_text(text)
    try:
        _write_end(file, now)
        create_stack(project, asked.name, engine, environment, *asked.flags)
    except BaseException:
        file.unlink()
        raise
    return _run(project, engine, environment, "stack", "select", asked.name) if asked.select else 0


def _run(project: Project, engine: Engine, environment: Mapping[str, str], *arguments: str) -> int:
    return subprocess.run([engine.path, *arguments], cwd=project.root, env=dict(environment), check=False).returncode


def _write_end(file: Path, now: datetime) -> None:
    text, end = with_end(file.read_text(), now, file.name)
    file.write_text(text)
    if end is None:
        say(f"wrote {file.name}: it has no slipway:lifetime.hours, so the environment has no end")
    else:
        say(f"wrote {file.name}: the environment ends at {end} (slipway:lifetime.expires_at)")


def with_end(text: str, now: datetime, name: str) -> tuple[str, str | None]:
    """Return a stack file's text with `expires_at` behind the hours of its lifetime, and that end; None without hours.

    An end that is there is the former stack's, and goes.

    Raises:
        StopError: the lifetime is written in a way that is not read here.
    """
    found = _KEY.search(text)
    if found is None:
        if re.search(r"^[^#\n]*\blifetime:", text, re.MULTILINE):
            raise StopError(
                f"slipway:lifetime of {name} is not written on one line in braces, nor as a block: no end was written"
            )
        return text, None
    start, stop, write = _place(text, found)
    body = _without_end(text[start:stop])
    hours = _HOURS.search(body)
    if hours is None:
        return text, None
    end = (now.astimezone(UTC) + timedelta(hours=float(hours["hours"]))).strftime("%Y-%m-%dT%H:%M:%SZ")
    at = hours.end()
    return text[:start] + body[:at] + write(end) + body[at:] + text[stop:], end


def _place(text: str, found: re.Match[str]) -> tuple[int, int, Callable[[str], str]]:
    """Return where the lifetime's keys stand, and how one more is written behind another."""
    if found["value"]:
        return *found.span("value"), lambda end: f', expires_at: "{end}"'
    deeper = re.compile(rf"(\n{found['indent']}[ ]+[^\n]*|\n[ ]*(?=\n))*")
    block = deeper.match(text, found.end())
    stop = block.end() if block else found.end()
    inner = re.search(r"\n([ ]+)\S", text[found.end() : stop])
    indent = inner[1] if inner else found["indent"] + "  "
    return found.end(), stop, lambda end: f'\n{indent}expires_at: "{end}"'


def _without_end(body: str) -> str:
    lines = [line for line in body.split("\n") if not re.match(r"[ ]+expires_at:", line)]
    return _END.sub("", "\n".join(lines)).replace("{,", "{")
