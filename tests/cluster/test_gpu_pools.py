"""GPU pools on nodes that KWOK plays: who lands on them, who is told before `up`, and from no node to four and back.

Scheduling, quota and the operator are real; pods on such nodes are only reported to run.  So Ray's own autoscaler,
which asks a head that runs, cannot be part of it: a test writes into the RayCluster what it would write.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from components.kubernetes.gpu_pools import GPU_RESOURCE, node_labels, node_taints
from components.kubernetes.platforms import PLATFORMS, PlatformName
from components.ray_cluster import GpuPool
from tests.cluster.node.cluster import Cluster
from tests.cluster.project import environment_on
from tests.cluster.rendered import objects, plain
from tests.mock_engine import Engine
from tests.programs.kubernetes_program import deployed

WAIT = "--timeout=300s"
PATIENCE_S = 120
NOWHERE = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].reason}=Unschedulable"
NO_IMAGE = "localhost/none@sha256:" + "0" * 64
OTHER_KIND = "didn't match Pod's node affinity/selector"
TAINTED = "untolerated taint"
SPOT = [platform for platform, row in PLATFORMS.items() if row.spot_label]
GROUND = ("Namespace", "ServiceAccount")
QUOTA = {"cpu": "64", "memory": "256Gi", "pods": 60}
SHARED = (*GROUND, "ResourceQuota", "LimitRange", "Secret", "RayCluster")


@dataclass
class Ground:
    """A namespace as the program declares it, and nodes; all of it goes at the end."""

    cluster: Cluster
    namespace: str
    nodes: list[str] = field(default_factory=list)

    def pool(self, *, spot: bool = False) -> GpuPool:
        """Return a pool whose accelerator no other test's nodes have; each worker takes a whole node."""
        mark = uuid.uuid4().hex[:6]
        return GpuPool(
            name=f"p{mark}", gpus=4, cpus=8, memory_gib=32, max=4, accelerator=f"nvidia-l4-{mark}", spot=spot
        )

    def program(self, platform: PlatformName, pools: Sequence[GpuPool], **changes: Any) -> Engine:
        """Record the program for these pools."""
        listed = [pool.model_dump() for pool in pools]
        substrate = {"platform": platform, "namespace": self.namespace, "quota": {**QUOTA, "gpus": 16}}
        return deployed(gpu_pools=listed, substrate=substrate, **changes)[0]

    def worker(self, platform: PlatformName, pools: Sequence[GpuPool], gpus: int) -> Mapping[str, Any]:
        """Return the template of a training worker that takes a node of the smallest pool, or 8 CPUs without GPUs.

        The tests' own node has fewer CPUs than that.
        """
        engine = self.program(platform, pools, training={"resources": {"workers": 1, "cpus": 8, "gpus": gpus}})
        self.apply(*(item for item in objects(engine) if item["kind"] in GROUND))
        (group,) = engine.one("kubernetes:ray.io/v1:RayJob").inputs["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        template: Mapping[str, Any] = plain(group["template"])
        return template

    def apply(self, *items: Mapping[str, Any]) -> None:
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=listed)

    def start(self, name: str, template: Mapping[str, Any], **spec: Any) -> None:
        """Make one pod of a template."""
        metadata = {**template["metadata"], "name": name, "namespace": self.namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"], **spec}}
        self.apply(pod)

    def add(self, pool: GpuPool, platform: PlatformName, count: int = 1) -> list[str]:
        """Add nodes as the platform's row says that the pool's are."""
        names = [f"{pool.name}-{uuid.uuid4().hex[:6]}" for _ in range(count)]
        self.nodes += names
        self.cluster.add_gpu_nodes(
            names,
            labels=node_labels(pool, platform),
            taints=node_taints(pool, platform),
            capacity={GPU_RESOURCE: str(pool.gpus), "cpu": f"{pool.cpus:g}", "memory": f"{pool.memory_gib:g}Gi"},
        )
        return names

    def add_plain(self, *, taints: Sequence[Mapping[str, str]] = ()) -> str:
        """Add a large node without GPUs."""
        name = f"plain-{uuid.uuid4().hex[:6]}"
        self.nodes.append(name)
        self.cluster.add_gpu_nodes([name], taints=taints, capacity={GPU_RESOURCE: "0"})
        return name

    def landed(self, *names: str) -> list[str]:
        """Wait until pods are on nodes, and return which."""
        pods = [f"pod/{name}" for name in names]
        self.cluster.kubectl("wait", "--for=condition=PodScheduled", *pods, "-n", self.namespace, WAIT)
        path = "jsonpath={.spec.nodeName}"
        return [self.cluster.kubectl("get", pod, "-n", self.namespace, "-o", path) for pod in pods]

    def stuck(self, name: str, told: str = "") -> str:
        """Wait until the scheduler has given up on a pod, and return why.

        It hears of a new node a moment after the API server has it, and tries again: so `told` is waited for.
        """
        self.cluster.kubectl("wait", f"--for={NOWHERE}", f"pod/{name}", "-n", self.namespace, WAIT)
        path = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}"
        show, end = ("get", "pod", name, "-n", self.namespace, "-o", path), time.monotonic() + PATIENCE_S
        while told not in (why := self.cluster.kubectl(*show)) and time.monotonic() < end:
            time.sleep(0.5)
        return why


