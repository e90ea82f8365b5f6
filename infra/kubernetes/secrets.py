"""Generated secrets: Pulumi makes empty Secrets and one Job fills them, so no value is ever in its state.

A value that exists is kept; a Secret that was deleted comes back with the next `up`, and the Job runs again, because
its pod names the objects that it filled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pulumi import CustomTimeouts, Input, Output, Resource, ResourceOptions

from components.kubernetes.manifest import declare
from components.kubernetes.network_policies import ROLE_LABEL, Paths, manifest, to_data
from components.kubernetes.platforms import PLATFORMS, Endpoint
from infra.kubernetes import pods
from infra.kubernetes.database import URL_KEY, USER
from infra.kubernetes.names import (
    DATABASE_PORT,
    DATABASE_SECRET,
    DATABASE_SERVICE,
    LOGIN_SECRET,
    RAY_TOKEN_SECRET,
    SERVING_TOKEN_SECRET,
    STORE_SECRET,
    Context,
    ManagedDatabase,
    service_host,
    short_digest,
)
from infra.kubernetes.pods import Manifest
from infra.kubernetes.resources import AGAIN
from infra.kubernetes.settings import STORE_CREDENTIALS

_MODULE = "infra.kubernetes.incluster.secrets"
_BYTES = 32
_DEADLINE_S = 600
TRACKING_ROLE = "tracking"
"""The role, and the database of its own, that the tracking server has on a managed PostgreSQL server."""
_STEP = {"slipway/step": "secrets"}
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
    managed = _managed(context)
    if managed is not None:
        own = {"role": TRACKING_ROLE, "database": TRACKING_ROLE, "region": managed.region}
        found[DATABASE_SECRET] = {"password": generated, URL_KEY: {"postgres": own}}
    return found


def _managed(context: Context) -> ManagedDatabase | None:
    return None if context.made is None else context.made.database


def specification(wanted: Mapping[str, Rules], managed: ManagedDatabase | None) -> Input[str]:
    """Return the rules as the Job takes them; where a server is made by the cloud, its address comes with it."""
    if managed is None:
        return json.dumps(wanted)  # in this order: a template uses the Secrets before its own

    def complete(server: Mapping[str, Any]) -> str:
        own = {**wanted[DATABASE_SECRET][URL_KEY]["postgres"], **server, "port": int(server["port"])}
        return json.dumps({**wanted, DATABASE_SECRET: {**wanted[DATABASE_SECRET], URL_KEY: {"postgres": own}}})

    return Output.all(host=managed.host, port=managed.port, secret=managed.secret).apply(complete)


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
    allowed = [declare(f"{name}-{role}", right, child) for role, right in _right(context, list(wanted))]
    if _managed(context) is not None:
        allowed.append(declare(f"{name}-network", _network(context), child))
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


def _network(context: Context) -> Manifest:
    """Let this Job's pods, and no other Job's, reach the server, its administrator's secret and who they are."""
    servers = [Endpoint(cidr=target.cidr, ports=target.ports) for target in context.config.egress.database]
    cloud = [Endpoint(cidr=target.cidr, ports=target.ports) for target in context.config.egress.object_store]
    paths = Paths(object_store=[*servers, *cloud], identity=PLATFORMS[context.config.platform].identity.endpoints)
    policy = manifest("secrets", to_data({ROLE_LABEL: "setup", **_STEP}, paths), context.namespace)
    return {**policy, "metadata": context.metadata("secrets")}


def _cloud_env(context: Context) -> list[Manifest]:
    """Return what the cloud's clients need: region and endpoint, and a login where the pod has no identity."""
    made = {} if context.made is None else context.made.environment
    login = pods.store_login(STORE_SECRET) if STORE_CREDENTIALS in context.place.secrets else []
    return [*pods.env(made), *login]


def _marks(made: Sequence[Resource]) -> Output[str]:
    """Return text that changes when one of the Secrets is another object than before."""
    metadata = [cast("Any", secret).metadata for secret in made]
    return Output.all(*metadata).apply(lambda found: short_digest([_identity(one) for one in found]))


def _identity(metadata: Any) -> str:
    return str(metadata.get("uid") if isinstance(metadata, Mapping) else metadata.uid)


def job(context: Context, wanted: Mapping[str, Rules], marks: Output[str]) -> Manifest:
    """Return the Job; its name says what it fills and with which image, so a change of either is a new Job.

    The address of a managed server is not in the name, which a preview must know; another address replaces the Job.
    """
    managed = _managed(context)
    scratch, mount = pods.scratch("16Mi")
    filler = pods.container(
        context,
        "secrets",
        command=[pods.PYTHON, "-m", _MODULE],
        args=[context.namespace, specification(wanted, managed)],
        env=[] if managed is None else _cloud_env(context),
        # the cloud's SDK takes as much again as everything else
        resources=pods.resources("50m", "128Mi" if managed is None else "256Mi", cpu_limit="500m"),
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
    if managed is not None:
        pod["metadata"]["labels"] |= _STEP
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": context.metadata(
            f"secrets-{short_digest([json.dumps(wanted), context.config.image])}", annotations=AGAIN
        ),
        "spec": {"backoffLimit": 4, "activeDeadlineSeconds": _DEADLINE_S, "template": pod},
    }
