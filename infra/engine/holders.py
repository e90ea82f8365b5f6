"""Who listens on a port: for the doctor's table.

Owns the reading of /proc for that. It asks about loopback and the wildcard address, where a clash would come from.
"""

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.engine.layout import Project

DEV_PORTS = {"slipway:tracking.port": 5000, "slipway:ray.dashboard_port": 8265, "slipway:serving.port": 8000}
LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp."""


@dataclass(frozen=True)
class Holder:
    """What was found at a port. `allowed`: nobody, or this project's own environment."""

    allowed: bool
    text: str

    def __str__(self) -> str:
        return self.text


def dev_ports(project: Project) -> dict[str, int]:
    """Config key -> port of the stack `dev`: those of its file where a YAML parser is installed, else the defaults."""
    for packages in (project.venv / "lib").glob("python3.*/site-packages"):
        sys.path.append(str(packages))
    try:
        import yaml  # noqa: PLC0415  only there once dependencies are installed
    except ImportError:
        return DEV_PORTS
    file = project.stack_file("dev")
    config = (yaml.safe_load(file.read_text()) or {}).get("config", {}) if file.exists() else {}
    return {key: _port_of(config, key) for key in DEV_PORTS}


def _port_of(config: dict[str, object], key: str) -> int:
    section, _, name = key.partition(".")
    settings = config.get(section)
    port = settings.get(name) if isinstance(settings, dict) else None
    return port if isinstance(port, int) else DEV_PORTS[key]


def holder_of(project: Project, port: int) -> Holder:
    """Who listens on the port, if anybody."""
    inodes = set(_listening(port))
    if not inodes and _can_bind(port):
        return Holder(allowed=True, text="free")
    for pid in _owners(inodes):
        session = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[3])
        command = (
            (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
        if {pid, session} & set(_own_leaders(project)):
            return Holder(allowed=True, text=f"held by this project's environment (pid {pid})")
        return Holder(allowed=False, text=f"held by pid {pid}: {command[:80]}")
    return Holder(allowed=False, text="held by another user's process")


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on the port."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _owners(inodes: set[str]) -> Iterator[int]:
    """Processes that hold one of the sockets, as far as this user may look."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(PermissionError, FileNotFoundError):  # another user's process, or gone
            if any(_target(link) in wanted for link in folder.iterdir()):
                yield int(folder.parent.name)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""  # closed while we looked


def _own_leaders(project: Project) -> Iterator[int]:
    """Pids that this project's environments have recorded; every process of theirs is in the session of one."""
    for record in project.generated.glob("*/state/records/*.json"):
        try:
            pid = json.loads(record.read_text()).get("pid")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(pid, int):
            yield pid
