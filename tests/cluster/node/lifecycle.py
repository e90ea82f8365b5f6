"""Bringing the node up, taking it down, and saying how it is.

Owns the order of things and the two locks: one a change of the node, one shared by whoever uses it. A node that was
half made or half taken down is removed before another is made; its images are kept.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import socket as sockets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.engine.dependencies import exclusive
from infra.engine.layout import StopError, say
from tests.cluster.node import binaries, configuration, containerd, ground, images, machine, processes, volumes
from tests.cluster.node.kubectl import kubectl, resolver
from tests.cluster.node.layout import ADDRESS, DOMAIN, NAME, NETNS, NODE, RUN, Layout, fingerprint, socket
from tests.cluster.node.processes import State

LOCK = Path("/run/slipway-node.lock")
USERS = Path("/run/slipway-node.users")
PORT = 16443
"""The API server's, where it is free."""
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.1
FORWARDER = Path(__file__).with_name("forward.py")
FIRST = ("etcd", "containerd", "kube-apiserver")
SHIMS_FOLDER = Path("/run/containerd/s")
CNI_RESULTS = Path("/var/lib/cni/results")
LOG_LINKS = Path("/var/log/containers")


class UnfitError(StopError):
    """This machine cannot hold a node."""


class InUseError(StopError):
    """Tests use the node."""


class Phases:
    """Says how long each part took."""

    def __init__(self) -> None:
        self.started = self.began = time.monotonic()

    def done(self, what: str) -> None:
        now = time.monotonic()
        say(f"{now - self.started:6.1f} s  {what}")
        self.started = now

    @property
    def total(self) -> float:
        return time.monotonic() - self.began


def build(place: Layout) -> None:
    """Everything that takes minutes the first time and is kept: packages, binaries, images."""
    phases = Phases()
    machine.install_packages()
    phases.done("Debian packages")
    binaries.build_all(place)
    phases.done("binaries")
    for key in images.RECIPES:
        images.ensure(place, key)
    phases.done("images")


def up(place: Layout, *, transient: bool = False) -> bool:
    """Bring the node up; True when this call did, False when one that fits was there.

    Args:
        place: where it keeps its files.
        transient: it goes when the last tests that use it end.

    Raises:
        UnfitError: this machine cannot hold a node.
        StopError: something failed, or somebody uses a node of other code.
    """
    if healthy(processes.read()):
        return False
    reason = machine.obstacle(place)
    if reason is not None:
        raise UnfitError(reason)
    build(place)
    with exclusive(LOCK, "another start or stop of the node"):
        if healthy(processes.read()):
            return False
        with _unused():
            _remove()
            _make(place, transient=transient)
    return True


def down() -> None:
    """Take the node down; nothing is left but its images.

    Raises:
        StopError: somebody uses it.
    """
    with exclusive(LOCK, "another start or stop of the node"), _unused():
        _remove()


def down_after_tests() -> None:
    """Take a node down that tests made, unless others use it: the last of them does."""
    with exclusive(LOCK, "another start or stop of the node"):
        state = processes.read()
        if state is not None and state.transient:
            with suppress(InUseError), _unused():
                _remove()


def healthy(state: State | None) -> bool:
    """Whether the node of this very code is up, all daemons alive."""
    if state is None or not state.ready or state.fingerprint != fingerprint():
        return False
    return all(processes.alive(entry) for entry in state.processes.values())


@contextmanager
def using() -> Iterator[None]:
    """While this is held, nobody takes the node down."""
    with USERS.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


@contextmanager
def _unused() -> Iterator[None]:
    with USERS.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"tests of this or another checkout use the node: wait for them (`lslocks | grep {USERS}` names them)"
            ) from None
        yield


def _make(place: Layout, *, transient: bool) -> None:
    phases = Phases()
    state = State(fingerprint(), str(place.home), _port(), transient=transient, sysctls=ground.read_sysctls())
    state.write()
    shutil.rmtree(place.logs, ignore_errors=True)
    place.node.mkdir(parents=True, exist_ok=True)
    ground.make_namespace()
    ground.make_cgroup()
    configuration.write(place, state.port)
    resolver().write_text(f"nameserver {ADDRESS}\nsearch {DOMAIN}\n")
    phases.done("namespace, certificates, configuration")
    built = {name: binaries.binary(place, name) for module in binaries.MODULES_BUILT for name in module.packages}
    commands = configuration.commands(place, state.port, built)
    for name in FIRST:
        processes.start(state, name, commands[name], place.logs / f"{name}.log")
    forwarder = [sys.executable, str(FORWARDER), str(state.port), str(NETNS)]
    processes.start(state, "forwarder", forwarder, place.logs / "forwarder.log", in_node=False)
    _until(state, place, "containerd answers", lambda: socket().exists() and bool(containerd.ctr("version")))
    containerd.remove_containers()
    containerd.load(images.ensure(place, "pause").archive)
    phases.done("containerd")
    _until(state, place, "the API server is ready", lambda: kubectl("get", "--raw", "/readyz") == "ok")
    phases.done("etcd, API server")
    for name, command in commands.items():
        if name not in FIRST:
            processes.start(state, name, command, place.logs / f"{name}.log")
    for key in images.RECIPES:
        containerd.load(images.ensure(place, key).archive)
    phases.done("images loaded")
    _until(state, place, f"{NODE} is registered", lambda: NODE in kubectl("get", "nodes", "-o", "name"))
    kubectl("wait", "--for=condition=Ready", f"node/{NODE}", f"--timeout={START_TIMEOUT_S:.0f}s")
    _until(state, place, "service accounts", lambda: bool(kubectl("get", "serviceaccount", "default", "-o", "name")))
    volumes.replenish(place)
    state.ready = True
    state.write()
    phases.done("node ready, storage class and volumes")
    say(f"the node is up after {phases.total:.1f} s: KUBECONFIG={place.kubeconfig}")


