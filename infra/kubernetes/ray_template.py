"""The cluster template: how every Ray pod of the environment looks, from the config to KubeRay's RayClusterSpec.

A training run and the model service each make a cluster of their own from it; a RayCluster object exists only with
`ray.shared: true`.  Field by field after KubeRay 1.6.2, whose sources the comments refer to.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pulumi import Input, Output, Resource, ResourceOptions

from components.kubernetes.gpu_pools import gpu_resources, placement
from components.kubernetes.network_policies import AUTOSCALES
from components.kubernetes.platforms import PLATFORMS
from components.seam import RayHandle, RaySpec
from components.settings import GpuPoolSpec as Pool
from components.settings import SettingError
from infra.kubernetes import pods
from infra.kubernetes.groups import Group, shared_groups
from infra.kubernetes.names import RAY_TOKEN_SECRET, SERVING_PORT, Context
from infra.kubernetes.pods import Manifest
from infra.kubernetes.resources import OURS, RayCluster

WORKER = "slipway_worker"
"""A resource that every worker has and no head: what asks for a little of it never runs on the head."""
SHARED_CLUSTER = "ray"
DASHBOARD_PORT = 8265
_IDLE_S = 120
_OBJECT_STORE = 0.25
"""The share of a pod's memory that is /dev/shm, for Ray's object store."""
_START_TIMEOUT_S = 900
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class RayTemplate(RayHandle):
    """The handle that crosses the seam, with what this substrate makes clusters from."""

    ray_version: str
    pools: Sequence[Pool]
    environment: Mapping[str, Input[str]]
    shared: bool


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a cluster is for, and what its pods have beside Ray."""

    role: Literal["training", "serving"]
    environment: Sequence[Manifest]
    volumes: Sequence[Manifest] = ()
    mounts: Sequence[Manifest] = ()
    serves: bool = False
    autoscaled: bool = False


def provide(context: Context, name: str, spec: RaySpec, opts: ResourceOptions) -> RayHandle:
    """Return the template; with `ray.shared` also make the one cluster that training runs share."""
    version = ray_version(context.place.root / "requirements" / "runtime.txt")
    resource: Resource = context.ready[-1]
    head = f"http://{SHARED_CLUSTER}-head-svc.{context.namespace}.svc.cluster.local:{DASHBOARD_PORT}"
    if spec.shared:
        volumes, mounts = pods.storage_volumes(context)  # checkpoints, where the store is a volume
        workload = Workload(
            role="training", environment=clients(context), volumes=volumes, mounts=mounts, autoscaled=True
        )
        groups = shared_groups(spec)
        resource = RayCluster(
            f"{name}-cluster",
            metadata=context.metadata(
                SHARED_CLUSTER, annotations={**OURS, "pulumi.com/waitFor": "condition=HeadPodReady"}
            ),
            spec=cluster_spec(context, version, workload, groups, spec.environment),
            timeout_s=_START_TIMEOUT_S,
            opts=context.child(opts),
        )
    return RayTemplate(
        dashboard_url=Output.from_input(head if spec.shared else ""),
        token_file=Output.from_input(""),
        incarnation=Output.from_input(""),
        serving_port=spec.serving_port or SERVING_PORT,
        request_timeout_s=spec.request_timeout_s,
        resource=resource,
        ray_version=version,
        pools=tuple(spec.gpu_pools),
        environment=spec.environment,
        shared=spec.shared,
    )


