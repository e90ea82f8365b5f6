"""A schedule for retraining: a CronJob that looks whether the data have changed and trains the stack's run on them.

There only while `slipway:training.schedule` is set.  The CronJob changes what the stack reads, never what it releases:
Pulumi stays the owner of the candidate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import Output, Resource, ResourceOptions

from components.kubernetes.environment_namespace import account_with_identity
from components.kubernetes.manifest import declare
from components.kubernetes.network_policies import ROLE_LABEL, Paths, manifest, to_data
from components.kubernetes.platforms import PLATFORMS, Endpoint
from infra.kubernetes import pods
from infra.kubernetes.names import SCHEDULE_ACCOUNT, SCHEDULE_FOLDER, SCHEDULE_NAME, Context
from infra.kubernetes.pods import Manifest
from infra.kubernetes.ray_template import clients

_TEMPLATE = "template.json"
_STEP = {"slipway/step": SCHEDULE_NAME}
_RBAC = "rbac.authorization.k8s.io"
_LATE_S = 3600
"""A date that the cluster missed, because it was down, is made up for this long."""
_OWN_S = 1800
"""For reading the data, judging, and a cluster that starts slowly."""


def provide(
    context: Context,
    name: str,
    schedule: str,
    *,
    job_spec: Mapping[str, Any],
    document: Output[Mapping[str, Any]],
    result_name: str,
    longest_s: float,
    after: Sequence[Resource],
    opts: ResourceOptions,
) -> Resource:
    """Declare the CronJob with all it needs; return it.

    Args:
        context: the environment.
        name: prefix of logical names.
        schedule: cron, UTC.
        job_spec: the RayJob's spec, with the marks of `incluster.derived` where a run's own name and text go.
        document: the specification of the stack's own run.
        result_name: the ConfigMap that the stack reads.
        longest_s: how long a training may take, all attempts together.
        after: the stack's own run, which comes first.
        opts: resource options of the children.
    """
    child = context.child(opts)
    template = declare(f"{name}-schedule-template", _template(context, job_spec, document), child)
    policy = manifest(SCHEDULE_NAME, to_data({ROLE_LABEL: "setup", **_STEP}, _paths(context)), context.namespace)
    policy["metadata"] = context.metadata(SCHEDULE_NAME)
    account = declare(f"{name}-schedule-account", _account(context), child)
    right = [
        declare(f"{name}-schedule-{part}", made, context.child(opts, depends_on=[account]))
        for part, made in _right(context, result_name)
    ]
    network = declare(f"{name}-schedule-network", policy, child)
    needed = [template, account, *right, network, *after]
    job = cron_job(context, schedule, result_name, longest_s)
    return declare(f"{name}-schedule", job, context.child(opts, depends_on=needed))


def _template(context: Context, job_spec: Mapping[str, Any], document: Output[Mapping[str, Any]]) -> Manifest:
    job = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": context.metadata("named-when-made")}
    text = Output.json_dumps({"spec": document, "rayjob": {**job, "spec": job_spec}}, sort_keys=True)
    metadata = context.metadata(SCHEDULE_NAME)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_TEMPLATE: text}}


def _account(context: Context) -> Manifest:
    """Return its ServiceAccount: it reads the data that training reads, and so it is the same identity in a cloud."""
    config = context.config
    found = account_with_identity(SCHEDULE_ACCOUNT, config.platform, config.identities.training)
    annotations = {"annotations": dict(found.annotations)} if found.annotations else {}
    metadata = context.metadata(SCHEDULE_ACCOUNT, labels=dict(found.labels), **annotations)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}


def rules(result_name: str) -> list[Manifest]:
    """Return what the account may do in its namespace.

    A Role cannot say "names that begin with `training-`", nor "those that it made", and names of runs to come are
    unknown.  So RayJobs are granted whole: made, read, and removed when they have ended long ago.  ConfigMaps it may
    only make; they go with the RayJob that owns them.  Besides, it may change one ConfigMap by name: the result.
    """
    return [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "delete", "get", "list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [result_name], "verbs": ["get", "patch"]},
    ]


def _right(context: Context, result_name: str) -> list[tuple[str, Manifest]]:
    common = {"apiVersion": f"{_RBAC}/v1", "metadata": context.metadata(SCHEDULE_ACCOUNT)}
    subject = {"kind": "ServiceAccount", "name": SCHEDULE_ACCOUNT, "namespace": context.namespace}
    role = {"apiGroup": _RBAC, "kind": "Role", "name": SCHEDULE_ACCOUNT}
    return [
        ("role", {**common, "kind": "Role", "rules": rules(result_name)}),
        ("binding", {**common, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]}),
    ]


def _paths(context: Context) -> Paths:
    config = context.config
    known = config.identities.training or context.made is not None
    identity = PLATFORMS[config.platform].identity.endpoints if known else ()
    stores = [Endpoint(cidr=target.cidr, ports=target.ports) for target in config.egress.object_store]
    return Paths(object_store=stores, store_in=config.egress.object_store_in, identity=identity)


def cron_job(context: Context, schedule: str, result_name: str, longest_s: float) -> Manifest:
    """Return the CronJob; `kubectl create job --from=cronjob/retraining NAME` runs it at once."""
    job = {
        "activeDeadlineSeconds": math.ceil(longest_s) + _OWN_S,
        "backoffLimit": 3,
        # what it says itself is the same when it is tried again; what happens to its pod is not
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}},
            ]
        },
        "template": _pod(context, f"{context.namespace}/{result_name}"),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": context.metadata(SCHEDULE_NAME),
        "spec": {
            "schedule": schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _LATE_S,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": job},
        },
    }


def _pod(context: Context, target: str) -> Manifest:
    scratch, mount = pods.scratch()
    container = pods.container(
        context,
        SCHEDULE_NAME,
        command=[pods.PYTHON, "-m", "infra.kubernetes.incluster.retrain"],
        args=["--template", f"{SCHEDULE_FOLDER}/{_TEMPLATE}", "--result", target],
        env=[*pods.env({"HOME": "/tmp", "PYTHONPATH": pods.APP_FOLDER}), *clients(context)],  # noqa: S108 - in the pod
        volumeMounts=[mount, {"name": "template", "mountPath": SCHEDULE_FOLDER, "readOnly": True}],
        resources=pods.resources("50m", "1Gi", cpu_limit="1"),
        terminationMessagePolicy="FallbackToLogsOnError",
    )
    pod = pods.pod(
        context,
        "setup",
        account=SCHEDULE_ACCOUNT,
        token=True,
        containers=[container],
        volumes=[scratch, {"name": "template", "configMap": {"name": SCHEDULE_NAME}}],
        restartPolicy="Never",
    )
    identity = PLATFORMS[context.config.platform].identity.pod_labels
    pod["metadata"]["labels"] = {**pods.labels("setup", **identity), **_STEP}
    return pod
