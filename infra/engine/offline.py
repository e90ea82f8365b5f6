"""`SLIPWAY_OFFLINE=1 ./pulumiw preview`: what a stack file declares, without network, credentials or state.

Owns the temporary state and its end, the plugins that answer, and the refusal of everything else: an environment that
exists must not be changed by a program that was told not to look at it.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from infra.engine import manifests
from infra.engine.dependencies import is_ready
from infra.engine.environment import OFFLINE
from infra.engine.find import Engine, engine_for
from infra.engine.invocation import Invocation
from infra.engine.layout import Project, StopError, say
from infra.engine.packs import with_pack
from infra.engine.stacks import chosen_stack, config_copy, create_stack, short_name

PLUGINS_VARIABLE = "SLIPWAY_OFFLINE_PLUGINS"
"""`official`: the plugins of this machine answer instead of the stand-ins, which tests keep in tests/standins."""
PLUGINS = ("aws", "kubernetes")
STAND_IN, OFFICIAL = "stand-in", "official"
READS_NOTHING = {"", "version", "about", "help", "whoami"}


def refuse_changes(invocation: Invocation) -> None:
    """Let through what previews, or touches no stack.

    Raises:
        StopError: anything else.
    """
    verb = " ".join(
        word for word in (invocation.verb, invocation.subverb if invocation.verb == "stack" else "") if word
    )
    if not (invocation.help or invocation.verb == "preview" or invocation.verb in READS_NOTHING):
        raise StopError(
            f"{OFFLINE}=1 only previews, with stand-ins and a state that is thrown away: `{verb}` would work on a real "
            f"one. Unset it for that: env -u {OFFLINE} ./pulumiw {' '.join(invocation.arguments)}",
            status=2,
        )


def require_ready(project: Project) -> Engine:
    """Return the engine, if everything is there that a preview needs.

    Raises:
        StopError: something would have to be fetched; the message names the command that does.
    """
    engine = engine_for(project)
    missing = [
        what
        for what, there in (
            ("the engine", engine is not None),
            ("the project's dependencies", is_ready(project, dev=False)),
            ("the manifests of KubeRay and the GPU plugin", all(map(manifests.is_complete, manifests.SOURCES))),
        )
        if not there
    ]
    if engine is None or missing:
        raise StopError(
            f"{OFFLINE}=1 fetches nothing, and this machine lacks {', '.join(missing)}. Once, where there is a "
            f"network: {manifests.FILL}"
        )
    return engine


def answering(project: Project, environment: Mapping[str, str]) -> dict[str, str | None]:
    """Which plugin the engine will find for each provider: PATH first, then its cache."""
    return {name: _answering(project, environment, name) for name in PLUGINS}


def _answering(project: Project, environment: Mapping[str, str], name: str) -> str | None:
    found = shutil.which(f"pulumi-resource-{name}", path=environment.get("PATH", os.defpath))
    if found is not None and not environment.get("PULUMI_IGNORE_AMBIENT_PLUGINS"):
        return STAND_IN if Path(found).resolve().is_relative_to(_stand_ins(project).parent.resolve()) else OFFICIAL
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return OFFICIAL if any(home.glob(f"plugins/resource-{name}-v*/pulumi-resource-{name}")) else None


def _stand_ins(project: Project) -> Path:
    return project.root / "tests" / "standins" / "bin"


def surroundings(project: Project, environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of an offline preview whose state lies in `folder`.

    Raises:
        StopError: no plugin would answer, or not the one that was asked for.
    """
    (folder / "state").mkdir(mode=0o700)
    composed = {
        **environment,
        OFFLINE: "1",
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    wanted = environment.get(PLUGINS_VARIABLE) or STAND_IN
    if wanted not in (STAND_IN, OFFICIAL):
        raise StopError(f"{PLUGINS_VARIABLE} is {wanted!r}: it is {OFFICIAL}, or not set", status=2)
    if wanted == STAND_IN:
        composed["PATH"] = os.pathsep.join([str(_stand_ins(project)), composed.get("PATH", os.defpath)])
        composed.pop("PULUMI_IGNORE_AMBIENT_PLUGINS", None)
    other = [name for name, found in answering(project, composed).items() if found != wanted]
    if other:
        raise StopError(
            f"no {wanted} plugin answers for {', '.join(other)}: "
            + (
                f"{_stand_ins(project)} lacks it"
                if wanted == STAND_IN
                else "install it (pulumi plugin install resource NAME VERSION), or unset " + PLUGINS_VARIABLE
            )
        )
    return composed


def preview(project: Project, invocation: Invocation, engine: Engine, environment: Mapping[str, str]) -> int:
    """Preview from an empty state, which is gone afterwards; the engine's exit status."""
    stack = short_name(invocation.stack or chosen_stack(project, environment))
    with tempfile.TemporaryDirectory(prefix="slipway-offline-") as scratch:
        composed = surroundings(project, environment, Path(scratch))
        answers = ", ".join(f"{name} is the {found} plugin" for name, found in answering(project, composed).items())
        say(f"offline preview of {stack!r}: {answers}; an empty state, no network, no credentials")
        create_stack(project, stack, engine, composed, tell=False)
        if invocation.stack is None:
            invocation = invocation.with_flags("--stack", stack)
        invocation = with_pack(project, invocation, stack, composed)
        if not invocation.has("--config-file"):
            copy = config_copy(project, stack, Path(scratch))
            invocation = invocation.with_flags("--config-file", str(copy)) if copy else invocation
        return _attend([str(engine.path), *invocation.arguments], composed)


def _attend(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the engine to its end. Ctrl-C reaches it from the terminal; what only this process gets is passed on."""
    child = subprocess.Popen(command, env=dict(environment))

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    former = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda _number, _frame: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
        signal.SIGHUP: signal.signal(signal.SIGHUP, pass_on),
    }
    try:
        ended = child.wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    return ended if ended >= 0 else 128 - ended
