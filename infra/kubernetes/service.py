"""A ServiceSpec's protected form as a Deployment, its Service and its PodDisruptionBudget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pulumi import Input, Output, ResourceOptions

from components.kubernetes.manifest import declare
from components.seam import ProtectedForm, ReadyCheck, ServiceHandle, ServiceSpec
from infra.kubernetes import database, pods
from infra.kubernetes.names import LOGIN_SECRET, TRACKING_PORT, Context, Role, service_aliases, service_url
from infra.kubernetes.pods import Manifest

CONFIG_FOLDER = "/etc/slipway/service"
_HOST = "0.0.0.0"  # noqa: S104 - inside a pod, behind NetworkPolicies and a login
_PREPARE = "infra.kubernetes.incluster.prepare"
_ROLES: dict[str, Role] = {"tracking": "tracking"}
_PORTS: dict[str, int] = {"tracking": TRACKING_PORT}


def provide(context: Context, name: str, spec: ServiceSpec, opts: ResourceOptions) -> ServiceHandle:
    """Declare the service; it is ready when the roll-out of its Deployment is done and the Service has endpoints."""
    form, role = spec.protected, _ROLES[spec.role]
    data = database.provide(context, name, opts)
    workload = declare(
        f"{name}-deployment",
        deployment(context, role, form, data.secret),
        context.child(opts, depends_on=data.resources),
    )
    # after the Deployment: the engine waits for the endpoints of a Service
    front = declare(f"{name}-service", service(context, role), context.child(opts, depends_on=[workload]))
    declare(f"{name}-budget", disruption_budget(context, role), context.child(opts))
    url = service_url(role, context.namespace, _PORTS[role])
    return ServiceHandle(url=Output.from_input(url), resource=front)


def deployment(context: Context, role: Role, form: ProtectedForm, database_secret: str) -> Manifest:
    """Return the Deployment: migrations in an init container, then the service."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": context.metadata(role),
        "spec": {
            "replicas": context.config.tracking_replicas,
            "revisionHistoryLimit": 3,
            # ten minutes: the image of a fresh node is several gigabytes
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": pods.labels(role)},
            "template": _pod(context, role, form, database_secret),
        },
    }


def _pod(context: Context, role: Role, form: ProtectedForm, database_secret: str) -> Manifest:
    volumes, mounts = pods.storage_volumes(context) if form.uses_store else ([], [])
    scratch, scratch_mount = pods.scratch("4Gi")
    config = {"name": "config", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    config_mount = {"name": "config", "mountPath": CONFIG_FOLDER}
    address = pods.secret_env(database_secret, {form.database.variable: database.URL_KEY})
    size = pods.resources(f"{int(form.cpus * 250)}m", f"{form.memory_mib}Mi", cpu_limit=f"{form.cpus:g}")
    prepare = pods.container(
        context,
        "prepare",
        command=[pods.PYTHON, "-m", _PREPARE],
        args=[_preparation(form)],
        env=address,
        resources=size,
        volumeMounts=[config_mount, scratch_mount],
    )
    main = pods.container(
        context,
        role,
        command=[pods.PYTHON, "-m", form.command.module],
        args=[_filled(text, role) for text in form.command.arguments],
        env=[*_environment(context, role, form), *address],
        ports=[{"name": "http", "containerPort": _PORTS[role]}],
        resources=size,
        volumeMounts=[{**config_mount, "readOnly": True}, scratch_mount, *mounts],
        **_probes(form.ready),
    )
    return pods.pod(
        context,
        role,
        containers=[main],
        initContainers=[prepare],
        volumes=[config, scratch, *volumes],
        terminationGracePeriodSeconds=30,
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": pods.labels(role)},
            }
        ],
    )


def _preparation(form: ProtectedForm) -> str:
    return json.dumps(
        {
            "variable": form.database.variable,
            "folder": CONFIG_FOLDER,
            "files": dict(form.files),
            "commands": [[command.module, *command.arguments] for command in form.database.migrations],
        },
        sort_keys=True,
    )


def _environment(context: Context, role: Role, form: ProtectedForm) -> Sequence[Manifest]:
    hosts = [*service_aliases(role, context.namespace), "localhost", "127.0.0.1"]
    plain: Mapping[str, Input[str]] = {
        **{key: _fill(value, role) for key, value in form.environment.items()},
        form.allowed_hosts: ",".join(pattern for host in hosts for pattern in (host, f"{host}:*")),
    }
    login = {form.login.username: "username", form.login.password: "password", form.login.signing_key: "flask_secret"}
    store = pods.storage_env(context) if form.uses_store else []
    return [*pods.env(plain), *store, *pods.secret_env(LOGIN_SECRET, login)]


def _probes(ready: ReadyCheck) -> Manifest:
    request = {"httpGet": {"path": ready.path, "port": "http"}, "timeoutSeconds": 5}
    return {
        "startupProbe": {**request, "periodSeconds": 3, "failureThreshold": 100},
        "readinessProbe": {**request, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**request, "periodSeconds": 20, "failureThreshold": 6},
    }


def service(context: Context, role: Role) -> Manifest:
    """Return the Service in front of the pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata(role),
        "spec": {
            "type": "ClusterIP",
            "selector": pods.labels(role),
            "ports": [{"name": "http", "port": _PORTS[role], "targetPort": "http"}],
        },
    }


def disruption_budget(context: Context, role: Role) -> Manifest:
    """Return the budget: one pod at a time.  A node can always be drained, also when there is one pod only."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": context.metadata(role),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": pods.labels(role)}},
    }


def _fill(value: Input[str], role: Role) -> Input[str]:
    return Output.from_input(value).apply(lambda text: _filled(text, role))


def _filled(text: str, role: Role) -> str:
    values = {"{host}": _HOST, "{port}": str(_PORTS[role]), "{config}": CONFIG_FOLDER}
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text
