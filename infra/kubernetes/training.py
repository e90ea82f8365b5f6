"""A training run as a RayJob that is named by its identity, and the verdict on it.

Only another identity is another run: the RayJob is then replaced, and its annotations say in the preview which part
changed.  KubeRay (1.6.2, `rayjob_controller.go`) starts nothing again on an edit: deadline and retries of a run that
goes on are read live, changes of the cluster are disregarded, and of a finished run everything is.  So a new image,
time-out or size is an update in place that trains nothing, and a failed run needs a RayJob of another name.
"""

from __future__ import annotations

import base64
import json
import math
import subprocess
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import Output, ResourceOptions
from pulumi_kubernetes.core.v1 import ConfigMap

from components.seam import Code, RayHandle, RunHandle, RunSpec
from infra.kubernetes import earlier, failure, follow, pods, results, schedule
from infra.kubernetes.groups import Group, pool_for, worker_memory
from infra.kubernetes.incluster import derived
from infra.kubernetes.names import (
    SPEC_FILE,
    SPEC_FOLDER,
    SPEC_KEY,
    Context,
    training_name,
    training_result_name,
    verdict_name,
)
from infra.kubernetes.pods import APP_FOLDER, Manifest
from infra.kubernetes.ray_template import (
    SHARED_CLUSTER,
    RayTemplate,
    Workload,
    clients,
    cluster_spec,
    entrypoint_resources,
)
from infra.kubernetes.resources import OURS, RayJob

_START_S = 1800
"""How long a cluster may take to start: nodes with GPUs come from zero in minutes, when there are any."""
_MARGIN_S = 300
_VERDICT_S = 600
_SPEC_VARIABLE = "SLIPWAY_RUN_SPEC"


def run(context: Context, name: str, spec: RunSpec, ray: RayHandle, opts: ResourceOptions) -> RunHandle:
    """Ensure the run of this identity, and judge it."""
    if not isinstance(ray, RayTemplate):
        raise TypeError("the Ray handle of another substrate was given to this one")
    base = training_name(spec.identity)
    before = earlier.look(context, base, spec.identity_parts)
    if before.difference:
        pulumi.log.info(before.difference, opts.parent)
    document = spec.tracking_url.apply(lambda _: spec_document(context, spec))
    if context.storage is not None:
        document = Output.all(document, context.storage.checkpoints).apply(
            lambda found: {**found[0], "storage": found[1]}
        )
    text = document.apply(lambda found: json.dumps(found, sort_keys=True))
    config_map = ConfigMap(
        f"{name}-spec", metadata=context.metadata(base), data={SPEC_KEY: text}, opts=context.child(opts)
    )
    job = RayJob(
        f"{name}-job",
        metadata=job_metadata(context, spec, base, before.job_name),
        spec=job_spec(context, spec, ray, base, text),
        timeout_s=longest(spec) + _MARGIN_S,
        opts=context.child(opts, depends_on=[config_map, ray.resource]),
    )
    result = _verdict(context, name, spec, base, _finished(context, job, before.job_name, opts), opts)
    if spec.schedule is not None:
        schedule.provide(
            context,
            name,
            spec.schedule,
            job_spec=job_spec(context, spec, ray, derived.OBJECT_MARK, Output.from_input(derived.SPEC_MARK)),
            document=document,
            result_name=training_result_name(spec.identity, judged_by(spec)),
            longest_s=longest(spec),
            after=[job],
            opts=opts,
        )
    return _handle(result)


def _finished(context: Context, job: RayJob, job_name: str, opts: ResourceOptions) -> Output[bool]:
    """Follow the run while it is waited for; the output is known when it has ended, and raises when it has failed."""
    if pulumi.runtime.is_dry_run() or opts.parent is None:
        return job.status.apply(lambda status: _refuse_failed(job_name, status, None))
    follower = follow.follow(follow.Follower, context, job_name, opts.parent)
    return job.status.apply(lambda status: _refuse_failed(job_name, status, follower))


