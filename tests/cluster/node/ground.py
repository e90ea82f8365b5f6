"""What the node stands on: its network namespace, its cgroup, and kernel settings that the kubelet rewrites.

Owns the namespace and the cgroup `slipway-node` and everything mounted under the node's folders. The machine's own
interfaces, rules and cgroups stay as they are.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from infra.engine.layout import StopError
from tests.cluster.node import processes
from tests.cluster.node.layout import ADDRESS, NAME, NETNS

SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What the kubelet sets for the whole machine, whoever asked."""
CGROUP_ROOT = Path("/sys/fs/cgroup")
WEIGHT = {"cpu.shares": "8192", "cpu.weight": "800"}
"""Of all pods together, eight times that of one process: by default a busy machine starves the whole node."""


def run(*command: str) -> None:
    """A command that must succeed.

    Raises:
        StopError: it did not; with what it said.
    """
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise StopError(f"`{' '.join(command)}` ended with status {ended.returncode}: {ended.stderr.strip()}")


def make_namespace() -> None:
    """The namespace with loopback, an address of its own and a default route that leads nowhere."""
    run("ip", "netns", "add", NAME)
    inside = ("nsenter", f"--net={NETNS}")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "link", "add", "node0", "type", "veth", "peer", "name", "node0p")
    for link in ("node0", "node0p"):
        run(*inside, "ip", "link", "set", link, "up")
    run(*inside, "ip", "addr", "add", f"{ADDRESS}/24", "dev", "node0")
    run(*inside, "ip", "route", "add", "default", "dev", "node0")
    run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def remove_namespace() -> None:
    if NETNS.exists():
        run("ip", "netns", "delete", NAME)


def read_sysctls() -> dict[str, str]:
    return {name: path.read_text().strip() for name in SYSCTLS if (path := _sysctl(name)).exists()}


def restore_sysctls(saved: dict[str, str]) -> None:
    for name, value in saved.items():
        path = _sysctl(name)
        if path.read_text().strip() != value:
            path.write_text(value)


def make_cgroup() -> None:
    """The cgroup under which the kubelet puts all pods, in every hierarchy."""
    for folder in _cgroups():
        folder.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # cgroup v1: empty until set, and then nothing may run in it
            if (folder / file).exists() and not (folder / file).read_text().strip():
                (folder / file).write_text((folder.parent / file).read_text())
        for file, weight in WEIGHT.items():
            if (folder / file).exists():
                (folder / file).write_text(weight)


def cgroup_processes() -> list[tuple[int, int]]:
    """Processes of pods, by start time as well."""
    pids = {int(pid) for root in _cgroups() for file in root.rglob("cgroup.procs") for pid in _lines(file)}
    return [(pid, started) for pid in pids if (started := processes.start_time(pid)) is not None]


def remove_cgroup(timeout_s: float = 5.0) -> None:
    """Remove the cgroup and all below it. The kernel may need a moment after the last process."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = [
            folder for root in _cgroups() if root.is_dir() for folder in _deepest_first(root) if not _removed(folder)
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            raise StopError(f"cgroup {left[0]} cannot be removed: processes are left in it")
        time.sleep(processes.POLL_S)


def unmount_below(*roots: Path) -> None:
    """Lazily unmount everything under these folders, the deepest first."""
    points = [line.split()[4].replace("\\040", " ") for line in _lines(Path("/proc/self/mountinfo"))]
    for point in sorted(points, key=len, reverse=True):
        if any(Path(point).is_relative_to(root) for root in roots):
            run("umount", "--lazy", point)


def mounts_below(*roots: Path) -> list[str]:
    points = [line.split()[4] for line in _lines(Path("/proc/self/mountinfo"))]
    return [point for point in points if any(Path(point).is_relative_to(root) for root in roots)]


def cgroups_left() -> list[Path]:
    return [folder for folder in _cgroups() if folder.exists()]


def _cgroups() -> list[Path]:
    """The node's cgroup in each hierarchy: one with cgroup v2, one a controller with v1."""
    if (CGROUP_ROOT / "cgroup.controllers").exists():
        return [CGROUP_ROOT / NAME]
    hierarchies = sorted({folder.resolve() for folder in CGROUP_ROOT.iterdir() if folder.is_dir()})
    return [folder / NAME for folder in hierarchies]


def _deepest_first(root: Path) -> Iterator[Path]:
    for child in root.iterdir():
        if child.is_dir():
            yield from _deepest_first(child)
    yield root


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name
