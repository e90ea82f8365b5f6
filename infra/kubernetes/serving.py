"""The model service as a RayService, and the Job that waits for its release controller.

`serveConfigV2` holds the application, the candidate and the policy, never weights: KubeRay hands a changed one to the
running cluster.  A changed image or size makes a new cluster beside the old one, and traffic moves when the new one
answers; `code_digest` among the arguments makes a changed serving code another application.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import Input, Output, Resource, ResourceOptions
from pulumi_kubernetes.core.v1 import Service

from components.seam import AppHandle, AppSpec, RayHandle
from infra.kubernetes import follow, pods, results
from infra.kubernetes.groups import Group
from infra.kubernetes.names import (
    SERVING_PORT,
    SERVING_SERVICE,
    SERVING_TOKEN_SECRET,
    TOKEN_FOLDER,
    Context,
    release_name,
    release_result_name,
)
from infra.kubernetes.pods import Manifest
from infra.kubernetes.ray_template import WORKER, RayTemplate, Workload, cluster_spec
from infra.kubernetes.resources import OURS, HTTPRoute, RayService

APPLICATION = "slipway"
REPLICA_CPUS = 0.5
"""What a replica reserves in Ray, and a worker pod in the cluster; see `serving/app.py`."""
REPLICA_GIB = 2.0
_START_TIMEOUT_S = 1200
_RELEASE_S = 600
_ROUTE_TIMEOUT_S = 120
_OLD_CLUSTER_S = 60
_PORTS: list[Any] = [{"name": "serve", "port": SERVING_PORT, "targetPort": SERVING_PORT, "protocol": "TCP"}]
_BACKSTOP_S = 5
"""Serve's own time-out comes after the application's, which answers."""


def serve(context: Context, name: str, spec: AppSpec, ray: RayHandle, opts: ResourceOptions) -> AppHandle:
    """Keep the application running, hand it its candidate and wait for what becomes of that."""
    if not isinstance(ray, RayTemplate):
        raise TypeError("the Ray handle of another substrate was given to this one")
    config = Output.all(spec.tracking_url, spec.candidate).apply(
        lambda found: json.dumps(
            serve_config(context, spec, found[0], found[1], ray.request_timeout_s),
            sort_keys=True,
            separators=(",", ":"),
        )
    )
    service = RayService(
        f"{name}-service",
        metadata=context.metadata(SERVING_SERVICE, annotations={**OURS, "pulumi.com/waitFor": "condition=Ready"}),
        spec=service_spec(context, spec, ray, config),
        timeout_s=_START_TIMEOUT_S,
        opts=context.child(opts, depends_on=[ray.resource]),
    )
    _tell(context, service, opts)
    if context.config.incremental_upgrade is not None:
        _stable_service(context, name, opts)
    if context.config.gateway is not None:
        _route(context, name, service, opts)
    result = _release(context, name, spec, service, opts)
    return AppHandle(
        url=service.status.apply(lambda _: public_url(context)),
        champion=result.apply(lambda found: (found or {}).get("champion")),
        challenger=result.apply(lambda found: (found or {}).get("challenger")),
    )


def _tell(context: Context, service: RayService, opts: ResourceOptions) -> None:
    """Tell, while the service is waited for, why it does not become ready."""
    if pulumi.runtime.is_dry_run() or opts.parent is None:
        return
    follower = follow.follow(follow.ServiceFollower, context, SERVING_SERVICE, opts.parent)
    service.status.apply(lambda _: follower.stop())


def public_url(context: Context) -> str:
    """Return the address of the model endpoint: the Gateway's where there is one, else the Service's."""
    gateway = context.config.gateway
    if gateway is None:
        return context.serving_url
    return f"{'http' if gateway.tls is None else 'https'}://{gateway.hostname}"


def serve_config(
    context: Context, spec: AppSpec, tracking_url: str, candidate: str | None, request_timeout_s: float
) -> dict[str, Any]:
    """Return the Serve configuration."""
    arguments = {
        "contract": 1,
        "project": context.place.project,
        "stack": context.place.stack,
        "model_name": spec.model_name,
        "tracking_uri": tracking_url,
        "code_digest": spec.code.digest,
        **spec.arguments,
    }
    controller = {
        "name": "ReleaseController",
        # it starts the smoke tests of candidates: on a worker, never on the head
        "ray_actor_options": {"num_cpus": 0, "resources": {WORKER: 0.01}},
        "user_config": {"candidate": candidate, "release": {"strategy": spec.strategy}},
    }
    return {
        # a worker pod is ready, and gets requests, when the proxy on it answers
        "proxy_location": "EveryNode",
        "http_options": {
            "host": "0.0.0.0",  # noqa: S104 - in the pod; a NetworkPolicy says who may call
            "port": SERVING_PORT,
            "request_timeout_s": request_timeout_s + _BACKSTOP_S,
        },
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": "/",
                "import_path": spec.import_path,
                "args": arguments,
                "deployments": [controller],
            }
        ],
    }


def service_spec(context: Context, spec: AppSpec, ray: RayTemplate, config: Input[str]) -> Manifest:
    """Return the RayServiceSpec."""
    replicas: Mapping[str, int] = spec.arguments["replicas"]
    secret = {"secretName": SERVING_TOKEN_SECRET, "items": [{"key": "token", "path": "token"}], "defaultMode": 0o440}
    workload = Workload(
        role="serving",
        environment=[
            *pods.tracking_client_env(context),
            *pods.env({"SLIPWAY_TOKEN_FILE": f"{TOKEN_FOLDER}/token"}),
        ],
        volumes=[{"name": "serving-token", "secret": secret}],
        mounts=[{"name": "serving-token", "mountPath": TOKEN_FOLDER, "readOnly": True}],
        serves=True,
        # KubeRay demands the autoscaler for an upgrade by steps
        autoscaled=replicas["max"] > replicas["min"] or context.config.incremental_upgrade is not None,
    )
    group = Group(
        name="replicas",
        minimum=replicas["min"],
        maximum=replicas["max"],
        cpus=REPLICA_CPUS,
        memory_gib=REPLICA_GIB,
    )
    return {
        "serveConfigV2": config,
        "rayClusterDeletionDelaySeconds": _OLD_CLUSTER_S,
        "excludeHeadPodFromServeSvc": True,
        **_upgrade(context),
        "rayClusterConfig": cluster_spec(context, ray.ray_version, workload, [group], ray.environment),
    }


def _upgrade(context: Context) -> Manifest:
    """Return how a new cluster takes over, and the Service that leads to the one that answers."""
    stepwise = context.config.incremental_upgrade
    if stepwise is None:
        # KubeRay keeps this Service pointed at the cluster that answers; the name is ours and never changes
        service = {
            "metadata": {"name": SERVING_SERVICE, "labels": pods.labels("serving")},
            "spec": {"type": "ClusterIP", "ports": _PORTS},
        }
        return {"upgradeStrategy": {"type": "NewCluster"}, "serveService": service}
    options = {
        "gatewayClassName": stepwise.gateway_class,
        "stepSizePercent": stepwise.step_percent,
        "intervalSeconds": stepwise.interval_s,
        "maxSurgePercent": stepwise.surge_percent,
    }
    return {"upgradeStrategy": {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options}}


def _stable_service(context: Context, name: str, opts: ResourceOptions) -> None:
    """With steps KubeRay has one Service a cluster: this one leads to every ready replica, whichever cluster's."""
    selector = {"app.kubernetes.io/component": "serving", "ray.io/serve": "true", "ray.io/node-type": "worker"}
    Service(
        f"{name}-endpoint",
        metadata=context.metadata(SERVING_SERVICE),
        spec={"type": "ClusterIP", "selector": selector, "ports": _PORTS},
        opts=context.child(opts),
    )