def _refuse_failed(name: str, status: Mapping[str, Any] | None, follower: follow.Follower | None) -> bool:
    if follower is not None:
        follower.stop()
    if failure.failed(status):
        seen, lines = (follower.seen, list(follower.lines)) if follower else ([], [])
        raise pulumi.RunError(failure.explain(name, status or {}, seen, lines))
    return True


def _verdict(
    context: Context, name: str, spec: RunSpec, base: str, finished: Output[bool], opts: ResourceOptions
) -> Output[Mapping[str, Any] | None]:
    gate = judged_by(spec)
    text = json.dumps(gate, sort_keys=True)
    volumes, mounts = _spec_volume(base)
    what = results.Collector(
        account="verdict",
        # a run that failed has no verdict: its failure is an error here, before the Job is made
        job_name=finished.apply(lambda _: verdict_name(spec.identity, gate)),
        result_name=training_result_name(spec.identity, gate),
        arguments=["-m", "infra.kubernetes.incluster.verdict", "--spec", SPEC_FILE, "--gate", text],
        environment=pods.tracking_client_env(context),
        volumes=volumes,
        mounts=mounts,
        deadline_s=_VERDICT_S if spec.wait else longest(spec) + _VERDICT_S,
        awaited=spec.wait,
        # without waiting it is there before the run has ended, and tries again until then
        tries=3 if spec.wait else 100,
    )
    return results.collect(context, name, what, opts)


def _handle(result: Output[Mapping[str, Any] | None]) -> RunHandle:
    def part(key: str, default: Any = None) -> Output[Any]:
        return result.apply(lambda found: (found or {}).get(key) or default)

    return RunHandle(
        run_id=part("run_id"),
        model_version=part("model_version"),
        verdict=part("verdict", "pending"),
        metrics=part("metrics", {}),
        reasons=part("reasons", []),
        candidate=part("candidate"),
    )


def judged_by(spec: RunSpec) -> dict[str, Any]:
    """Return the part of the gate that the verdict depends on; `on_failure` is the program's business."""
    return {key: spec.gate.get(key) for key in ("floors", "tolerance")}


def longest(spec: RunSpec) -> float:
    """Return how long all attempts of a run may take together."""
    return spec.timeout_s * (1 + spec.retries)


def spec_document(context: Context, spec: RunSpec) -> dict[str, Any]:
    """Return what the job reads, but for where its checkpoints go."""
    return {
        "contract": 1,
        "project": context.place.project,
        "stack": context.place.stack,
        "identity": spec.identity,
        "identity_parts": dict(spec.identity_parts),
        "model_name": spec.model_name,
        "tracking_uri": context.tracking_url,
        "data": dict(spec.data),
        "training": dict(spec.training),
        "gate": dict(spec.gate),
        "code": {"root": APP_FOLDER, "files": list(spec.code.files), "lock": spec.code.lock},
        "lineage": lineage(spec.code),
        "storage": "/tmp/slipway-checkpoints",  # noqa: S108 - in the pod; lost with it where there is no store
    }


def lineage(code: Code) -> dict[str, Any]:
    """Return the commit that last changed the code, and whether files differ from it; nulls outside git.

    Not HEAD: a commit that changes nothing of the code would change the specification of a finished run.
    """
    paths = [*code.files, code.lock]
    commit = _git(code, "log", "-1", "--format=%H", "--", *paths)
    changes = _git(code, "status", "--porcelain", "--", *paths)
    return {"commit": commit or None, "dirty": None if not commit or changes is None else bool(changes)}


