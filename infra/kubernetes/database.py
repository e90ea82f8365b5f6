"""The PostgreSQL database of a service: one in the namespace for small clusters, or one that exists.

Its address is only ever in a Secret.  One pod and one volume are no high availability: docs/kubernetes.md says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import Resource, ResourceOptions

from components.kubernetes.manifest import declare
from infra.kubernetes import pods
from infra.kubernetes.names import DATABASE_PORT, DATABASE_SECRET, DATABASE_SERVICE, Context
from infra.kubernetes.settings import DATABASE_URL
from infra.kubernetes.storage import claim

USER = "slipway"
URL_KEY = "url"
_DATA = "/var/lib/postgresql/data"
_SOCKETS = "/var/run/postgresql"


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database; the key `url` of `secret` is its SQLAlchemy URL."""

    secret: str
    resources: Sequence[Resource]


def provide(context: Context, name: str, opts: ResourceOptions) -> Database:
    """Run PostgreSQL, or take the database that the config names."""
    settings = context.config.database
    if settings.url_secret is not None:
        return Database(secret=settings.url_secret, resources=[])
    if context.made is not None and context.made.database is not None:
        return Database(secret=DATABASE_SECRET, resources=[])  # the Job `secrets` writes the URL of MLflow's own role
    if settings.image is None:
        return Database(secret=DATABASE_SECRET, resources=[_given(context, name, opts)])
    child = context.child(opts)
    volume = declare(f"{name}-database-volume", claim(context, DATABASE_SERVICE, settings.size), child)
    server = declare(
        f"{name}-database",
        stateful_set(context, settings.image),
        context.child(opts, depends_on=[volume]),
    )
    service = declare(f"{name}-database-service", service_of(context), context.child(opts, depends_on=[server]))
    return Database(secret=DATABASE_SECRET, resources=[server, service])


def _given(context: Context, name: str, opts: ResourceOptions) -> Resource:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": context.metadata(DATABASE_SECRET),
        "type": "Opaque",
        "stringData": {URL_KEY: context.place.secrets[DATABASE_URL].apply(_with_driver)},
    }
    return declare(f"{name}-database-url", manifest, context.child(opts))


def _with_driver(url: str) -> str:
    """Name the driver: which one plain `postgresql:` means differs between versions of SQLAlchemy."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg2{separator}{rest}" if scheme in ("postgres", "postgresql") else url


def stateful_set(context: Context, image: str) -> dict[str, Any]:
    """Return PostgreSQL as the official image runs it, as a user without rights on a read-only root."""
    label = pods.labels("database")
    sockets, sockets_mount = pods.scratch("16Mi", _SOCKETS)
    scratch, scratch_mount = pods.scratch("256Mi")
    environment = [
        *pods.env({"POSTGRES_USER": USER, "POSTGRES_DB": USER, "PGDATA": f"{_DATA}/pgdata"}),
        *pods.secret_env(DATABASE_SECRET, {"POSTGRES_PASSWORD": "password"}),
    ]
    probe = {"exec": {"command": ["pg_isready", "--quiet", "--host=127.0.0.1", f"--username={USER}"]}}
    server = {
        **pods.container(context, "postgres"),
        "image": image,
        "env": environment,
        "ports": [{"name": "postgres", "containerPort": DATABASE_PORT}],
        "resources": pods.resources("250m", "512Mi", cpu_limit="1"),
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 90, "timeoutSeconds": 5},
        "readinessProbe": {**probe, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {**probe, "periodSeconds": 20, "failureThreshold": 6, "timeoutSeconds": 5},
        "volumeMounts": [{"name": "data", "mountPath": _DATA}, sockets_mount, scratch_mount],
    }
    pod = pods.pod(
        context,
        "database",
        containers=[server],
        volumes=[
            {"name": "data", "persistentVolumeClaim": {"claimName": DATABASE_SERVICE}},
            sockets,
            scratch,
        ],
        # a fast shutdown writes everything down; killed, it would replay its log at the next start
        terminationGracePeriodSeconds=60,
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": context.metadata(DATABASE_SERVICE),
        "spec": {
            "replicas": 1,
            "serviceName": DATABASE_SERVICE,
            "selector": {"matchLabels": label},
            "template": pod,
        },
    }


def service_of(context: Context) -> dict[str, Any]:
    """Return the Service in front of the database."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata(DATABASE_SERVICE),
        "spec": {
            "type": "ClusterIP",
            "selector": pods.labels("database"),
            "ports": [{"name": "postgres", "port": DATABASE_PORT, "targetPort": "postgres"}],
        },
    }
