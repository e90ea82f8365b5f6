"""Results that come out of the cluster: a ConfigMap made empty, a Job that fills it, and the program's reading of it.

The Job's account may read and change exactly that ConfigMap.  The reading depends on the Job's status, so a preview
that will run the Job does not know its result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pulumi import CustomTimeouts, Input, Output, Resource, ResourceOptions
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from infra.kubernetes import pods
from infra.kubernetes.names import RESULT_KEY, Context
from infra.kubernetes.pods import Manifest
from infra.kubernetes.resources import AGAIN

_API_GROUP = "rbac.authorization.k8s.io"
_TRIES = 3
_MARGIN_S = 120
"""How much longer the engine waits for a Job than the Job may run."""


@dataclass(frozen=True, kw_only=True)
class Collector:
    """A Job that finds something out and writes it down."""

    account: Literal["verdict", "release"]
    job_name: Input[str]
    result_name: Input[str]
    arguments: Sequence[Input[str]]
    """After `python`; `--result NAMESPACE/CONFIGMAP` is added."""
    environment: Sequence[Manifest]
    volumes: Sequence[Manifest] = ()
    mounts: Sequence[Manifest] = ()
    deadline_s: float
    awaited: bool = True
    tries: int = _TRIES


def collect(
    context: Context, name: str, what: Collector, opts: ResourceOptions, after: Sequence[Resource] = ()
) -> Output[Mapping[str, Any] | None]:
    """Declare the collector; return the result, None while there is none."""
    child = context.child(opts)
    result = ConfigMap(
        f"{name}-result",
        metadata=context.metadata(what.result_name),
        opts=ResourceOptions.merge(child, ResourceOptions(ignore_changes=["data"])),
    )
    grant = _grant(context, name, what, child)
    where = Output.concat(context.namespace, "/", what.result_name)
    # one that nobody waits for may still be running at the next `up`, and is left alone
    waiting = AGAIN if what.awaited else {"pulumi.com/skipAwait": "true"}
    whole = f"{int(what.deadline_s + _MARGIN_S)}s"
    job = Job(
        f"{name}-{what.account}",
        metadata=context.metadata(what.job_name, annotations=waiting),
        spec=job_spec(context, what, where),
        opts=ResourceOptions.merge(
            context.child(opts, depends_on=[result, *grant, *after]),
            ResourceOptions(custom_timeouts=CustomTimeouts(create=whole, update=whole)),
        ),
    )
    # the id is unknown as long as the Job's end is, and so is then everything that is read by it
    read = ConfigMap.get(f"{name}-result-read", Output.all(where, job.status).apply(lambda found: found[0]), child)
    return Output.all(read.data, job.status).apply(lambda found: parsed(found[0]))


def parsed(data: Mapping[str, str] | None) -> Mapping[str, Any] | None:
    """Return the document in a result's data."""
    text = (data or {}).get(RESULT_KEY)
    found: Mapping[str, Any] | None = json.loads(text) if text else None
    return found


def _grant(context: Context, name: str, what: Collector, opts: ResourceOptions) -> list[Resource]:
    metadata = context.metadata(what.account)
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [what.result_name],
        "verbs": ["get", "patch"],
    }
    role = Role(f"{name}-{what.account}-role", metadata=metadata, rules=[rule], opts=opts)
    binding = RoleBinding(
        f"{name}-{what.account}-binding",
        metadata=metadata,
        role_ref={"api_group": _API_GROUP, "kind": "Role", "name": what.account},
        subjects=[{"kind": "ServiceAccount", "name": what.account, "namespace": context.namespace}],
        opts=ResourceOptions.merge(opts, ResourceOptions(depends_on=[role])),
    )
    return [role, binding]


def job_spec(context: Context, what: Collector, where: Input[str]) -> Manifest:
    """Return the spec of the Job."""
    volume, mount = pods.scratch()
    container = pods.container(
        context,
        what.account,
        command=[pods.PYTHON],
        args=[*what.arguments, "--result", where],
        env=[*pods.env({"HOME": "/tmp", "PYTHONPATH": pods.APP_FOLDER}), *what.environment],  # noqa: S108 - in the pod
        volumeMounts=[mount, *what.mounts],
        resources=pods.resources("50m", "1Gi", cpu_limit="1"),
        # the end of the log is what the engine shows of a Job that failed
        terminationMessagePolicy="FallbackToLogsOnError",
    )
    return {
        "backoffLimit": what.tries - 1,
        "activeDeadlineSeconds": int(what.deadline_s),
        "template": {
            "metadata": {"labels": pods.labels("setup")},
            "spec": {
                "serviceAccountName": what.account,
                "automountServiceAccountToken": True,
                "enableServiceLinks": False,
                "restartPolicy": "Never",
                "securityContext": pods.pod_security(),
                "containers": [container],
                "volumes": [volume, *what.volumes],
                **pods.image_pull(context),
            },
        },
    }
