"""The environment in which the engine runs for this project.

Owns the variables' names and defaults. A variable that is already set is the user's choice and stays.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from infra.engine.find import Engine, find_language_host
from infra.engine.layout import Project, StopError

EXPORTED = (
    "PATH",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_SKIP_UPDATE_CHECK",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    "SLIPWAY_ROOT",
)

OFFLINE = "SLIPWAY_OFFLINE"
DEBUG = "SLIPWAY_DEBUG"
"""What `--debug` means to the program: the SDK says what it does, five calls a resource that the program waits for."""


def compose(project: Project, engine: Engine, given: Mapping[str, str]) -> dict[str, str]:
    """The whole environment for the engine: `given`, and what is missing in it."""
    former = places(Project(Path(given["SLIPWAY_ROOT"]))) if "SLIPWAY_ROOT" in given else {}
    # what another clone's `pulumiw env` exported was not chosen for this one
    composed = {name: value for name, value in given.items() if former.get(name) != value}
    defaults = {
        **places(project),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The committed stack file holds no salt; the state does.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    if "PULUMI_CONFIG_PASSPHRASE" in given:
        del defaults["PULUMI_CONFIG_PASSPHRASE_FILE"]
    if (
        not engine.official
    ):  # built here because the official downloads cannot be reached: fail at once, not by time-out
        defaults["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    for name, value in defaults.items():
        composed.setdefault(name, value)
    composed["SLIPWAY_ROOT"] = str(project.root)  # how the language host beside the engine finds this clone
    composed["PATH"] = _path(project, engine, given.get("PATH", os.defpath))
    return composed


def places(project: Project) -> dict[str, str]:
    """Where a project keeps its state and the passphrase of its secrets, unless told otherwise."""
    return {
        "PULUMI_BACKEND_URL": f"file://{project.generated / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(project.generated / "passphrase"),
    }


def _path(project: Project, engine: Engine, given: str) -> str:
    first = [str(project.venv / "bin"), str(engine.path.parent)]
    present = [entry for entry in given.split(os.pathsep) if entry]
    if find_language_host(engine, present) is None:
        first.append(str(project.engine_folder / "host"))
    return os.pathsep.join(dict.fromkeys([*first, *present]))


def exports(project: Project, composed: Mapping[str, str]) -> str:
    """Shell lines for `eval`. `pulumi` becomes this project's wrapper, which adds nothing outside the project."""
    path = os.pathsep.join([str(project.engine_folder / "bin"), composed["PATH"]])
    shown = {**composed, "PATH": path}
    return "".join(f"export {name}={shlex.quote(shown[name])}\n" for name in EXPORTED if name in shown)


def make_state(project: Project, composed: Mapping[str, str]) -> None:
    """Create the state folder and the passphrase that the environment names, where they are this project's own."""
    project.generated.mkdir(mode=0o700, exist_ok=True)
    if composed["PULUMI_BACKEND_URL"] == places(project)["PULUMI_BACKEND_URL"]:
        (project.generated / "state").mkdir(mode=0o700, exist_ok=True)
    passphrase = project.generated / "passphrase"
    if composed.get("PULUMI_CONFIG_PASSPHRASE_FILE") != str(passphrase) or passphrase.exists():
        return
    draft = project.generated / f"passphrase.{os.getpid()}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(os.urandom(32).hex())
        os.link(draft, passphrase)  # unlike a rename it never replaces the one that another command just made
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def is_offline(given: Mapping[str, str]) -> bool:
    """Whether the mode is on.

    Raises:
        StopError: the variable has a value that says neither.
    """
    value = given.get(OFFLINE, "")
    if value not in ("", "0", "1"):
        raise StopError(f"{OFFLINE} is {value!r}: set it to 1 for a preview without network, or unset it", status=2)
    return value == "1"