def _git(code: Code, *arguments: str) -> str | None:
    command = ["git", "-C", str(code.root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def job_metadata(context: Context, spec: RunSpec, base: str, job_name: str) -> Manifest:
    """Return the RayJob's metadata; the parts of its identity are there to be compared in a preview."""
    awaiting = {"pulumi.com/waitFor": "jsonpath={.status.endTime}"} if spec.wait else {"pulumi.com/skipAwait": "true"}
    parts = {f"{earlier.PART_ANNOTATION}{part}": value for part, value in spec.identity_parts.items()}
    return context.metadata(job_name, labels={earlier.RUN_LABEL: base}, annotations={**OURS, **awaiting, **parts})


def job_spec(context: Context, spec: RunSpec, ray: RayTemplate, base: str, text: Output[str]) -> Manifest:
    """Return the RayJobSpec.

    K8sJobMode, of the four: its submitter is a pod of its own that can be made `restricted` (the sidecar of
    SidecarMode cannot: KubeRay takes no template for it), gets the token from KubeRay, prints the driver's log, which
    outlives the cluster, and attaches to the job when it is started again (`BuildJobSubmitCommand`).  HTTPMode has no
    log outside the cluster.
    """
    common: Manifest = {
        "submissionMode": "K8sJobMode",
        "activeDeadlineSeconds": math.ceil(spec.timeout_s),
        "preRunningDeadlineSeconds": min(math.ceil(spec.timeout_s), _START_S),
        "submitterPodTemplate": _submitter(context),
        "submitterConfig": {"backoffLimit": 2},
        # any worker, never the head; it reserves no CPU, which would be one that no training worker could have
        "entrypointResources": entrypoint_resources(),
    }
    if ray.shared:
        encoded = text.apply(lambda plain: base64.b64encode(plain.encode()).decode())
        return common | {
            "clusterSelector": {"ray.io/cluster": SHARED_CLUSTER},
            # pods that run already cannot be given a ConfigMap
            "entrypoint": f"python -m infra.kubernetes.incluster.shared_run {_SPEC_VARIABLE}",
            "runtimeEnvYAML": Output.concat('{"env_vars": {"', _SPEC_VARIABLE, '": "', encoded, '"}}'),
        }
    volumes, mounts = _spec_volume(base)
    store_volumes, store_mounts = pods.storage_volumes(context)
    workload = Workload(
        role="training",
        environment=clients(context),
        volumes=[*volumes, *store_volumes],
        mounts=[*mounts, *store_mounts],
    )
    return common | {
        "entrypoint": f"python -m training --spec {SPEC_FILE}",
        "backoffLimit": spec.retries,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 0,
        "rayClusterSpec": cluster_spec(context, ray.ray_version, workload, [workers(spec, ray)], ray.environment),
    }


def workers(spec: RunSpec, ray: RayTemplate) -> Group:
    """Return the one group of a run's cluster: as many pods as training workers, there from the start to the end."""
    resources = spec.resources
    count, cpus, gpus = int(resources.get("workers", 1)), resources.get("cpus", 1), resources.get("gpus", 0)
    if not gpus:
        memory = worker_memory(cpus, spec.memory_gib)
        return Group(name="cpu", minimum=count, maximum=count, cpus=cpus, memory_gib=memory)
    pool = pool_for(ray.pools, gpus, cpus)
    whole = math.ceil(gpus)
    return Group(
        name=pool.name,
        minimum=count,
        maximum=count,
        cpus=cpus,
        memory_gib=spec.memory_gib or pool.memory_gib * whole / pool.gpus,
        gpus=whole,
        pool=pool,
    )


def _spec_volume(base: str) -> tuple[list[Manifest], list[Manifest]]:
    volume = {"name": "run-spec", "configMap": {"name": base}}
    return [volume], [{"name": "run-spec", "mountPath": SPEC_FOLDER, "readOnly": True}]


def _submitter(context: Context) -> Manifest:
    volume, mount = pods.scratch()
    container = pods.container(
        context,
        "ray-job-submitter",
        env=pods.env({"HOME": "/tmp", "RAY_USAGE_STATS_ENABLED": "0"}),  # noqa: S108 - in the pod
        resources=pods.resources("50m", "512Mi", cpu_limit="1"),
        volumeMounts=[mount],
    )
    return {
        "metadata": {"labels": pods.labels("training")},
        "spec": {
            "serviceAccountName": "training",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "securityContext": pods.pod_security(),
            "containers": [container],
            "volumes": [volume],
            **pods.image_pull(context),
        },
    }