def _until(state: State, place: Layout, what: str, check: Callable[[], bool]) -> None:
    """Wait until a check is true; a daemon that ended meanwhile is named with the end of its log."""
    deadline = time.monotonic() + START_TIMEOUT_S
    failure = ""
    while time.monotonic() < deadline:
        try:
            if check():
                return
        except StopError as error:
            failure = str(error)
        for name, entry in state.processes.items():
            if not processes.alive(entry):
                raise StopError(f"{name} ended while waiting until {what}:\n{log_end(place, name)}")
        time.sleep(POLL_S)
    raise StopError(f"gave up after {START_TIMEOUT_S:.0f} s waiting until {what}: {failure}; logs: {place.logs}")


def log_end(place: Layout, name: str, lines: int = 15) -> str:
    """The last lines of a daemon's log."""
    try:
        return "\n".join((place.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


def _port() -> int:
    """A port of loopback that is free outside the namespace; the API server uses the same inside."""
    for wanted in (PORT, 0):
        with sockets.socket() as probe:
            probe.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StopError("no port of 127.0.0.1 is free")


def _remove() -> None:
    """Remove whatever there is of a node, whoever made it and however far that came."""
    state = processes.read()
    if state is None and not NETNS.exists() and not RUN.exists():
        return
    phases = Phases()
    if state is not None:
        others = [name for name in state.processes if name not in FIRST]
        processes.stop(state, reversed(others), STOP_TIMEOUT_S, signal.SIGKILL)
        ground.restore_sysctls(state.sysctls)
    processes.end(ground.cgroup_processes(), STOP_TIMEOUT_S, signal.SIGKILL)
    left_behind = containerd.shim_sockets()
    if state is not None:
        if "containerd" in state.processes and processes.alive(state.processes["containerd"]):
            try:
                containerd.remove_containers()
            except StopError as error:
                say(f"containers are left in containerd's record, which the next start removes: {error}")
        # what etcd holds is wiped, so neither it nor the API server has anything to finish
        processes.stop(state, ("kube-apiserver", "etcd"), STOP_TIMEOUT_S, signal.SIGKILL)
        processes.stop(state, ("containerd",), STOP_TIMEOUT_S)
    processes.end(processes.in_namespace(), STOP_TIMEOUT_S, signal.SIGKILL)
    processes.end(ground.cgroup_processes(), STOP_TIMEOUT_S, signal.SIGKILL)
    home = Path(state.home) if state is not None else None
    _remove_files([RUN, *([home / "node"] if home else [])], left_behind)
    ground.remove_namespace()
    ground.remove_cgroup()
    processes.STATE.unlink(missing_ok=True)
    shutil.rmtree(RUN, ignore_errors=True)
    phases.done("the node is down")


def _remove_files(folders: list[Path], sockets_left: list[Path]) -> None:
    ground.unmount_below(*folders)
    for path in sockets_left:
        if path.is_relative_to(SHIMS_FOLDER):
            path.unlink(missing_ok=True)
    for result in CNI_RESULTS.glob(f"{NAME}-*-eth0"):
        container = result.name.removeprefix(f"{NAME}-").removesuffix("-eth0")
        (CNI_RESULTS / f"cni-loopback-{container}-lo").unlink(missing_ok=True)
        result.unlink(missing_ok=True)
    for link in LOG_LINKS.glob("*.log"):
        if link.is_symlink() and any(link.readlink().is_relative_to(folder) for folder in folders):
            link.unlink()
    for folder in folders:
        for entry in folder.iterdir() if folder.is_dir() else ():
            # the record goes last: until then a killed removal can be repeated; logs are for whoever asks why
            if entry != processes.STATE and entry.name != "logs":
                _delete(entry)


def _delete(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