def _release(
    context: Context, name: str, spec: AppSpec, service: Resource, opts: ResourceOptions
) -> Output[Mapping[str, Any] | None]:
    fixed = {
        "strategy": spec.strategy,
        "wait": spec.wait,
        "model": spec.model_name,
        "code": spec.code.digest,
        "image": context.config.image,
    }
    request = spec.candidate.apply(lambda candidate: {**fixed, "candidate": candidate})
    what = results.Collector(
        account="release",
        job_name=request.apply(release_name),
        result_name=request.apply(release_result_name),
        arguments=[
            "-m",
            "infra.kubernetes.incluster.release",
            "--tracking-uri",
            spec.tracking_url,
            "--model",
            spec.model_name,
            "--candidate",
            spec.candidate.apply(lambda candidate: candidate or ""),
            "--strategy",
            spec.strategy,
            "--wait",
            spec.wait,
            "--timeout",
            str(_RELEASE_S),
        ],
        environment=pods.tracking_client_env(context),
        deadline_s=_RELEASE_S + 60,
        # what it waits for does not come about by asking again
        tries=1,
    )
    return results.collect(context, name, what, opts, after=[service])


def _route(context: Context, name: str, service: Resource, opts: ResourceOptions) -> None:
    HTTPRoute(
        f"{name}-route",
        metadata=context.metadata(SERVING_SERVICE),
        spec=route_spec(context),
        timeout_s=_ROUTE_TIMEOUT_S,
        opts=context.child(opts, depends_on=[service]),
    )


def route_spec(context: Context) -> Manifest:
    """Return the HTTPRoute from the Gateway's host name to the Service.

    Raises:
        ValueError: the config has no gateway.
    """
    gateway = context.config.gateway
    if gateway is None:
        raise ValueError("a route needs slipway:substrate.gateway")
    parent: Manifest = {"name": gateway.name, "namespace": gateway.namespace}
    if gateway.tls is not None:
        parent["sectionName"] = gateway.tls.section  # the listener that ends TLS, so that no request comes in plain
    return {
        "parentRefs": [parent],
        "hostnames": [gateway.hostname],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": SERVING_SERVICE, "port": SERVING_PORT}],
            }
        ],
    }
