"""The project's virtualenv: made, filled from the hash-pinned lock, and stamped with what it was filled from.

Owns `.venv`. A stamp that matches makes a second call cost a millisecond; a changed lock is installed before
anything runs.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.engine.layout import Project, StopError, cache_folder, say
from infra.engine.versions import UV

STAMP = "slipway-stamp.json"
COMMAND = "slipway"
# Without byte code every start of MLflow or Ray is three times slower; with this variable set nothing is ever compiled.
NO_BYTE_CODE = "PYTHONDONTWRITEBYTECODE"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def lock_file(project: Project, kind: str) -> Path:
    return project.root / "requirements" / f"{kind}.txt"


def stamp_for(project: Project, kind: str) -> dict[str, str]:
    """What a virtualenv filled now from the lock `program` or `dev` would be stamped with.

    The folder is that of the clone it was made in: a virtualenv cannot be moved, but another clone may link to it.
    """
    digest = hashlib.sha256(lock_file(project, kind).read_bytes()).hexdigest()
    return {"kind": kind, "lock": digest, "root": str(project.venv.resolve().parent)}


def installed_kind(project: Project) -> str | None:
    """`program` or `dev` when the virtualenv is filled from today's lock, else None."""
    try:
        stamp = json.loads((project.venv / STAMP).read_text())
        return str(stamp["kind"]) if stamp == stamp_for(project, stamp["kind"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_ready(project: Project, *, dev: bool) -> bool:
    return installed_kind(project) in ({"dev"} if dev else {"dev", "program"})


def install(project: Project, *, dev: bool) -> None:
    """Make the virtualenv hold exactly what its lock says. One at a time; the second finds the work done.

    Raises:
        StopError: a step failed; its output was shown.
    """
    if project.venv.is_symlink():
        owner = project.venv.resolve().parent
        raise StopError(
            f"{project.venv} is a link, and {owner} holds another lock's packages: run ./pulumiw setup there"
        )
    project.generated.mkdir(mode=0o700, exist_ok=True)
    with exclusive(project.generated / "setup.lock", "another setup of this clone"):
        if is_ready(project, dev=dev):
            return
        _fill(project, "dev" if dev or _former_kind(project) == "dev" else "program")


@contextmanager
def exclusive(file: Path, holder: str) -> Iterator[None]:
    """Hold an advisory lock on `file`; says whom it waits for. The kernel releases it when the process ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for {holder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _former_kind(project: Project) -> str | None:
    try:
        return str(json.loads((project.venv / STAMP).read_text())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fill(project: Project, kind: str) -> None:
    started = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in (NO_BYTE_CODE, "VIRTUAL_ENV")}
    if SYSTEM_CERTIFICATES.exists():  # a company's own authority is trusted there, not in uv's built-in list
        environment.setdefault("UV_SYSTEM_CERTS", "true")
    uv = _find_uv(environment)
    (project.venv / STAMP).unlink(missing_ok=True)
    if not project.python.exists():
        say(f"making {project.venv} with Python {sys.version.split()[0]}")
        python = [uv, "venv", "--quiet", "--allow-existing", "--no-python-downloads", "--python", sys.executable]
        _step([*python, str(project.venv)], environment, "the virtualenv could not be made")
    lock = lock_file(project, kind)
    say(f"installing {lock.relative_to(project.root)} (1.9 GB on disk; minutes the first time, byte code included)")
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # its progress is drawn on a terminal, else it is 170 lines
    sync = [
        uv,
        "pip",
        "sync",
        *quiet,
        "--require-hashes",
        "--compile-bytecode",
        "--python",
        str(project.python),
        str(lock),
    ]
    _step(sync, environment, f"the dependencies of {lock.relative_to(project.root)} could not be installed")
    _install_project(project)
    (project.venv / STAMP).write_text(json.dumps(stamp_for(project, kind)))
    say(f"dependencies installed in {time.monotonic() - started:.0f} s")


def _find_uv(environment: dict[str, str]) -> str:
    found = shutil.which("uv", path=environment.get("PATH"))
    if found:
        return found
    tools = cache_folder() / "tools" / f"uv-{UV}"
    uv = tools / "bin" / "uv"
    if not uv.exists():
        say(f"installing uv {UV} into {tools}")
        failed = "uv could not be installed (Debian and Ubuntu need `sudo apt-get install -y python3-venv` for it)"
        _step([sys.executable, "-m", "venv", "--clear", str(tools)], environment, failed)
        _step([str(tools / "bin" / "pip"), "install", "--quiet", f"uv=={UV}"], environment, failed)
    return str(uv)


def _install_project(project: Project) -> None:
    """The project itself, editable: its folder on the path and the `slipway` command. A build would need more tools."""
    packages = next((project.venv / "lib").glob("python3.*/site-packages"))
    (packages / f"{COMMAND}.pth").write_text(f"{project.root}\n")
    command = project.venv / "bin" / COMMAND
    command.write_text(f"#!{project.python}\nimport sys\n\nfrom stacks.cli import main\n\nsys.exit(main())\n")
    command.chmod(0o755)


def _step(command: list[str], environment: dict[str, str], failure: str) -> None:
    try:
        ended = subprocess.run(command, env=environment, check=False).returncode
    except OSError as error:
        raise StopError(f"{failure}: {error}") from error
    if ended != 0:
        raise StopError(f"{failure}: `{' '.join(command)}` ended with status {ended}; its message is above")
