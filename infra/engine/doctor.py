"""`pulumiw doctor`: what this machine must have, each with the command that gets it.

Owns the list of needs and the verdict. How a port's holder is found is holders.py's affair. It changes nothing.
"""

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.engine.dependencies import is_ready
from infra.engine.find import engine_for
from infra.engine.holders import dev_ports, holder_of
from infra.engine.install import GO_INSTALL, INSTALLER, find_go, go_version, reachable
from infra.engine.layout import Project, StopError, cache_folder, say
from infra.engine.versions import ENGINE_BUILT, GO_MINIMUM, PYTHON_MINIMUM, parse

GIB = 1024**3
ENVIRONMENT_GIB = 2.0
"""Memory of a whole local environment at rest."""
OBJECT_STORE_GIB = 0.15
INSTALL_GIB = 6.0
"""The virtualenv (1.9), uv's cache of it, and the modules and build cache of an engine that is built (3)."""
RUN_GIB = 1.0

INSTALL_COMMANDS = {
    "apt-get": "sudo apt-get install -y {}",
    "dnf": "sudo dnf install -y {}",
    "pacman": "sudo pacman -S --noconfirm {}",
    "zypper": "sudo zypper install -y {}",
    "brew": "brew install {}",
}


@dataclass(frozen=True)
class Finding:
    """One need: met or not, what was seen, and the command that meets it."""

    name: str
    met: bool
    seen: str
    fix: str = ""


def main(project: Project, arguments: list[str]) -> int:
    """`pulumiw doctor [--json | --unmet]`: 0 when every need is met, else 1; with --unmet always 0."""
    unknown = [argument for argument in arguments if argument not in ("--json", "--unmet")]
    if unknown:
        raise StopError(f"doctor does not know {' '.join(unknown)}: its flags are --json and --unmet", status=2)
    if "--unmet" in arguments:
        return _tell_unmet(project)
    findings = examine(project)
    if "--json" in arguments:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print(table(findings), end="")
    return 0 if all(finding.met for finding in findings) else 1


def _tell_unmet(project: Project) -> int:
    """Name what is missing before `make up` begins; whatever it cannot do without stops it later, by the same words.

    Ports are left out: `up` names the holder of one that it needs.
    """
    unmet = [finding for finding in needs(project) if not finding.met]
    if unmet:
        say("this machine lacks what an environment needs\n" + table(unmet).rstrip())
    return 0


def examine(project: Project) -> list[Finding]:
    """Every need, in the order in which `make up` meets them."""
    return [*needs(project), *_ports(project)]


def needs(project: Project) -> list[Finding]:
    """The needs of any environment, whatever its ports."""
    return [_command("git"), _command("make"), *to_install(project), _memory(), _shared_memory()]


def to_install(project: Project) -> list[Finding]:
    """The needs without which `setup` would fail half way."""
    return [_python(), _venv(), _engine(project), _disk(project)]


def require(project: Project) -> None:
    """Stop before anything is installed when that is bound to fail.

    Raises:
        StopError: names every unmet need with its fix.
    """
    unmet = [finding for finding in to_install(project) if not finding.met]
    if unmet:
        raise StopError("this machine lacks what setup needs (all needs: ./pulumiw doctor)\n" + table(unmet).rstrip())


def table(findings: list[Finding]) -> str:
    """One line a finding, and under each unmet one its fix."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{'ok' if finding.met else 'MISSING':8}{finding.name:{width}}  {finding.seen}")
        if not finding.met:
            lines.append(f"{'':8}{'':{width}}  -> {finding.fix}")
    return "\n".join(lines) + "\n"


def _packaged(package: str) -> str:
    """The command of this machine's package manager that installs `package`."""
    manager = next((name for name in INSTALL_COMMANDS if shutil.which(name)), None)
    return INSTALL_COMMANDS[manager].format(package) if manager else f"install {package} with your package manager"


def _command(name: str) -> Finding:
    found = shutil.which(name)
    return Finding(name, found is not None, found or "not on PATH", _packaged(name))


def _python() -> Finding:
    wanted = ".".join(str(part) for part in PYTHON_MINIMUM)
    seen = f"{sys.version.split()[0]} at {sys.executable}"
    return Finding("python", sys.version_info >= PYTHON_MINIMUM, seen, f"install Python {wanted} or later")


def _venv() -> Finding:
    uv = shutil.which("uv")
    met = uv is not None or importlib.util.find_spec("ensurepip") is not None
    return Finding(
        "python venv",
        met,
        uv or ("the venv module" if met else "neither uv nor the venv module"),
        _packaged("python3-venv"),
    )


def _engine(project: Project) -> Finding:
    name = "pulumi engine"
    found = engine_for(project)
    if found is not None:
        return Finding(name, met=True, seen=f"{found.version} at {found.path}")
    if reachable():
        return Finding(name, met=True, seen=f"will be installed from {INSTALLER}")
    go = find_go()
    if go is not None and parse(go_version(go)) >= GO_MINIMUM:
        return Finding(name, met=True, seen=f"will be built ({ENGINE_BUILT}) with Go {go_version(go)} at {go}")
    seen = f"none, {INSTALLER} cannot be reached, and Go is {'missing' if go is None else 'version ' + go_version(go)}"
    return Finding(name, met=False, seen=seen, fix=f"connect to the internet, or install Go: {GO_INSTALL}")


def _disk(project: Project) -> Finding:
    wanted = RUN_GIB if is_ready(project, dev=False) and engine_for(project) else INSTALL_GIB
    places = {place.stat().st_dev: place for place in (_existing(cache_folder()), project.root)}
    free, place = min((shutil.disk_usage(place).free / GIB, str(place)) for place in places.values())
    seen = f"{free:.1f} GiB free at {place} ({wanted:.0f} needed)"
    return Finding("disk", free >= wanted, seen, f"free space there: du -xhd1 {place} | sort -h")


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024 / GIB
    except (OSError, StopIteration):  # not Linux: what is installed is all that can be asked
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    seen = f"{free:.1f} GiB available ({ENVIRONMENT_GIB:.0f} needed)"
    return Finding("memory", free >= ENVIRONMENT_GIB, seen, "stop what uses it: ps aux --sort=-rss | head")


def _shared_memory() -> Finding:
    name = "/dev/shm"  # noqa: S108  Ray's object store lies there, nothing is written here
    place = Path(name)
    if not place.exists():
        return Finding(
            name, met=sys.platform != "linux", seen="not there", fix="mount -t tmpfs -o size=1g tmpfs /dev/shm"
        )
    free = shutil.disk_usage(place).free / GIB
    met = free >= OBJECT_STORE_GIB and os.access(place, os.W_OK)
    fix = "sudo mount -o remount,size=1g /dev/shm (a container: docker run --shm-size=1g)"
    return Finding(name, met, f"{free:.1f} GiB free ({OBJECT_STORE_GIB} needed)", fix)


def _ports(project: Project) -> Iterator[Finding]:
    for key, port in dev_ports(project).items():
        holder = holder_of(project, port)
        fix = f"stop that process, or give {key} another port in Pulumi.dev.yaml"
        yield Finding(f"port {port}", holder.allowed, f"{holder} ({key})", fix)
