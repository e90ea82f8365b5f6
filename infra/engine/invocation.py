"""What a Pulumi command line asks for: its verb, its stack, and the flags that this project adds to it.

Owns the reading of arguments, nothing else: no file is touched here. Flags that the user gave always win.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

DEFAULT_STACK = "dev"
ALIASES = {"update": "up", "pre": "preview", "down": "destroy", "dn": "destroy"}
FLAGS_WITH_VALUE = {
    *("-s", "--stack", "-C", "--cwd", "--color", "-v", "--verbose"),
    *("--tracing", "--profiling", "--memprofilerate", "--otel-traces"),
}
"""Those that can stand before a verb's last word."""

TAKES_CONFIG_FILE = {"up", "preview", "refresh", "destroy", "import", "watch", "logs"}
CHANGES_STATE = {"up", "refresh", "destroy", "import", "watch"}
CONFIRMED = {"up", "refresh", "destroy", "import"}
CREATES_STACK = {"up", "preview", "refresh", "destroy", "import", "watch", "config"}
RUNS_PROGRAM = CREATES_STACK - {"config"}
TAKES_STACK = CREATES_STACK | {"logs", "cancel", "state", "stack"}
STACK_VERBS_WITHOUT_STACK = {"init", "select", "ls", "unselect", "rm", "new", "migrate"}
ENDS_BEFORE_WORK = {"-h", "--help", "--version"}


@dataclass(frozen=True)
class Invocation:
    """A parsed command line. `arguments` is what will be given to the engine."""

    arguments: tuple[str, ...]
    verb: str
    subverb: str
    stack: str | None
    """As named by -s or --stack."""
    help: bool
    elsewhere: bool
    """-C names another folder, so that nothing of this project applies."""

    def has(self, *names: str) -> bool:
        """Whether one of the flags was given, in any of its spellings."""
        own = _before_separator(self.arguments)
        return any(item == name or item.startswith(f"{name}=") for item in own for name in names)

    def takes_stack(self) -> bool:
        if self.help or self.verb not in TAKES_STACK:
            return False
        return not (self.verb == "stack" and self.subverb in STACK_VERBS_WITHOUT_STACK)

    def with_flags(self, *flags: str) -> "Invocation":
        """Put flags right behind the verb."""
        at = next(_word_indexes(self.arguments)) + 1
        return replace(self, arguments=(*self.arguments[:at], *flags, *self.arguments[at:]))


def parse(arguments: list[str]) -> Invocation:
    """Read a command line as Pulumi would, as far as this project needs to know it."""
    own = _before_separator(tuple(arguments))
    words = [own[index] for index in _word_indexes(own)]
    verb = words[0] if words else ""
    return Invocation(
        arguments=tuple(arguments),
        verb=ALIASES.get(verb, verb),
        subverb=words[1] if len(words) > 1 else "",
        stack=_value(own, "-s", "--stack"),
        help=not verb or any(item in ENDS_BEFORE_WORK for item in own),
        elsewhere=_value(own, "-C", "--cwd") is not None,
    )


def without_questions(invocation: Invocation, *, stack: str, terminal: bool) -> Invocation:
    """Answer Pulumi's questions beforehand where nobody can, and for the default stack, which is yours alone.

    On a terminal every other stack asks as Pulumi does. Elsewhere it is still previewed first: that stops a protected
    resource's removal, and a policy that looks at the whole stack, before anything around them has changed. The default
    stack has neither.
    """
    if invocation.verb not in CONFIRMED or (terminal and stack != DEFAULT_STACK):
        return invocation
    if invocation.has("--yes", "-y", "--preview-only", "--skip-preview", "-f", "--plan"):
        return invocation
    return invocation.with_flags("--yes", *(["--skip-preview"] if stack == DEFAULT_STACK else []))


def _before_separator(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _word_indexes(arguments: tuple[str, ...]) -> Iterator[int]:
    skip = False
    for index, item in enumerate(arguments):
        if skip:
            skip = False
        elif item in FLAGS_WITH_VALUE:
            skip = True
        elif not item.startswith("-"):
            yield index


def _value(arguments: tuple[str, ...], short: str, long: str) -> str | None:
    for index, item in enumerate(arguments):
        if item in (short, long):
            return arguments[index + 1] if index + 1 < len(arguments) else None
        for name in (short, long):
            if item.startswith(f"{name}="):
                return item.removeprefix(f"{name}=")
    return None
