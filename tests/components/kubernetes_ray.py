"""A run and a service declared on Kubernetes under the recording engine, for the tests of Ray there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes
from pulumi import ComponentResource, Output, ResourceOptions

from components.ray_cluster import GpuPool
from components.seam import AppHandle, AppSpec, Code, Place, RaySpec, RunHandle, RunSpec
from infra.kubernetes import ray_template, serving, training
from infra.kubernetes.names import Context, Storage
from infra.kubernetes.settings import KubernetesConfig
from tests.mock_engine import Engine, run

ROOT = Path(__file__).parents[2]
IMAGE = f"registry.example/slipway@sha256:{'a' * 64}"
IDENTITY = "0123456789abcdef" * 4
PARTS = {"code": "c1", "lock": "l1", "data": "d1", "parameters": "p1", "seed": "7", "split": "s1"}
SUCCEEDED = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED", "endTime": "2026-01-01T00:00:00Z"}
FAILED = {
    "jobDeploymentStatus": "Failed",
    "jobStatus": "FAILED",
    "reason": "AppFailed",
    "message": "Job entrypoint command failed with exit code 1\nValueError: no such column: colour",
    "endTime": "2026-01-01T00:00:00Z",
}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
RAY_JOB, RAY_SERVICE = "kubernetes:ray.io/v1:RayJob", "kubernetes:ray.io/v1:RayService"
RAY_CLUSTER, JOB = "kubernetes:ray.io/v1:RayCluster", "kubernetes:batch/v1:Job"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def engine(job: dict[str, Any] | None = None) -> Engine:
    """Return an engine that answers as the operator would."""
    return Engine(
        {
            RAY_JOB: {"status": SUCCEEDED if job is None else job},
            RAY_SERVICE: {"status": READY},
            RAY_CLUSTER: {"status": READY},
            JOB: {"status": {"succeeded": 1}},
        }
    )


def run_spec(**changes: Any) -> RunSpec:
    """Return a run; `changes` replace fields."""
    spec = RunSpec(
        identity=IDENTITY,
        identity_parts=PARTS,
        code=Code(root=ROOT, files=["training/__init__.py"], digest="c1", lock="requirements/runtime.txt"),
        model_name="default",
        tracking_url=Output.from_input("http://tracking.ns.svc.cluster.local:5000"),
        data={"uri": "sklearn:iris", "target": "target", "version": None, "key": None, "format": "auto"},
        training={
            "entrypoint": "training.train:train",
            "params": {},
            "resources": {"workers": 1, "cpus": 1, "gpus": 0},
        },
        gate={"floors": {"accuracy": 0.9}, "tolerance": None, "on_failure": "keep-champion"},
        resources={"workers": 1, "cpus": 1, "gpus": 0},
        timeout_s=600,
        retries=1,
        wait=True,
    )
    return dataclasses.replace(spec, **changes)


def app_spec(*, candidate: str | None = "3", **changes: Any) -> AppSpec:
    """Return an application; `changes` replace fields."""
    spec = AppSpec(
        import_path="serving.app:build",
        code=Code(root=ROOT, files=["serving/__init__.py"], digest="s1", lock="requirements/runtime.txt"),
        model_name="default",
        tracking_url=Output.from_input("http://tracking.ns.svc.cluster.local:5000"),
        arguments={"poll_s": 1.0, "replicas": {"min": 1, "max": 1}, "limits": {"request_timeout_s": 30}},
        candidate=Output.from_input(candidate),
        strategy="rolling",
        wait="done",
    )
    return dataclasses.replace(spec, **changes)


def context(**config: Any) -> Context:
    """Return the context of a namespace; only inside a program."""
    settings = {"kind": "kubernetes", "context": "nowhere", "image": IMAGE, "kubeconfig": "/nonexistent/kubeconfig"}
    provider = pulumi_kubernetes.Provider("cluster", context="nowhere")
    return Context(
        place=Place(project="slipway", stack="dev", root=ROOT),
        config=KubernetesConfig.model_validate({**settings, **config}),
        namespace="slipway-dev",
        provider=provider,
        ready=[provider],
        storage=Storage(
            uri="s3://models/a", checkpoints="s3://models/a/checkpoints", environment={}, secret="store", claim=None
        ),
    )


def pool(name: str = "l4", **changes: Any) -> GpuPool:
    """Return a pool of GPU nodes."""
    return GpuPool(**{"name": name, "gpus": 1, "cpus": 6, "memory_gib": 24, "max": 4, **changes})


def declare(
    *,
    run_changes: dict[str, Any] | None = None,
    app_changes: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
    preview: bool = False,
    shared: bool = False,
    pools: tuple[GpuPool, ...] = (),
    seen: dict[str, Any] | None = None,
    storage: Storage | None = None,
    **more: Any,
) -> Engine:
    """Declare a run (`run_changes` is not None), a service or both; their outputs go into `seen`."""
    sizes = {key: more[key] for key in ("workers", "worker_cpus", "worker_memory_gib") if key in more}

    def program() -> None:
        made = context(**{key: value for key, value in more.items() if key not in sizes})
        made = made if storage is None else dataclasses.replace(made, storage=storage)
        parent = ComponentResource("test:index:Parent", "parent")
        opts = ResourceOptions(parent=parent)
        ray_spec = RaySpec(
            dashboard_port=None,
            shared=shared,
            serving_port=None,
            request_timeout_s=30,
            gpu_pools=pools,
            environment={},
            **sizes,
        )
        ray = ray_template.provide(made, "ray", ray_spec, opts)
        handles: list[RunHandle | AppHandle] = []
        if run_changes is not None:
            handles.append(training.run(made, "training", run_spec(**run_changes), ray, opts))
        if app_changes is not None:
            handles.append(serving.serve(made, "serving", app_spec(**app_changes), ray, opts))
        for handle in handles:
            for field in dataclasses.fields(handle):
                _remember(getattr(handle, field.name), field.name, seen)

    return run(program, engine=engine(job), preview=preview)


def _remember(output: pulumi.Output[Any], name: str, seen: dict[str, Any] | None) -> None:
    if seen is not None:
        output.apply(lambda value: seen.update({name: value}))
