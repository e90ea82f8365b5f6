"""What is broken, and how it is seen: pods killed, the API server killed, the kubelet held; the store and the load.

Owns no cluster. Everything that a context manager here breaks is whole again when it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.engine.layout import StopError
from tests.cluster.node import binaries, configuration, processes
from tests.cluster.node.cluster import Cluster
from tests.cluster.node.layout import ADDRESS, NETNS, NODE
from tests.cluster.project import BUCKET, STORE_PORT, ClusterProject

HERE = Path(__file__).parent
RAY = "ray.io/node-type"


@dataclass(frozen=True)
class Store:
    """The environment's object store, which does what it is told."""

    process: subprocess.Popen[str]

    def tell(self, command: str) -> Any:
        """Send `stop`, `start`, `full`, `room`, `keys` or `digests`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def checkpoints(self) -> list[str]:
        """Return the checkpoints of training runs that lie in it."""
        return [key for key in self.tell("keys") if "/checkpoints/" in key and key.endswith("progress.json")]


@contextmanager
def object_store() -> Iterator[Store]:
    """Run the store at the node's own address, where pods reach it."""
    command = [sys.executable, str(HERE / "store.py"), ADDRESS, str(STORE_PORT), BUCKET]
    with subprocess.Popen(
        ["nsenter", f"--net={NETNS}", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "null\n", "the store did not start"
        try:
            yield Store(process)
        finally:
            process.stdin.close()


@dataclass
class Load:
    """What came of the requests, second by second."""

    seconds: list[dict[str, Any]] = field(default_factory=list)

    def since(self, moment: float) -> list[dict[str, Any]]:
        return [second for second in self.seconds if second["at"] > moment]

    def well_for(self, length: int, after: float) -> bool:
        """Tell whether the last seconds, all of them later than `after`, had answers and no failure."""
        last = self.since(after)[-length:]
        return len(last) == length and all(second["answered"] and not second["failed"] for second in last)

    def told(self, moment: float) -> str:
        """Say what came of the requests since a moment."""
        found = self.since(moment)
        bad = [second for second in found if second["failed"] or not second["answered"]]
        silent = sum(not second["answered"] for second in found)
        answered = sum(sum(second["answered"].values()) for second in found)
        failed: dict[str, int] = {}
        for second in found:
            for reason, count in second["failed"].items():
                failed[reason] = failed.get(reason, 0) + count
        if not bad:
            return f"{answered} answered, none failed"
        begin, end = bad[0]["at"] - moment, bad[-1]["at"] - moment
        return (
            f"{answered} answered, {sum(failed.values())} failed {failed}; trouble from {begin:.0f} s to {end:.0f} s "
            f"after the fault, {silent} s without any answer"
        )

    @property
    def versions(self) -> set[str]:
        """Return the versions that answered."""
        return {version for second in self.seconds for version in second["answered"]}


@contextmanager
def load(project: ClusterProject, clients: int = 4) -> Iterator[Load]:
    """Ask the model from some clients while the block runs."""
    address = project.objects("service", "--field-selector", "metadata.name=serving")[0]["spec"]["clusterIP"]
    command = [sys.executable, str(HERE / "watch.py"), f"http://{address}:8000", str(clients)]
    found = Load()
    with subprocess.Popen(
        ["nsenter", f"--net={NETNS}", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = process.stdout
        reader = threading.Thread(target=lambda: found.seconds.extend(json.loads(line) for line in lines))
        process.stdin.write(project.secret("serving-token", "token") + "\n")
        process.stdin.flush()
        reader.start()
        begin = time.time()
        try:
            until(lambda: found.well_for(3, begin), "the load reaches the model", 60)
            yield found
        finally:
            process.stdin.close()
            reader.join()


def pods(project: ClusterProject, **labels: str) -> list[dict[str, Any]]:
    """Return pods by their labels; `node_type` is Ray's own."""
    names = {"component": "app.kubernetes.io/component", "node_type": RAY}
    selector = ",".join(f"{names[key]}={value}" for key, value in labels.items())
    return project.objects("pods", "-l", selector)


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def kill(project: ClusterProject, pod: dict[str, Any]) -> float:
    """Kill a pod without a word, as the loss of it would be; return when."""
    assert project.cluster is not None
    moment = time.time()
    project.cluster.kubectl(
        "delete", "pod", pod["metadata"]["name"], "-n", project.namespace, "--grace-period=0", "--force", "--wait=false"
    )
    return moment


@contextmanager
def no_api_server(cluster: Cluster) -> Iterator[None]:
    """Kill the API server; when the block ends there is one again."""
    state = _state()
    entry = state.processes["kube-apiserver"]
    processes.end([entry], 10, signal.SIGKILL)
    assert not processes.alive(entry)
    try:
        yield
    finally:
        start_api_server(cluster)


def start_api_server(cluster: Cluster) -> None:
    """Start the node's API server as the node itself would, and wait until it is ready."""
    state, place = _state(), cluster.place
    assert place is not None
    built = {name: binaries.binary(place, name) for module in binaries.MODULES_BUILT for name in module.packages}
    command = configuration.commands(place, state.port, built)["kube-apiserver"]
    processes.start(state, "kube-apiserver", command, place.logs / "kube-apiserver.log")
    until(lambda: _answers(cluster, "get", "--raw", "/readyz") == "ok", "the API server is ready")


@contextmanager
def no_kubelet(cluster: Cluster) -> Iterator[None]:
    """Hold the kubelet, so that the node is lost to the control plane while its pods go on."""
    pid, _ = entry = _state().processes["kubelet"]
    assert processes.alive(entry)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def node_is(cluster: Cluster, status: str) -> bool:
    """Tell whether the node's condition Ready is `True`, `False` or `Unknown`."""
    query = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return _answers(cluster, "get", "node", NODE, "-o", query) == status


def _state() -> processes.State:
    state = processes.read()
    if state is None:
        pytest.skip("only the tests' own node may be broken: there is none")
    return state


def _answers(cluster: Cluster, *arguments: str) -> str | None:
    try:
        return cluster.kubectl(*arguments)
    except StopError:
        return None


def until(condition: Callable[[], bool], what: str, deadline_s: float = 120, every_s: float = 0.5) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(every_s)
