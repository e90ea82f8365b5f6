"""What many environments cost one API server: 500 nodes that KWOK plays, 100 environments as the program declares them.

    .venv/bin/python -m benchmarks.cluster [--nodes 500] [--environments 100] [--limit-s 240] [--rounds 5]

On the tests' own node (root, Linux; it is brought up when it is not).  Everything that the program declares for one
environment is applied by kubectl, namespace by namespace; its pods, Ray's among them, are sent to the played nodes by
a selector and a toleration that are added here.  There are KubeRay's definitions but no operator: heads that are only
reported to run never answer one.  Prints medians, and ratios to the same figures before; takes everything away again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from components.kubernetes.gpu_pools import GPU_RESOURCE
from components.seam import Place
from infra.kubernetes import demand
from infra.kubernetes.connection import Cluster as Connection
from infra.kubernetes.connection import connect
from infra.kubernetes.findings import Needs
from infra.kubernetes.preflight import examine
from stacks.config import load
from tests.cluster.node import processes
from tests.cluster.node.binaries import BY_NAME, module_source
from tests.cluster.node.cluster import Cluster, cluster_for_tests
from tests.cluster.node.kubectl import await_definitions
from tests.cluster.node.kuberay import CRDS
from tests.cluster.node.layout import layout
from tests.cluster.project import ClusterProject, environment_on
from tests.cluster.rendered import objects
from tests.programs.kubernetes_program import deployed, settings, templates
from tests.stacks.project import ROOT

NAME = "bench-000"
MARK = "slipway.test/bench"
TAINT = {"key": MARK, "value": "true", "effect": "NoSchedule"}
CLASS = "slipway-bench"
IMAGE = "localhost/none@sha256:" + "0" * 64
DAEMONS = ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
LEFT_OUT = ("HTTPRoute",)
"""The node has no Gateway API."""
LISTS = {
    "all nodes": "/api/v1/nodes",
    "all pods": "/api/v1/pods",
    "pods of one environment": f"/api/v1/namespaces/{NAME}/pods",
    "all RayJobs": "/apis/ray.io/v1/rayjobs",
}
MIB = 2**20
_PATIENCE_S = 900
"""Namespaces go a few at a time; a hundred took longer than seven minutes on a busy machine."""


@dataclass
class Figures:
    """What was measured, by name, before and with the load."""

    before: dict[str, list[float]] = field(default_factory=dict)
    after: dict[str, list[float]] = field(default_factory=dict)
    once: dict[str, str] = field(default_factory=dict)


def nodes(cluster: Cluster, count: int) -> float:
    """Make the nodes; returns the seconds until all are Ready."""
    begin = time.monotonic()
    names = [f"bench-node-{number:03d}" for number in range(count)]
    cluster.add_gpu_nodes(names, labels={MARK: "true"}, taints=[TAINT], capacity={GPU_RESOURCE: "4"})
    return time.monotonic() - begin


def manifests(count: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the namespace and the objects of each environment; the program runs once, names are put in."""
    os.environ["SLIPWAY_OFFLINE"] = "1"
    engine, _ = deployed(substrate={"namespace": NAME, "storage_class": CLASS})
    os.environ.pop("SLIPWAY_OFFLINE")
    declared = [item for item in objects(engine) if item["kind"] not in LEFT_OUT]
    for template in templates(declared):
        aside(template["spec"])
    text = json.dumps([*declared, *ray_pods(declared), *volumes(declared)])
    for number in range(count):
        name = f"bench-{number:03d}"
        yield name, json.loads(text.replace(NAME, name).replace("slipway-dev", name))


def aside(spec: dict[str, Any]) -> None:
    """Send a pod to the played nodes; what the program says of its place is kept."""
    spec["nodeSelector"] = {**spec.get("nodeSelector", {}), MARK: "true"}
    spec["tolerations"] = [*spec.get("tolerations", []), {"key": MARK, "operator": "Exists"}]


