"""What the program may ask of the local provider: the four resource types of this machine, typed.

The provider in `infra/local/provider` owns what they mean; this module only names properties, the same both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import CustomResource, Input, Output, ResourceOptions


class DataFolder(CustomResource):
    """A folder for data, kept on destroy when `retain`; `secrets` are files with random content, made once."""

    path: Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        path: Input[str],
        retain: Input[bool],
        secrets: Sequence[str],
        opts: ResourceOptions | None = None,
    ) -> None:
        properties = {"path": path, "retain": retain, "secrets": list(secrets)}
        super().__init__("slipway:local:DataFolder", resource_name, properties, opts)


class Process(CustomResource):
    """A supervised process; it is restarted when it is dead, unhealthy or asked for differently."""

    name: Output[str]
    pid: Output[int]
    incarnation: Output[str]
    log_file: Output[str]
    running: Output[bool]

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        command: Sequence[Input[str]],
        environment: Mapping[str, Input[str]],
        working_directory: Input[str],
        ports: Mapping[str, int],
        ready: Sequence[Mapping[str, Any]],
        start_timeout_s: float,
        stop_timeout_s: float,
        after_ready: Sequence[Mapping[str, Any]],
        clean: Sequence[str],
        opts: ResourceOptions | None = None,
    ) -> None:
        properties = {
            "name": name,
            "command": list(command),
            "environment": dict(environment),
            "working_directory": working_directory,
            "ports": dict(ports),
            "ready": [dict(check) for check in ready],
            "start_timeout_s": start_timeout_s,
            "stop_timeout_s": stop_timeout_s,
            "after_ready": [dict(request) for request in after_ready],
            "clean": list(clean),
            "running": True,
            "pid": None,
            "incarnation": None,
            "log_file": None,
        }
        super().__init__("slipway:local:Process", resource_name, properties, opts)


class RayJob(CustomResource):
    """A training run as a job of a Ray head, replaced when its identity changes."""

    status: Output[str]
    run_id: Output[str | None]
    model_version: Output[str | None]
    verdict: Output[str | None]
    metrics: Output[Mapping[str, float] | None]
    reasons: Output[Sequence[str] | None]
    candidate: Output[str | None]

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        identity: str,
        identity_parts: Mapping[str, str],
        spec: Input[str],
        code: Mapping[str, Any],
        python: str,
        dashboard_url: Input[str],
        token_file: Input[str],
        tracking_uri: Input[str],
        model_name: str,
        run_directory: str,
        code_directory: str,
        resources: Mapping[str, float],
        timeout_s: float,
        wait: bool,
        gate: Input[str],
        opts: ResourceOptions | None = None,
    ) -> None:
        computed = ("status", "run_id", "model_version", "verdict", "metrics", "reasons", "candidate")
        properties = {
            "name": name,
            "identity": identity,
            "identity_parts": dict(identity_parts),
            "spec": spec,
            "code": dict(code),
            "python": python,
            "dashboard_url": dashboard_url,
            "token_file": token_file,
            "tracking_uri": tracking_uri,
            "model_name": model_name,
            "run_directory": run_directory,
            "code_directory": code_directory,
            "resources": dict(resources),
            "timeout_s": timeout_s,
            "wait": wait,
            "gate": gate,
            **dict.fromkeys(computed),
        }
        super().__init__("slipway:local:RayJob", resource_name, properties, opts)


class ServeApplication(CustomResource):
    """A Serve application on a Ray head, deployed again when the head was started anew."""

    url: Output[str]
    live: Output[bool]
    champion: Output[str | None]
    challenger: Output[str | None]
    release_phase: Output[str | None]

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        dashboard_url: Input[str],
        token_file: Input[str],
        incarnation: Input[str],
        application: Input[str],
        http: Mapping[str, Any],
        grpc_port: int,
        code: Mapping[str, Any],
        code_directory: str,
        url: str,
        tracking_uri: Input[str],
        model_name: str,
        candidate: Input[str | None],
        release: Mapping[str, Any],
        timeout_s: float,
        opts: ResourceOptions | None = None,
    ) -> None:
        properties = {
            "name": name,
            "dashboard_url": dashboard_url,
            "token_file": token_file,
            "incarnation": incarnation,
            "application": application,
            "http": dict(http),
            "grpc_port": grpc_port,
            "code": dict(code),
            "code_directory": code_directory,
            "url": url,
            "tracking_uri": tracking_uri,
            "model_name": model_name,
            "candidate": candidate,
            "release": dict(release),
            "timeout_s": timeout_s,
            "live": True,
            **dict.fromkeys(("champion", "challenger", "release_phase")),
        }
        super().__init__("slipway:local:ServeApplication", resource_name, properties, opts)
