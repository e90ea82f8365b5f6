"""Generated secrets: Pulumi makes empty Secrets and one Job fills them, so no value is ever in its state.

A value that exists is kept; a Secret that was deleted comes back with the next `up`, and the Job runs again, because
its pod names the objects that it filled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pulumi import CustomTimeouts, Output, Resource, ResourceOptions

from components.kubernetes.manifest import declare
from infra.kubernetes import pods
from infra.kubernetes.database import URL_KEY, USER
from infra.kubernetes.names import (
    DATABASE_PORT,
    DATABASE_SECRET,
    DATABASE_SERVICE,
    LOGIN_SECRET,
    RAY_TOKEN_SECRET,
    SERVING_TOKEN_SECRET,
    Context,
    service_host,
    short_digest,
)
from infra.kubernetes.pods import Manifest

_MODULE = "infra.kubernetes.incluster.secrets"
_BYTES = 32
_DEADLINE_S = 600
Rules = Mapping[str, Mapping[str, Any]]


def rules(context: Context) -> dict[str, Rules]:
    """Return what each Secret holds, in the form that the Job reads."""
    generated = {"random": _BYTES}
    found: dict[str, Rules] = {
        LOGIN_SECRET: {"username": {"value": USER}, "password": generated, "flask_secret": generated},
        RAY_TOKEN_SECRET: {"auth_token": generated},
        SERVING_TOKEN_SECRET: {"token": generated},
    }
    if context.config.database.image is not None:
        host = service_host(DATABASE_SERVICE, context.namespace)
        url = f"postgresql+psycopg2://{USER}:{{password}}@{host}:{DATABASE_PORT}/{USER}"
        found[DATABASE_SECRET] = {"password": generated, URL_KEY: {"template": url}}
    return found


def fill(context: Context, name: str, opts: ResourceOptions) -> Resource:
    """Declare the Secrets, the right to fill exactly these, and the Job that does; return the Job."""
    wanted = rules(context)
    child = context.child(opts)
    made = [
        declare(
            f"{name}-{secret}",
            _empty(context, secret),
            ResourceOptions.merge(child, ResourceOptions(ignore_changes=["data", "stringData"])),
        )
        for secret in wanted
    ]
    allowed = [declare(f"{name}-{role}", manifest, child) for role, manifest in _right(context, list(wanted))]
    within = ResourceOptions(custom_timeouts=CustomTimeouts(create=f"{_DEADLINE_S + 60}s"))
    after = context.child(ResourceOptions.merge(opts, within), depends_on=[*made, *allowed])
    return declare(f"{name}-job", job(context, wanted, _marks(made)), after)


def _empty(context: Context, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": context.metadata(name), "type": "Opaque"}


def _right(context: Context, names: Sequence[str]) -> list[tuple[str, Manifest]]:
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": list(names), "verbs": ["get", "patch"]}
    subject = {"kind": "ServiceAccount", "name": "secrets", "namespace": context.namespace}
    common: Manifest = {"apiVersion": f"{group}/v1", "metadata": context.metadata("secrets")}
    role = {"apiGroup": group, "kind": "Role", "name": "secrets"}
    return [
        ("role", {**common, "kind": "Role", "rules": [rule]}),
        ("binding", {**common, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]}),
    ]


def _marks(made: Sequence[Resource]) -> Output[str]:
    """Return text that changes when one of the Secrets is another object than before."""
    metadata = [cast("Any", secret).metadata for secret in made]
    return Output.all(*metadata).apply(lambda found: short_digest([_identity(one) for one in found]))


def _identity(metadata: Any) -> str:
    return str(metadata.get("uid") if isinstance(metadata, Mapping) else metadata.uid)


def job(context: Context, wanted: Mapping[str, Rules], marks: Output[str]) -> Manifest:
    """Return the Job; its name says what it fills and with which image, so a change of either is a new Job."""
    spec = json.dumps(wanted)  # in this order: a template uses the Secrets before its own
    scratch, mount = pods.scratch("16Mi")
    filler = pods.container(
        context,
        "secrets",
        command=[pods.PYTHON, "-m", _MODULE],
        args=[context.namespace, spec],
        resources=pods.resources("50m", "128Mi", cpu_limit="500m"),
        volumeMounts=[mount],
    )
    pod = pods.pod(
        context,
        "setup",
        account="secrets",
        token=True,
        containers=[filler],
        volumes=[scratch],
        restartPolicy="Never",
    )
    pod["metadata"]["annotations"] = {"slipway/secrets": marks}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": context.metadata(f"secrets-{short_digest([spec, context.config.image])}"),
        "spec": {"backoffLimit": 4, "activeDeadlineSeconds": _DEADLINE_S, "template": pod},
    }
