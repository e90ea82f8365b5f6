"""How pods look: security for `restricted` admission, labels, scratch space, environment from secrets.

Everything is in the form of manifests (camelCase), because the same parts go into Deployments and into the pod
templates of Ray's custom resources.  Nothing here declares an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pulumi import Input

from infra.kubernetes.names import LOGIN_SECRET, PART_OF, STORE_FOLDER, Account, Context, Role

Manifest = dict[str, Any]

USER = 10001
APP_FOLDER = "/opt/slipway/app"
PYTHON = "/opt/slipway/venv/bin/python"
_STORE_VOLUME = "artifacts"


def pod_security() -> Manifest:
    """Return the security context of a pod: no root, the runtime's own seccomp profile."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Return the security context of a container: nothing to gain, nothing to change."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def labels(role: Role, **more: str) -> dict[str, str]:
    """Return the labels of a pod; NetworkPolicies select by them."""
    return {"app.kubernetes.io/part-of": PART_OF, "app.kubernetes.io/component": role, **more}


def resources(cpu: str, memory: str, *, cpu_limit: str | None = None, **more: str) -> Manifest:
    """Return requests and limits; memory is never overcommitted, CPU may burst to `cpu_limit`."""
    return {
        "requests": {"cpu": cpu, "memory": memory, **more},
        "limits": {"cpu": cpu_limit or cpu, "memory": memory, **more},
    }


def cores(number: float) -> str:
    """Return CPUs as Kubernetes itself writes them.

    KubeRay writes its resources back whole and every quantity in this one way; one that the program wrote otherwise
    would be a change in every `up`, since Pulumi's plugin knows the quantities of built-in kinds only.
    """
    thousandths = round(number * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def mebibytes(number: int) -> str:
    """Return an amount of memory, given in MiB, as Kubernetes itself writes it."""
    for suffix in ("Mi", "Gi", "Ti"):
        if number % 1024:
            return f"{number}{suffix}"
        number //= 1024
    return f"{number}Pi"


def env(values: Mapping[str, Input[str]]) -> list[Manifest]:
    """Return plain environment variables."""
    return [{"name": name, "value": value} for name, value in values.items()]


def secret_env(secret: str, keys: Mapping[str, str]) -> list[Manifest]:
    """Return environment variables from a Secret: `keys` maps the variable's name to the key."""
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for name, key in keys.items()]


def tracking_client_env(context: Context) -> list[Manifest]:
    """Return what MLflow's clients need: the address and the login."""
    plain = {"MLFLOW_TRACKING_URI": context.tracking_url}
    login = {"MLFLOW_TRACKING_USERNAME": "username", "MLFLOW_TRACKING_PASSWORD": "password"}
    return [*env(plain), *secret_env(LOGIN_SECRET, login)]


def storage_env(context: Context) -> list[Manifest]:
    """Return what clients of the artifact store need: endpoint, region, credentials."""
    storage = context.storage
    if storage is None:
        return []
    return [*env(storage.environment), *([] if storage.secret is None else store_login(storage.secret))]


def store_login(secret: str) -> list[Manifest]:
    """Return the keys of a Secret under the names by which AWS's clients look for them."""
    return secret_env(secret, {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")})


def storage_volumes(context: Context) -> tuple[list[Manifest], list[Manifest]]:
    """Return volumes and mounts of the artifact store; empty unless the store is a volume."""
    if context.storage is None or context.storage.claim is None:
        return [], []
    volume = {"name": _STORE_VOLUME, "persistentVolumeClaim": {"claimName": context.storage.claim}}
    return [volume], [{"name": _STORE_VOLUME, "mountPath": STORE_FOLDER}]


def scratch(size: str = "1Gi", path: str = "/tmp") -> tuple[Manifest, Manifest]:  # noqa: S108 - inside the pod
    """Return a volume and its mount: a writable folder of a container whose root is read-only."""
    name = f"scratch{path.replace('/', '-')}"
    return {"name": name, "emptyDir": {"sizeLimit": size}}, {"name": name, "mountPath": path}


def shared_memory(size: str) -> tuple[Manifest, Manifest]:
    """Return a volume and its mount for /dev/shm, which Ray's object store needs at its full size."""
    volume = {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": size}}
    return volume, {"name": "shared-memory", "mountPath": "/dev/shm"}  # noqa: S108 - inside the pod


def image_pull(context: Context) -> Manifest:
    """Return the pod's pull secrets, if any are configured."""
    secret = context.config.pull_secret
    return {} if secret is None else {"imagePullSecrets": [{"name": secret}]}


def container(context: Context, name: str, **more: Any) -> Manifest:
    """Return a container of the environment's image, with what every container has in common."""
    own = more.pop("env", [])
    return {
        "name": name,
        "image": context.config.image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": container_security(),
        # for the message of a job or replica that finds other code in its image than the stack wants
        "env": [*env({"SLIPWAY_IMAGE": context.config.image}), *own],
        **more,
    }


def pod(
    context: Context,
    role: Role,
    *,
    account: Account | Literal["schedule"] | None = None,
    token: bool = False,
    **more: Any,
) -> Manifest:
    """Return a pod template of a role, with what every pod has in common.

    Args:
        context: the environment.
        role: what NetworkPolicies know the pod as.
        account: its ServiceAccount; the one named like the role when absent.
        token: whether it talks to the API server.
        **more: the rest of the pod's spec: containers, volumes.
    """
    return {
        "metadata": {"labels": labels(role)},
        "spec": {
            "serviceAccountName": account or role,
            "automountServiceAccountToken": token,
            "enableServiceLinks": False,
            "securityContext": pod_security(),
            **image_pull(context),
            **more,
        },
    }