@pytest.fixture
def ground(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    made = Ground(cluster, f"pools-{uuid.uuid4().hex[:8]}")
    yield made
    if made.nodes:
        cluster.remove_gpu_nodes(made.nodes)
    # it goes by itself, in ten seconds, and nobody else uses its name
    cluster.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_gpu_workers_land_on_the_nodes_of_their_pool_and_only_they_do(ground: Ground, platform: PlatformName) -> None:
    pool, other = ground.pool(), ground.pool()
    gpu = ground.worker(platform, [pool], gpus=4)
    ground.add(other, platform)
    ground.start("one", gpu)
    ground.start("cpu", ground.worker(platform, [pool], gpus=0))
    assert OTHER_KIND in ground.stuck("one", OTHER_KIND), "there are only nodes with another accelerator"
    assert TAINTED in ground.stuck("cpu", TAINTED), "CPU pods stay off GPU nodes"

    nodes = ground.add(pool, platform, count=2)
    ground.start("two", gpu)
    assert sorted(ground.landed("one", "two")) == sorted(nodes)
    ground.start("three", gpu)
    assert f"Insufficient {GPU_RESOURCE}" in ground.stuck("three", f"Insufficient {GPU_RESOURCE}")
    ground.add(pool, platform)
    ground.landed("three")
    assert TAINTED in ground.stuck("cpu", TAINTED)
    roomy = ground.add_plain()
    assert ground.landed("cpu") == [roomy], "the control: it was only the taint"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_gpu_worker_lands_nowhere_without_what_the_template_says_of_its_pool(
    ground: Ground, platform: PlatformName
) -> None:
    """The control of the template's own part: without tolerations the taint holds, without selector any GPU does."""
    pool, other = ground.pool(), ground.pool()
    gpu = ground.worker(platform, [pool], gpus=4)
    ground.add(pool, platform)
    ground.start("intolerant", gpu, tolerations=[])
    assert TAINTED in ground.stuck("intolerant", TAINTED)
    ground.start("right", gpu)
    ground.landed("right")
    elsewhere = ground.add(other, platform)
    ground.start("choosy", gpu)
    ground.stuck("choosy")
    ground.start("careless", gpu, nodeSelector={})
    assert ground.landed("careless") == elsewhere


@pytest.mark.parametrize("platform", SPOT)
def test_workers_of_a_spot_pool_land_on_spot_nodes_alone(ground: Ground, platform: PlatformName) -> None:
    lasting = ground.pool()
    spot = lasting.model_copy(update={"spot": True})
    ground.add(lasting, platform)
    worker = ground.worker(platform, [spot], gpus=4)
    ground.start("spot", worker)
    assert OTHER_KIND in ground.stuck("spot", OTHER_KIND)
    nodes = ground.add(spot, platform)
    assert ground.landed("spot") == nodes


@pytest.mark.parametrize("platform", [name for name in SPOT if PLATFORMS[name].spot_taint])
def test_workers_of_a_lasting_pool_stay_off_spot_nodes_that_are_tainted(ground: Ground, platform: PlatformName) -> None:
    lasting = ground.pool()
    ground.add(lasting.model_copy(update={"spot": True}), platform)
    ground.start("lasting", ground.worker(platform, [lasting], gpus=4))
    assert TAINTED in ground.stuck("lasting", TAINTED)
    nodes = ground.add(lasting, platform)
    assert ground.landed("lasting") == nodes


def test_a_worker_that_fits_no_pool_is_refused_by_the_preview(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLIPWAY_OFFLINE", raising=False)
    pool = {"name": "l4", "gpus": 4, "cpus": 8, "memory_gib": 32, "max": 2}
    project = environment_on(cluster, tmp_path, NO_IMAGE, quota={**QUOTA, "gpus": 16})
    for wrong, told in (
        ({"workers": 1, "cpus": 8, "gpus": 8}, "asks for 8 GPUs, a node has 4"),
        ({"workers": 1, "cpus": 12, "gpus": 4}, "asks for 12 CPUs, a node has 8"),
        ({"workers": 3, "cpus": 8, "gpus": 4}, "there is room for 2 such pods on all its nodes, 3 are asked for"),
    ):
        project.configure(gpu_pools=[pool], training={"resources": wrong})
        said = project.pulumi("preview").must_fail().output
        assert f"a training worker fits no pool. Nearest is l4: {told}" in " ".join(said.split()), said
        assert "slipway:training.resources.gpus" in said
        assert "slipway:gpu_pools" in said, "the fix"
    assert cluster.kubectl("get", "namespace", project.namespace, "--ignore-not-found") == ""


def test_nodes_of_another_accelerator_are_no_nodes_for_a_pool_and_the_preview_says_so(
    cluster: Cluster, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLIPWAY_OFFLINE")
    pool, other = ground.pool(), ground.pool()
    (there,) = ground.add(other, "generic")
    project = environment_on(cluster, tmp_path, NO_IMAGE, quota={**QUOTA, "gpus": 16})
    project.configure(gpu_pools=[pool.model_dump()], training={"resources": {"workers": 1, "cpus": 8, "gpus": 4}})
    said = " ".join(project.pulumi("preview").must_fail().output.split())
    label = PLATFORMS["generic"].accelerator_label
    assert f"Nearest is node {there}: its nodes lack the label {label}={pool.accelerator}" in said
    assert f"they have {label}={other.accelerator}" in said
    ground.add(pool, "generic")
    project.pulumi("preview").must_succeed()


@pytest.fixture
def kuberay(cluster: Cluster) -> Iterator[None]:
    """The operator and its CRDs; afterwards the cluster is as it was."""
    cluster.install_kuberay()
    yield
    cluster.uninstall_kuberay()


@pytest.mark.usefixtures("kuberay")
def test_a_pool_goes_from_no_node_to_four_and_back(ground: Ground) -> None:
    """What Ray's autoscaler writes is written here: `replicas`, and by name who goes."""
    pool = ground.pool()
    head = ground.add_plain(taints=[{"key": "slipway.test/head", "value": "true", "effect": "NoSchedule"}])
    _shared_cluster(ground, pool, head)
    cluster, space = ground.cluster, ("-n", ground.namespace)
    workers = ("pods", *space, "-l", f"ray.io/group={pool.name}")
    cluster.kubectl("wait", "--for=create", "pod", *space, "-l", "ray.io/node-type=head", WAIT)
    assert cluster.kubectl("get", *workers, "-o", "name") == "", "nothing at rest"

    _scale(ground, pool, 4)
    cluster.kubectl("wait", "--for=create", *workers, WAIT)
    cluster.kubectl("wait", f"--for={NOWHERE}", *workers, WAIT)
    nodes = ground.add(pool, "generic", count=4)
    cluster.kubectl("wait", "--for=condition=Ready", *workers, WAIT)
    found = json.loads(cluster.kubectl("get", *workers, "-o", "json"))["items"]
    assert sorted(pod["spec"]["nodeName"] for pod in found) == sorted(nodes), "one a node"

    _scale(ground, pool, 0, [pod["metadata"]["name"] for pod in found])
    cluster.kubectl("wait", "--for=delete", *workers, WAIT)
    cluster.remove_gpu_nodes(nodes)
    assert cluster.kubectl("get", *workers, "-o", "name") == ""
    assert ground.landed(_head(ground)) == [head], "the head stays, and never was on a GPU node"
    cluster.kubectl("delete", "raycluster", "ray", *space, WAIT)
    cluster.kubectl("wait", "--for=delete", "pod", *space, "--all", WAIT)


def _head(ground: Ground) -> str:
    path = "jsonpath={.items[0].metadata.name}"
    return ground.cluster.kubectl("get", "pods", "-n", ground.namespace, "-l", "ray.io/node-type=head", "-o", path)


def _shared_cluster(ground: Ground, pool: GpuPool, head: str) -> None:
    """Make the program's shared RayCluster; its head is on a played node too, since the image is not here."""
    resources = {"workers": 1, "cpus": 8, "gpus": 4}
    engine = ground.program("generic", [pool], ray={"shared": True}, training={"resources": resources})
    declared = {kind: [item for item in objects(engine) if item["kind"] == kind] for kind in SHARED}
    (ray,) = declared["RayCluster"]
    tolerated = [{"key": "slipway.test/head", "operator": "Exists"}]
    ray["spec"]["headGroupSpec"]["template"]["spec"] |= {
        "nodeSelector": {"kubernetes.io/hostname": head},
        "tolerations": tolerated,
    }
    for secret in declared["Secret"]:
        if secret["metadata"]["name"] == ray["spec"]["authOptions"]["secretName"]:
            secret["stringData"] = {"auth_token": secrets.token_hex(32)}
    ground.apply(*(item for items in declared.values() for item in items))


def _scale(ground: Ground, pool: GpuPool, replicas: int, gone: Sequence[str] = ()) -> None:
    """Edit a group as the autoscaler does (`autoscaler/_private/kuberay/node_provider.py` of Ray)."""
    command = ("get", "raycluster", "ray", "-n", ground.namespace, "-o", "json")
    groups = json.loads(ground.cluster.kubectl(*command))["spec"]["workerGroupSpecs"]
    (index,) = (number for number, group in enumerate(groups) if group["groupName"] == pool.name)
    path = f"/spec/workerGroupSpecs/{index}"
    edits = [{"op": "replace", "path": f"{path}/replicas", "value": replicas}]
    if gone:
        edits.append({"op": "add", "path": f"{path}/scaleStrategy", "value": {"workersToDelete": list(gone)}})
    ground.cluster.kubectl("patch", "raycluster", "ray", "-n", ground.namespace, "--type=json", "-p", json.dumps(edits))
