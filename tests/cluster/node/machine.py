"""Whether this machine can hold a node, and the Debian packages that it needs for it.

Owns the reason why not: one sentence that names what is missing and the command that helps.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.engine.install import GO_INSTALL, find_go
from infra.engine.layout import StopError, say
from tests.cluster.node import binaries
from tests.cluster.node.layout import Layout

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "gcc": "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
}
"""What is looked for, and the package that has it."""
MEMORY_NEEDED = 6 << 30
DISK_NEEDED = 20 << 30


def packages_missing() -> list[str]:
    return [package for wanted, package in PACKAGES.items() if not _found(wanted)]


def obstacle(place: Layout) -> str | None:
    """Why a node cannot be brought up here; None when it can."""
    if sys.platform != "linux":
        return f"a node needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a node needs root (network namespaces, mounts, cgroups): run as root, or give SLIPWAY_TEST_KUBECONFIG"
    lacking = packages_missing()
    if lacking and shutil.which("apt-get") is None:
        return f"a node needs the Debian packages {' '.join(lacking)}, and this machine has no apt-get"
    if binaries.missing(place) and find_go() is None:
        return f"the node's binaries are built with Go, which is missing: {GO_INSTALL}"
    memory = _available_memory()
    if memory < MEMORY_NEEDED:
        return f"a node with Ray needs {MEMORY_NEEDED >> 30} GiB of free memory, and this machine has {memory >> 30}"
    return _folder_obstacle(place)


def install_packages() -> None:
    """Install what is missing.

    Raises:
        StopError: apt-get failed.
    """
    lacking = packages_missing()
    if not lacking:
        return
    say(f"installing Debian packages: {' '.join(lacking)}")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "--no-install-recommends", "-y", *lacking],
    ):
        ended = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise StopError(
                f"`{' '.join(command)}` ended with status {ended.returncode}: {ended.stderr[-1000:].strip()}\n"
                f"Install them by hand: apt-get update && apt-get install -y {' '.join(lacking)}"
            )


def _folder_obstacle(place: Layout) -> str | None:
    place.home.mkdir(parents=True, exist_ok=True)
    kind, point = "", Path()
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, filesystem, *_ = line.split()
        if place.home.is_relative_to(mounted) and len(Path(mounted).parts) >= len(point.parts):
            kind, point = filesystem, Path(mounted)
    if kind in ("overlay", "tmpfs", "nfs", "nfs4"):
        return (
            f"containerd keeps its images in {place.home}, which is on {kind}: set SLIPWAY_CACHE to a folder on a "
            "disk's own filesystem"
        )
    free = shutil.disk_usage(place.home).free
    if free < DISK_NEEDED:
        return f"a node needs {DISK_NEEDED >> 30} GiB of disk in {place.home}, where {free >> 30} are free"
    return None


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def _found(wanted: str) -> bool:
    return Path(wanted).exists() if wanted.startswith("/") else shutil.which(wanted) is not None
