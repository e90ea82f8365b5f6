"""The node's binaries, built from the hash-pinned Go modules in `modules/`.

Owns the `bin` folder of the cluster cache: one folder a module, named by version and digest of go.mod and go.sum; it
appears whole or not at all. Nothing is downloaded but Go modules, and go.sum checks each of them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from infra.engine.dependencies import exclusive
from infra.engine.install import GO_INSTALL, PROGRESS_EVERY_S, find_go
from infra.engine.layout import StopError, say
from tests.cluster.node.layout import MODULES, Layout

FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
NICENESS = "10"
KUBERNETES = "k8s.io/kubernetes"
KUBERAY = "github.com/ray-project/kuberay/ray-operator"


@dataclass(frozen=True)
class Module:
    """One folder of `modules/`: the Go module that it pins, and the packages built of it, by binary."""

    name: str
    path: str
    packages: dict[str, str]

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    @property
    def version(self) -> str:
        found = re.search(rf"^(?:require )?\s*{re.escape(self.path)} (v\S+)$", self._go_mod(), re.MULTILINE)
        if found is None:
            raise StopError(f"{self.folder / 'go.mod'} does not require {self.path}: nothing pins what is built")
        return found[1]

    @property
    def digest(self) -> str:
        parts = (*(file.read_text() for file in sorted(self.folder.glob("*"))), *FLAGS)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    def _go_mod(self) -> str:
        return (self.folder / "go.mod").read_text()


_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
MODULES_BUILT = (
    Module("kubernetes", KUBERNETES, {name: f"{KUBERNETES}/cmd/{name}" for name in _KUBERNETES}),
    Module("coredns", "github.com/coredns/coredns", {"coredns": "."}),
    Module("kuberay", KUBERAY, {"manager": KUBERAY}),
    Module("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
    Module("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
)
"""The longest build first."""
BY_NAME = {module.name: module for module in MODULES_BUILT}


def version(name: str) -> str:
    """The pinned version of a module of `modules/`, such as `v1.35.3`."""
    return BY_NAME[name].version


def folder(place: Layout, module: Module) -> Path:
    return place.binaries / f"{module.name}-{module.version}-{module.digest}"


def binary(place: Layout, name: str) -> Path:
    """Where a built binary lies.

    Raises:
        StopError: it is not built yet.
    """
    module = next(module for module in MODULES_BUILT if name in module.packages)
    path = folder(place, module) / name
    if not path.exists():
        raise StopError(f"{path} is not built: run python -m tests.cluster.node build")
    return path


def missing(place: Layout) -> list[Module]:
    return [module for module in MODULES_BUILT if not folder(place, module).is_dir()]


def build_all(place: Layout) -> None:
    """Build what is missing, one module after the other; a second caller waits and finds the work done.

    Raises:
        StopError: Go is missing, or a build failed.
    """
    if not missing(place):
        return
    go = find_go()
    if go is None:
        raise StopError(f"building the node's binaries needs Go. Install it: {GO_INSTALL}")
    with exclusive(place.home / "build.lock", "another build of the node's binaries"):
        for module in missing(place):
            _build(go, module, folder(place, module))


def module_source(module: Module, path: str | None = None) -> Path:
    """The folder of the pinned module's source, downloaded and checked when it is not in Go's cache.

    `path` names a module that it requires, instead of its own.
    """
    wanted = path or module.path
    command = [find_go() or "go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", wanted]
    subprocess.run([command[0], "mod", "download", wanted], cwd=module.folder, check=True, capture_output=True)
    found = subprocess.run(command, cwd=module.folder, check=True, capture_output=True, text=True)
    return Path(found.stdout.strip())


def _build(go: str, module: Module, target: Path) -> None:
    say(f"building {', '.join(module.packages)} {module.version}")
    started = time.monotonic()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    nice = ["nice", "-n", NICENESS] if shutil.which("nice") else []
    packages = list(module.packages.values())
    out = f"{draft}/" if len(packages) > 1 else str(draft / next(iter(module.packages)))
    try:
        _watch([*nice, go, "build", "-v", *FLAGS, "-o", out, *packages], module.folder)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"built {module.name} {module.version} in {time.monotonic() - started:.0f} s")


def _watch(command: list[str], where: Path) -> None:
    """Run a verbose build; tell every few seconds how far it is, and keep what is neither progress nor download."""
    started = said = time.monotonic()
    packages = downloads = 0
    other: list[str] = []
    environment = os.environ | {"CGO_ENABLED": "0"}
    with subprocess.Popen(command, cwd=where, env=environment, stderr=subprocess.PIPE, text=True) as build:
        for line in build.stderr or ():
            if line.startswith("go: downloading"):
                downloads += 1
            elif " " not in line.strip():
                packages += 1
            else:
                other.append(line)
            if time.monotonic() - said >= PROGRESS_EVERY_S:
                said = time.monotonic()
                say(f"  {said - started:4.0f} s  {downloads} modules downloaded, {packages} packages built")
        ended = build.wait()
    if ended != 0:
        raise StopError(f"go build ended with status {ended} in {where}:\n{''.join(other[-20:]).rstrip()}")
