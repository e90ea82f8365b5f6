"""Gets an engine onto this machine: by the official installer where it can be reached, else built from go.mod.

Owns the engine folder of the cache. Everything appears there in one rename, under a lock, so that two commands or a
kill in the middle leave either nothing or a whole engine.
"""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from infra.engine.dependencies import exclusive
from infra.engine.find import HOST_NAME, Engine, built_engine, engine_for
from infra.engine.layout import Project, StopError, cache_folder, say
from infra.engine.versions import ENGINE_BUILT, ENGINE_OFFICIAL, GO_MINIMUM, parse

INSTALLER = "https://get.pulumi.com/install.sh"
PROBE_TIMEOUT_S = 4.0
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
PACKAGES_ABOUT = 1900
PROGRESS_EVERY_S = 10.0
GO_INSTALL = "https://go.dev/dl/ (or: sudo apt-get install -y golang-go, brew install go)"

SHIM = """\
#!/bin/sh
# The Python language host of the clone whose ./pulumiw or `pulumiw env` is in use.
: "${SLIPWAY_ROOT:?is not set: run ./pulumiw, or eval \\"$(./pulumiw env)\\"}"
exec "$SLIPWAY_ROOT/.venv/bin/python" "$SLIPWAY_ROOT/infra/engine/language_host.py" "$@"
"""


def install_engine(project: Project) -> Engine:
    """Install or build an engine, once for all clones.

    Raises:
        StopError: neither way is open here.
    """
    with exclusive(cache_folder() / "engine" / "install.lock", "another clone that installs the engine"):
        found = engine_for(project)
        if found is not None:
            return found
        if reachable():
            _official(project)
        if engine_for(project) is None:
            _build(project)
        installed = engine_for(project)
    if installed is None:
        raise StopError(f"the engine was installed into {cache_folder() / 'engine'} but does not run there")
    return installed


def reachable(timeout_s: float = PROBE_TIMEOUT_S) -> bool:
    """Whether the official installer can be fetched from here."""
    request = urllib.request.Request(INSTALLER, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310  a fixed https address
            return True
    except (OSError, urllib.error.URLError, ValueError):
        return False


def ensure_language_host(engine: Engine) -> None:
    """Put the project's language host beside an engine that was built without one."""
    shim = engine.path.parent / HOST_NAME
    if engine.official or (shim.exists() and shim.read_text() == SHIM):
        return
    draft = shim.with_suffix(f".{os.getpid()}")
    draft.write_text(SHIM)
    draft.chmod(0o755)
    draft.replace(shim)


def _official(project: Project) -> None:
    """The installer's whole folder (engine and language hosts). Failure is told, then building is tried."""
    target = cache_folder() / "engine" / ENGINE_OFFICIAL
    draft = target.with_name(f".{ENGINE_OFFICIAL}.{os.getpid()}")
    say(f"installing Pulumi {ENGINE_OFFICIAL} from {INSTALLER}")
    program = (
        "import sys; from semver import VersionInfo; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    ended = subprocess.run(
        [project.python, "-c", program, draft, ENGINE_OFFICIAL], capture_output=True, text=True, check=False
    )
    if ended.returncode == 0:
        shutil.rmtree(target, ignore_errors=True)
        draft.replace(target)
        return
    shutil.rmtree(draft, ignore_errors=True)
    say(f"the official installer failed, so the engine is built instead: {ended.stderr.strip().splitlines()[-1:]}")


def find_go() -> str | None:
    """A `go` command, also where its installer puts it."""
    return shutil.which("go") or shutil.which("/usr/local/go/bin/go")


def go_version(go: str) -> str:
    asked = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return asked.stdout.strip().removeprefix("go")


def _build(project: Project) -> None:
    go = find_go()
    if go is None or parse(go_version(go)) < GO_MINIMUM:
        wanted = ".".join(str(part) for part in GO_MINIMUM)
        raise StopError(
            f"Pulumi's installer ({INSTALLER}) cannot be reached from here, and building the engine needs Go {wanted} "
            f"or later, which is {'missing' if go is None else 'version ' + go_version(go)}. Install Go: {GO_INSTALL}"
        )
    target = built_engine()
    draft = target.parent / f".pulumi.{os.getpid()}"
    draft.parent.mkdir(parents=True, exist_ok=True)
    say(f"building Pulumi {ENGINE_BUILT} with {go} into {target} (once for this machine; 3 to 5 minutes on 2 cores)")
    flags = f"-s -w -X {VERSION_VARIABLE}={ENGINE_BUILT}"
    try:
        _watch_build(
            [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(draft), PACKAGE], project.engine_folder
        )
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _watch_build(command: list[str], folder: Path) -> None:
    started = said = time.monotonic()
    built = 0
    other: list[str] = []
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as build:
        for line in build.stderr or ():
            if line.startswith("go: downloading") or " " not in line.strip():
                built += " " not in line.strip()
            else:
                other.append(line)
            if time.monotonic() - said >= PROGRESS_EVERY_S:
                said = time.monotonic()
                step = f"{built} of about {PACKAGES_ABOUT} packages built" if built else line.strip()
                say(f"  {said - started:4.0f} s  {step}")
        ended = build.wait()
    if ended != 0:
        raise StopError(f"go build ended with status {ended} in {folder}:\n{''.join(other[-20:]).rstrip()}")
    say(f"engine built in {time.monotonic() - started:.0f} s")
