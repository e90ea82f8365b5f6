"""Names, addresses and folders of the node. There is one node a machine, shared by all checkouts on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from infra.engine.layout import cache_folder

DAEMONS_TOLD = ("configuration.py", "ground.py", "layout.py")
MODULES = Path(__file__).parent / "modules"
NAME = "slipway-node"
CONTEXT = NAME
NETNS = Path("/run/netns") / NAME
NODE = "node1"
ADDRESS = "172.30.0.1"
"""The node's own: an address of a veth pair inside the namespace. Cluster DNS listens there as well."""
AUTHENTICATOR_PORT = 16444
"""On loopback inside the namespace: whom the API server asks about tokens that it does not know. Nobody listens there
but a test that has an authenticator."""
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/24"
KWOK_PODS = "10.245.0.0/16"
DOMAIN = "cluster.local"
STORAGE_CLASS = "slipway-test"
RUN = Path("/run") / NAME
"""Sockets and the record of what runs: short paths, and gone after a reboot like the processes."""


@dataclass(frozen=True)
class Layout:
    """Where the node keeps what outlives a run (`home`) and what does not (`home/node`)."""

    home: Path

    @property
    def binaries(self) -> Path:
        return self.home / "bin"

    @property
    def images(self) -> Path:
        return self.home / "images"

    @property
    def store(self) -> Path:
        """containerd's content and snapshots: kept, since importing images is half of a cold start."""
        return self.home / "containerd"

    @property
    def node(self) -> Path:
        """Everything of one run: configuration, logs, etcd, the kubelet's folder, volumes."""
        return self.home / "node"

    @property
    def logs(self) -> Path:
        return self.node / "logs"

    @property
    def kubeconfig(self) -> Path:
        return self.node / "kubeconfig"

    @property
    def volumes(self) -> Path:
        return self.node / "volumes"


def layout() -> Layout:
    """The layout under today's cache folder."""
    return Layout(cache_folder().resolve() / "cluster")


def socket() -> Path:
    """containerd's socket."""
    return RUN / "containerd.sock"


def fingerprint() -> str:
    """Digest of the pins and of what the daemons are told: two checkouts with the same one share a running node."""
    files = sorted([*MODULES.glob("*/*"), *(Path(__file__).with_name(name) for name in DAEMONS_TOLD)])
    named = b"".join(file.name.encode() + b"\0" + file.read_bytes() for file in files)
    return hashlib.sha256(named).hexdigest()[:16]