def ray_pods(declared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the pods that KubeRay would make of the training's and the service's cluster."""
    found = []
    for item in declared:
        spec = item.get("spec", {}).get("rayClusterSpec") or item.get("spec", {}).get("rayClusterConfig")
        if spec is None:
            continue
        wanted = [(spec["headGroupSpec"], 1), *((group, group["replicas"]) for group in spec["workerGroupSpecs"])]
        found += [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    **group["template"]["metadata"],
                    "name": f"{item['kind'].lower()}-{group.get('groupName', 'head')}-{number}",
                    "namespace": NAME,
                },
                "spec": group["template"]["spec"],
            }
            for group, count in wanted
            for number in range(count)
        ]
    return found


def volumes(declared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a volume for each claim: nothing provisions any here, and nothing is written to them."""
    claims = [item for item in declared if item["kind"] == "PersistentVolumeClaim"]
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{NAME}-{number}", "labels": {MARK: "true"}},
            "spec": {
                "storageClassName": CLASS,
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": "/nonexistent"},
                "claimRef": {"namespace": NAME, "name": claim["metadata"]["name"]},
            },
        }
        for number, claim in enumerate(claims)
    ]


def environments(cluster: Cluster, count: int, limit_s: float, figures: Figures) -> None:
    """Apply the environments, one after another, and wait until every pod has a node."""
    taken: list[float] = []
    items: list[dict[str, Any]] = []
    begin = time.monotonic()
    for _, items in manifests(count):
        started = time.monotonic()
        if started - begin > limit_s:
            break
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=listed)
        taken.append(time.monotonic() - started)
    applied = time.monotonic()
    pods, jobs = placed(cluster)
    tenth = max(1, len(taken) // 10)
    figures.once |= {
        "environments": str(len(taken)) + (f" of {count}: the limit of {limit_s:.0f} s" if len(taken) < count else ""),
        "objects of one, its Ray pods among them": str(len(items)),
        f"applying one, median of the first {tenth}": f"{statistics.median(taken[:tenth]):.2f} s",
        f"applying one, median of the last {tenth}": f"{statistics.median(taken[-tenth:]):.2f} s",
        "applying all, one after another": f"{applied - begin:.0f} s",
        "pods placed": f"{pods}, the last {time.monotonic() - applied:.0f} s after the last apply",
        "jobs that ended by then": str(jobs),
    }


def placed(cluster: Cluster) -> tuple[int, int]:
    """Wait until all pods have nodes and no more come; returns how many pods, and how many jobs that have ended."""
    end, before = time.monotonic() + 120, -1
    while True:
        found = [line.split()[1] for line in columns(cluster, "pods", ".spec.nodeName")]
        waiting = found.count("<none>")
        if not waiting and len(found) == before:
            return len(found), sum(line.endswith(" 1") for line in columns(cluster, "jobs", ".status.succeeded"))
        if time.monotonic() > end:
            raise RuntimeError(f"{waiting} of {len(found)} pods have no node")
        before = len(found)
        time.sleep(1)


def columns(cluster: Cluster, kind: str, field_: str) -> list[str]:
    """Return NAMESPACE FIELD of every object of a kind in the environments."""
    shown = f"custom-columns=:.metadata.namespace,:{field_}"
    listed = cluster.kubectl("get", kind, "--all-namespaces", "--no-headers", "-o", shown)
    return [" ".join(line.split()) for line in listed.splitlines() if line.startswith("bench-")]


def timed(action: Callable[[], object], rounds: int) -> list[float]:
    """Return the seconds that each of `rounds` calls took."""
    taken = []
    for _ in range(rounds):
        begin = time.monotonic()
        action()
        taken.append(time.monotonic() - begin)
    return taken


def measured(cluster: Cluster, project: ClusterProject, needs: Needs, rounds: int) -> dict[str, list[float]]:
    """Measure what is measured on the empty and on the full cluster."""
    found = {}
    with connect(cluster.context, str(cluster.kubeconfig)) as connected:
        for name, path in LISTS.items():
            found[f"list {name} (ms)"] = [1000 * took for took in timed(partial(asked, connected, path), rounds)]
    found["preflight (s)"] = timed(lambda: examine(needs), rounds)
    found["preview of a new environment (s)"] = timed(lambda: project.pulumi("preview").must_succeed(), min(3, rounds))
    if (state := processes.read()) is not None:
        for name in DAEMONS:
            found[f"{name}, resident (MiB)"] = [psutil.Process(state.processes[name][0]).memory_info().rss / MIB]
    return found


def asked(connected: Connection, path: str) -> None:
    answer = connected.get(path)
    if not answer.ok:
        raise RuntimeError(f"{path}: {answer.message}")


def what_is_asked(cluster: Cluster) -> Needs:
    """Return what an environment like the others asks of the cluster, for its preflight."""
    substrate = {"context": cluster.context, "kubeconfig": str(cluster.kubeconfig), "namespace": "bench-new"}
    changes = settings(substrate={**substrate, "gateway": None, "storage_class": cluster.storage_class})
    return demand.needs(Place(project="slipway", stack="bench", root=ROOT, secrets={}), load(changes, {}))


@contextmanager
def cleaned(cluster: Cluster) -> Iterator[None]:
    """Have the definitions without the operator; take everything away at the end, whatever happened."""
    definitions = str(module_source(BY_NAME["kuberay"]) / "config" / "crd")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", definitions)
    await_definitions(cluster.kubectl, *CRDS)
    try:
        yield
    finally:
        left = cluster.kubectl("get", "namespaces", "-o", "name").split()
        mine = [name for name in left if name.startswith("namespace/bench-")]
        if mine:
            cluster.kubectl("delete", *mine, "--wait=false")
            cluster.kubectl("wait", "--for=delete", *mine, f"--timeout={_PATIENCE_S}s", timeout_s=_PATIENCE_S + 20)
        for kind in ("nodes", "persistentvolumes"):
            cluster.kubectl("delete", kind, "-l", f"{MARK}=true", "--wait=false")
        cluster.uninstall_kuberay()


def table(figures: Figures) -> Iterator[str]:
    """Yield the lines of the result as Markdown."""
    yield "| what | |"
    yield "|---|---|"
    for name, value in figures.once.items():
        yield f"| {name} | {value} |"
    yield "\n| what | empty | full | ratio |"
    yield "|---|---|---|---|"
    for name, values in figures.before.items():
        before, after = statistics.median(values), statistics.median(figures.after[name])
        yield f"| {name} | {before:.1f} | {after:.1f} | {after / before:.1f}x |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=500, help="nodes that KWOK plays (default: 500)")
    parser.add_argument("--environments", type=int, default=100, help="environments (default: 100)")
    parser.add_argument("--limit-s", type=float, default=240, help="apply no more after so long (default: 240)")
    parser.add_argument("--rounds", type=int, default=5, help="calls of each measurement (default: 5)")
    options = parser.parse_args()
    figures = Figures()
    with (
        cluster_for_tests(layout()) as cluster,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        cleaned(cluster),
    ):
        project = environment_on(cluster, Path(folder), IMAGE, operators="external", operator_images={})
        project.pulumi("preview").must_succeed()  # creates the stack, so that no measurement pays for it
        needs = what_is_asked(cluster)
        figures.before = measured(cluster, project, needs, options.rounds)
        figures.once[f"{options.nodes} nodes Ready after"] = f"{nodes(cluster, options.nodes):.0f} s"
        environments(cluster, options.environments, options.limit_s, figures)
        figures.after = measured(cluster, project, needs, options.rounds)
        print("\n".join(table(figures)), flush=True)  # before what may fail: taking it all away
        ended = time.monotonic()
    print(f"\nTaken away in {time.monotonic() - ended:.0f} s.")


if __name__ == "__main__":
    main()
