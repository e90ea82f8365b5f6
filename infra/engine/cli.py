"""The `./pulumiw` command: own verbs (setup, doctor, env, get), and every verb of Pulumi on this project.

Owns the order of things before the engine runs: dependencies, engine, environment, stack, lock. The engine then
replaces this process, so that signals and the terminal are its own.
"""

import errno
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from infra.engine.dependencies import is_ready
from infra.engine.environment import DEBUG, compose, exports, is_offline, make_state
from infra.engine.find import Engine, engine_for
from infra.engine.invocation import (
    CHANGES_STATE,
    CREATES_STACK,
    RUNS_PROGRAM,
    TAKES_CONFIG_FILE,
    Invocation,
    parse,
    without_questions,
)
from infra.engine.layout import Project, StopError, say
from infra.engine.locks import drop_torn_attributes, release_stale_locks
from infra.engine.manifests import SOURCES, fetch, wanted
from infra.engine.packs import with_pack
from infra.engine.pending import settle_pending
from infra.engine.stacks import chosen_stack, config_copy, create_stack, short_name, stack_exists, state_folder
from infra.engine.substrate import refuse_another
from infra.engine.usage import OWN_VERBS, help_on

PLAIN = "--plain"


def main(root: Path, arguments: list[str]) -> int:
    """Run the command line; the exit status."""
    project = Project(root)
    try:
        return _run(project, arguments)
    except StopError as stop:
        say(str(stop))
        return stop.status
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = error.filename or project.generated
        say(f"the disk of {place} is full: free some space, then run this again")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(project: Project, arguments: list[str]) -> int:
    plain = arguments[:1] == [PLAIN]
    arguments = arguments[1:] if plain else arguments
    if plain and not _inside(project):
        return _pass_through(project, arguments)
    text = None if plain else help_on(arguments)
    if text is not None:
        print(text, end="")
        return 0
    if not plain and arguments[0] in OWN_VERBS:
        return _own_verb(project, arguments)
    invocation = parse(arguments)
    if invocation.has("--debug", "-d"):
        os.environ[DEBUG] = "1"
    if is_offline(os.environ):
        return _offline(project, invocation)
    engine, environment = _ready(project)
    if invocation.verb == "stack" and invocation.has("--copy-config-from"):
        from infra.engine import lifetime  # noqa: PLC0415  rarely needed

        if lifetime.copies(invocation):
            return lifetime.make_copy(project, invocation, engine, environment, datetime.now(tz=UTC))
    return _engine(project, invocation, engine, environment)


def _offline(project: Project, invocation: Invocation) -> int:
    from infra.engine import offline  # noqa: PLC0415  rarely needed

    offline.refuse_changes(invocation)
    engine = offline.require_ready(project)
    environment = compose(project, engine, os.environ)
    make_state(project, environment)
    if not invocation.takes_stack():
        return _engine(project, invocation, engine, environment)
    if not _inside(project):
        os.chdir(project.root)
    return offline.preview(project, invocation, engine, environment)


def _own_verb(project: Project, arguments: list[str]) -> int:
    verb, rest = arguments[0], arguments[1:]
    if verb == "setup":
        from infra.engine.prepare import setup  # noqa: PLC0415  rarely needed, and slow to import

        return setup(project, rest)
    if verb == "doctor":
        from infra.engine.doctor import main as doctor  # noqa: PLC0415

        return doctor(project, rest)
    engine, environment = _ready(project)
    if verb == "get":
        from infra.engine.outputs import get  # noqa: PLC0415

        return get(project, rest, engine, environment)
    print(exports(project, environment), end="")
    return 0


def _ready(project: Project) -> tuple[Engine, dict[str, str]]:
    engine = engine_for(project)
    if engine is None or not is_ready(project, dev=False):
        from infra.engine.prepare import prepare  # noqa: PLC0415

        engine = prepare(project, dev=False)
    environment = compose(project, engine, os.environ)
    make_state(project, environment)
    return engine, environment


def _engine(project: Project, invocation: Invocation, engine: Engine, environment: dict[str, str]) -> int:
    if not _inside(project):
        os.chdir(project.root)
    if invocation.verb == "stack" and invocation.subverb == "rm":
        invocation = _without_deleting(project, invocation)
    if invocation.takes_stack() and not invocation.elsewhere:
        invocation = _for_stack(project, invocation, engine, environment)
    sys.stdout.flush()
    os.execve(engine.path, [str(engine.path), *invocation.arguments], environment)  # noqa: S606  no shell is the point


def _without_deleting(project: Project, invocation: Invocation) -> Invocation:
    """Keep `stack rm` from deleting the committed stack file, which it does by default; an ephemeral one's goes."""
    from infra.engine.lifetime import has_end, stack_of  # noqa: PLC0415  rarely needed

    file = project.stack_file(short_name(stack_of(invocation.arguments)))
    if invocation.help or invocation.has("--preserve-config") or has_end(file):
        return invocation
    return parse([*invocation.arguments, "--preserve-config"])


def _for_stack(project: Project, invocation: Invocation, engine: Engine, environment: dict[str, str]) -> Invocation:
    """Create, unlock and complete what the verb needs on its stack."""
    stack = invocation.stack or chosen_stack(project, environment)
    if invocation.verb == "destroy" and invocation.has("--remove") and project.stack_file(short_name(stack)).exists():
        raise StopError(
            f"--remove would delete {project.stack_file(short_name(stack)).name} too. "
            f"Run `./pulumiw destroy -s {stack}`, then `./pulumiw stack rm {stack}`"
        )
    if invocation.verb in CREATES_STACK and not stack_exists(project, stack, engine, environment):
        create_stack(project, stack, engine, environment)
    if invocation.verb in {"up", "preview", "watch"}:
        refuse_another(project, stack, environment)
    if invocation.verb in RUNS_PROGRAM and wanted(project, short_name(stack)):
        fetch(*SOURCES)
    invocation = with_pack(project, invocation, stack, environment)
    folder = state_folder(environment)
    if invocation.verb in CHANGES_STATE and folder is not None:
        release_stale_locks(folder, project.name, short_name(stack))
        drop_torn_attributes(folder, project.name, short_name(stack))
        unsure = settle_pending(project, invocation.verb, stack, engine, environment)
        if unsure and invocation.verb in {"up", "watch", "destroy"}:
            invocation = invocation.with_flags("--refresh")
    if invocation.stack is None:
        invocation = invocation.with_flags("--stack", stack)
    if invocation.verb in TAKES_CONFIG_FILE and not invocation.has("--config-file"):
        copy = config_copy(project, stack)
        if copy is not None:
            invocation = invocation.with_flags("--config-file", str(copy))
    return without_questions(invocation, stack=short_name(stack), terminal=sys.stdin.isatty() and sys.stdout.isatty())


def _inside(project: Project) -> bool:
    """Whether the current folder belongs to this project, by the rule that Pulumi uses."""
    here = Path.cwd()
    nearest = next((folder for folder in (here, *here.parents) if (folder / "Pulumi.yaml").exists()), None)
    return nearest == project.root


def _pass_through(project: Project, arguments: list[str]) -> int:
    engine = engine_for(project)
    if engine is None:
        raise StopError(f"no engine is installed: run {project.root}/pulumiw setup")
    os.execve(engine.path, [str(engine.path), *arguments], dict(os.environ))  # noqa: S606  no shell is the point
