"""What tests get: a cluster that was given, or the node of this machine, behind the same few methods.

Owns nothing of a given cluster. Images that no registry gives come by digest reference: from the node's store, or, on a
given cluster, from the environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.engine.layout import StopError
from tests.cluster.node import containerd, gpus, images, kuberay, lifecycle, processes, volumes
from tests.cluster.node import kubectl as inside
from tests.cluster.node.layout import CONTEXT, STORAGE_CLASS, Layout

GIVEN = "SLIPWAY_TEST_KUBECONFIG"
GIVEN_CONTEXT = "SLIPWAY_TEST_CONTEXT"
GIVEN_STORAGE_CLASS = "SLIPWAY_TEST_STORAGE_CLASS"
GIVEN_IMAGE = "SLIPWAY_TEST_IMAGE_"
KEEP = "SLIPWAY_TEST_KEEP_NODE"
ATTEMPTS = 3


class UnavailableError(Exception):
    """A cluster, or something of it, cannot be had here; the text is the reason of a skip."""


@dataclass(frozen=True)
class Cluster:
    """A cluster for tests. `place` is the node's layout, None on a cluster that was given."""

    kubeconfig: Path
    context: str
    storage_class: str | None
    place: Layout | None = None

    @property
    def env(self) -> dict[str, str]:
        """What a program needs in its environment to find the cluster."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        resolve: bool = False,
        timeout_s: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where it reaches the cluster; `resolve` gives it cluster DNS as well.

        On the node that is inside its network namespace: Services and pods are reachable by address. On a given cluster
        it is just here, and Services are reached by port-forward.
        """
        environment = self.env | dict(env or {})
        if self.place is not None:
            wrapped = inside.resolving(command) if resolve else command
            return inside.in_node(wrapped, env=environment, stdin=stdin, timeout_s=timeout_s)
        if resolve:
            raise UnavailableError("names of Services are resolved only on the tests' own node")
        return subprocess.run(
            command,
            env=os.environ | environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 300) -> str:
        """What kubectl printed; raises StopError with its message when it failed."""
        if self.place is not None:
            return inside.kubectl(*arguments, stdin=stdin, timeout_s=timeout_s)
        program = shutil.which("kubectl")
        if program is None:
            raise UnavailableError(f"tests on a cluster given by {GIVEN} need kubectl on PATH")
        ended = self.run([program, "--context", self.context, *arguments], stdin=stdin, timeout_s=timeout_s)
        if ended.returncode != 0:
            raise StopError(f"`kubectl {' '.join(arguments)}` failed: {ended.stderr.strip()}")
        return ended.stdout

    def image(self, key: str) -> str:
        """The digest reference of `toolbox`, `operator` or `postgres`, which the cluster can start."""
        if self.place is not None:
            return images.ensure(self.place, key).reference
        given = os.environ.get(GIVEN_IMAGE + key.upper())
        if given is None:
            raise UnavailableError(f"a given cluster needs {GIVEN_IMAGE}{key.upper()}=REPOSITORY@sha256:DIGEST")
        return given

    def load(self, archive: Path) -> str:
        """Put an image archive on the node and return the digest reference for pods."""
        if self.place is None:
            raise UnavailableError("an archive can be loaded only into the tests' own node: push it to a registry")
        return containerd.load(archive)

    def replenish_volumes(self) -> None:
        """Have empty volumes at hand behind `storage_class`; a given cluster makes its own."""
        if self.place is not None:
            volumes.replenish(self.place)

    def install_kuberay(self) -> None:
        """Have the CRDs and the operator, for `operators: external`; a given cluster has its own."""
        if self.place is not None:
            kuberay.install(self.place)

    def uninstall_kuberay(self) -> None:
        """Remove what `install_kuberay` made."""
        if self.place is not None:
            kuberay.uninstall()

    def install_gateway_api(self) -> None:
        """Have the Gateway API's definitions; a given cluster has its own."""
        if self.place is not None:
            kuberay.install_gateway_api()

    def uninstall_gateway_api(self) -> None:
        """Remove what `install_gateway_api` made."""
        if self.place is not None:
            kuberay.uninstall_gateway_api()

    def add_gpu_nodes(
        self,
        names: Sequence[str],
        *,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Mapping[str, str]] = (),
        capacity: Mapping[str, str] | None = None,
    ) -> None:
        """Nodes that KWOK plays; see `gpus.add_nodes`."""
        if self.place is None:
            raise UnavailableError("nodes are played by KWOK only beside the tests' own node")
        gpus.add_nodes(self.place, names, labels=labels, taints=taints, capacity=capacity)

    def remove_gpu_nodes(self, names: Sequence[str] = ()) -> None:
        """Remove these, or all that KWOK plays."""
        gpus.remove_nodes(names)


@contextmanager
def cluster_for_tests(place: Layout) -> Iterator[Cluster]:
    """The given cluster, else this machine's node: one that is up is used and left, else it is made and taken down.

    Raises:
        UnavailableError: neither is to be had here.
    """
    given = os.environ.get(GIVEN)
    if given:
        yield _given(Path(given))
        return
    for _ in range(ATTEMPTS):
        try:
            lifecycle.up(place, transient=True)
        except lifecycle.UnfitError as error:
            raise UnavailableError(str(error)) from error
        with lifecycle.using():
            if lifecycle.healthy(processes.read()):
                yield Cluster(place.kubeconfig, CONTEXT, STORAGE_CLASS, place)
                break
    else:
        raise StopError(f"the node was taken down {ATTEMPTS} times before it could be used")
    if not os.environ.get(KEEP):
        lifecycle.down_after_tests()


def _given(kubeconfig: Path) -> Cluster:
    if not kubeconfig.exists():
        raise StopError(f"{GIVEN} names {kubeconfig}, which does not exist")
    context = os.environ.get(GIVEN_CONTEXT)
    if not context:
        raise StopError(f"{GIVEN} needs {GIVEN_CONTEXT} beside it: tests never use whatever context is current")
    return Cluster(kubeconfig, context, os.environ.get(GIVEN_STORAGE_CLASS))