def ray_version(lock: Path) -> str:
    """Return the version of Ray that the image holds: KubeRay decides by it how to start and probe Ray.

    Raises:
        SettingError: the lock file does not pin Ray.
    """
    found = re.search(r"^ray(?:\[[^]]*\])?==([0-9.]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if found is None:
        raise SettingError(f"{lock} does not pin ray: the image is built from it. Run `make lock`.")
    return found.group(1)


def cluster_spec(
    context: Context,
    version: str,
    workload: Workload,
    groups: Sequence[Group],
    environment: Mapping[str, Input[str]] | None = None,
) -> Manifest:
    """Return the RayClusterSpec of a workload."""
    common = [*pods.env({**_ray_environment(workload), **(environment or {})}), *workload.environment]
    spec: Manifest = {
        "rayVersion": version,
        # KubeRay puts the key `auth_token` of this Secret into every container that it knows, and uses it itself
        "authOptions": {"mode": "token", "secretName": RAY_TOKEN_SECRET},
        "headGroupSpec": _head(context, workload, common),
        "workerGroupSpecs": [_worker(context, workload, group, common) for group in groups],
    }
    if workload.autoscaled:
        spec |= {"enableInTreeAutoscaling": True, "autoscalerOptions": _autoscaler()}
    return spec


def _ray_environment(workload: Workload) -> dict[str, str]:
    common = {
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_metric_cardinality_level": "low",
        # a slow start on a busy node is not a failed one
        "RAY_raylet_start_wait_time_s": "120",
    }
    if not workload.serves:
        return common
    return common | {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # the replicas count requests themselves; HAProxy's counting costs each request 0.05 to 0.1 ms of CPU
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # a dead proxy is noticed after a second, not after three failures of ten
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
    }


def _head(context: Context, workload: Workload, environment: Sequence[Manifest]) -> Manifest:
    ports = {"gcs-server": 6379, "dashboard": DASHBOARD_PORT, "client": 10001, "metrics": 8080}
    if workload.serves:
        ports["serve"] = SERVING_PORT
    container = _ray_container(context, "ray-head", workload, environment, ports)
    container["resources"] = pods.resources("100m", "2Gi", cpu_limit="2")
    return {
        # no CPUs: no work on the head, whose loss would be the cluster's
        "resources": {"CPU": "0"},
        "rayStartParams": {"object-store-memory": str(200 * 2**20)},
        "serviceType": "ClusterIP",  # the dashboard is not routed outside
        "template": _pod(context, workload, container, shared_memory="256Mi", token=workload.autoscaled),
    }


def _worker(context: Context, workload: Workload, group: Group, environment: Sequence[Manifest]) -> Manifest:
    ports = {"metrics": 8080, **({"serve": SERVING_PORT} if workload.serves else {})}
    container = _ray_container(context, "ray-worker", workload, environment, ports)
    memory = pods.mebibytes(int(group.memory_gib * 1024))
    container["resources"] = pods.resources(
        pods.cores(group.cpus), memory, cpu_limit=str(math.ceil(group.cpus) + 1), **gpu_resources(group.gpus)
    )
    object_store = int(group.memory_gib * _OBJECT_STORE * _GIB)
    template = _pod(context, workload, container, shared_memory=pods.mebibytes(object_store // 2**20), token=False)
    if group.pool is not None:
        # nothing empty: KubeRay leaves it out when it writes its resource back, which then differs from what is wanted
        template["spec"] |= {
            key: value for key, value in placement(group.pool, context.config.platform).items() if value
        }
    return {
        "groupName": group.name,
        "replicas": group.minimum,
        "minReplicas": group.minimum,
        "maxReplicas": group.maximum,
        "numOfHosts": 1,
        # memory and GPUs Ray is told by the pod's limits; its CPUs are whole ones, the pod's need not be
        "resources": {"CPU": str(math.ceil(group.cpus)), WORKER: "1"},
        "rayStartParams": {"object-store-memory": str(object_store * 9 // 10)},
        "template": template,
    }


def _ray_container(
    context: Context,
    name: str,
    workload: Workload,
    environment: Sequence[Manifest],
    ports: Mapping[str, int],
) -> Manifest:
    """Return the Ray container; the init container that KubeRay adds copies security, environment and mounts."""
    serving = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}}} if workload.serves else {}
    return pods.container(
        context,
        name,
        env=list(environment),
        ports=[{"name": port, "containerPort": number} for port, number in ports.items()],
        volumeMounts=[
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the pod
            {"name": "ray-logs", "mountPath": "/tmp/ray"},  # noqa: S108
            {"name": "shared-mem", "mountPath": "/dev/shm"},  # noqa: S108
            *workload.mounts,
        ],
        **serving,
    )


def _pod(context: Context, workload: Workload, container: Manifest, *, shared_memory: str, token: bool) -> Manifest:
    """Return a pod template; volumes have KubeRay's own names, so that it adds none of its own."""
    volumes: list[Manifest] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "5Gi"}},
        {"name": "ray-logs", "emptyDir": {"sizeLimit": "5Gi"}},
        {"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}},
        *workload.volumes,
    ]
    spec: Manifest = {
        "serviceAccountName": workload.role,
        # only the autoscaler beside the head talks to the API server
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "restartPolicy": "Never" if workload.autoscaled or workload.role == "training" else "Always",
        "securityContext": pods.pod_security(),
        "containers": [container],
        "volumes": volumes,
        **pods.image_pull(context),
    }
    identity = PLATFORMS[context.config.platform].identity.pod_labels
    asks = AUTOSCALES if token else {}
    return {"metadata": {"labels": pods.labels(workload.role, **identity, **asks)}, "spec": spec}


def _autoscaler() -> Manifest:
    return {
        "version": "v2",
        "idleTimeoutSeconds": _IDLE_S,
        "upscalingMode": "Default",
        "resources": pods.resources("50m", "512Mi", cpu_limit="500m"),
        "securityContext": pods.container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - inside the pod
    }


def clients(context: Context) -> list[Manifest]:
    """Return the environment of what talks to the tracking server and the artifact store."""
    return [*pods.tracking_client_env(context), *pods.storage_env(context)]


def entrypoint_resources() -> str:
    """Return what keeps a job's driver off the head."""
    return json.dumps({WORKER: 0.01})
