"""The resource types of the local provider, as the program uses them.

Only declarations: what each does is the provider's affair (`infra/local/provider`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import CustomResource, Input, Output, ResourceOptions


class DataFolder(CustomResource):
    """A folder of the stack; removed with it unless retained."""

    path: Output[str]
    retain: Output[bool]
    secrets: Output[Sequence[str]]

    def __init__(
        self,
        resource_name: str,
        *,
        path: Input[str],
        retain: Input[bool],
        secrets: Input[Sequence[Input[str]]],
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare a folder.

        Args:
            resource_name: logical name.
            path: absolute path.
            retain: whether it survives a destroy.
            secrets: names of files below `secrets/`, each made once of 32 random bytes in hex, mode 0600.
            opts: resource options.
        """
        inputs = {"path": path, "retain": retain, "secrets": secrets}
        super().__init__("slipway:local:DataFolder", resource_name, inputs, opts)


class Process(CustomResource):
    """A supervised process with a session of its own."""

    name: Output[str]
    command: Output[Sequence[str]]
    environment: Output[Mapping[str, str]]
    working_directory: Output[str]
    ports: Output[Mapping[str, int]]
    ready: Output[Sequence[Mapping[str, Any]]]
    start_timeout_s: Output[float]
    stop_timeout_s: Output[float]
    after_ready: Output[Sequence[Mapping[str, Any]]]
    clean: Output[Sequence[str]]
    running: Output[bool]
    """False when the last refresh found it dead or not answering."""
    pid: Output[int]
    started: Output[str]
    """Start time in clock ticks and the boot it belongs to."""
    incarnation: Output[str]
    """Changes with every start; unknown in a preview that will (re)start it."""
    log_file: Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: Input[str],
        command: Input[Sequence[Input[str]]],
        environment: Input[Mapping[str, Input[str]]],
        working_directory: Input[str],
        ports: Input[Mapping[str, Input[int]]],
        ready: Input[Sequence[Mapping[str, Any]]],
        start_timeout_s: Input[float],
        stop_timeout_s: Input[float],
        after_ready: Input[Sequence[Mapping[str, Any]]],
        clean: Input[Sequence[Input[str]]],
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare a process.

        Args:
            resource_name: logical name.
            name: under which it is recorded and logged; unlike any other of the stack.
            command: program and arguments; no secrets.
            environment: its own part of the environment; PULUMI_*, PYTHON*, RAY_* and MLFLOW_* are never inherited.
            working_directory: absolute path.
            ports: config key -> port it will listen on; refused by name when taken.
            ready: what must hold before it counts as running: `{"url", "method", "body", "status", "token_file"}`
                or `{"host", "port"}`.
            start_timeout_s: seconds until it must be ready.
            stop_timeout_s: seconds between SIGTERM and SIGKILL.
            after_ready: requests sent once, in the background: `{"url", "method", "body", "token_file"}`.
            clean: paths removed before a start and after the stop.
            opts: resource options.
        """
        inputs = {
            "name": name,
            "command": command,
            "environment": environment,
            "working_directory": working_directory,
            "ports": ports,
            "ready": ready,
            "start_timeout_s": start_timeout_s,
            "stop_timeout_s": stop_timeout_s,
            "after_ready": after_ready,
            "clean": clean,
        }
        found = dict.fromkeys(("running", "pid", "started", "incarnation", "log_file"))
        super().__init__("slipway:local:Process", resource_name, {**inputs, **found}, opts)


class RayJob(CustomResource):
    """A training run: made once per identity, adopted ever after."""

    name: Output[str]
    identity: Output[str]
    identity_parts: Output[Mapping[str, str]]
    status: Output[str]
    """`running` or `finished`; `failed` when a refresh found that an unawaited job had failed."""
    run_id: Output[str | None]
    model_version: Output[str | None]
    verdict: Output[str | None]
    metrics: Output[Mapping[str, float] | None]
    reasons: Output[Sequence[str] | None]
    candidate: Output[str | None]
    """The model version when the verdict is `passed`."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: Input[str],
        identity: Input[str],
        identity_parts: Input[Mapping[str, Input[str]]],
        spec: Input[str],
        code: Input[Mapping[str, Any]],
        python: Input[str],
        dashboard_url: Input[str],
        token_file: Input[str],
        tracking_uri: Input[str],
        model_name: Input[str],
        run_directory: Input[str],
        code_directory: Input[str],
        resources: Input[Mapping[str, Input[float]]],
        timeout_s: Input[float],
        wait: Input[bool],
        gate: Input[str],
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare a training run.

        Args:
            resource_name: logical name.
            name: for messages.
            identity: sha256 (hex) of the parts; another one replaces the run.
            identity_parts: why two identities differ.
            spec: the run spec, JSON as text, without `code` and `lineage`.
            code: `{"root", "files", "digest", "lock"}`; what runs is a snapshot of exactly these files.
            python: interpreter of the job.
            dashboard_url: of the Ray head.
            token_file: of the Ray head.
            tracking_uri: of the tracking server.
            model_name: experiment and registered model.
            run_directory: where spec and log of this run are written.
            code_directory: where snapshots are kept.
            resources: `{"workers", "cpus", "gpus"}`.
            timeout_s: seconds until the job is stopped.
            wait: False submits and returns; the result enters at the next refresh.
            gate: JSON as text; a change judges the finished run again, without training.
            opts: resource options.
        """
        inputs = {
            "name": name,
            "identity": identity,
            "identity_parts": identity_parts,
            "spec": spec,
            "code": code,
            "python": python,
            "dashboard_url": dashboard_url,
            "token_file": token_file,
            "tracking_uri": tracking_uri,
            "model_name": model_name,
            "run_directory": run_directory,
            "code_directory": code_directory,
            "resources": resources,
            "timeout_s": timeout_s,
            "wait": wait,
            "gate": gate,
        }
        found = dict.fromkeys(("status", "run_id", "model_version", "verdict", "metrics", "reasons", "candidate"))
        super().__init__("slipway:local:RayJob", resource_name, {**inputs, **found}, opts)


class ServeApplication(CustomResource):
    """The serving application on a Ray head, with the release of its candidate."""

    name: Output[str]
    url: Output[str]
    candidate: Output[str | None]
    live: Output[bool]
    """False when the last refresh found it not deployed or not answering."""
    champion: Output[str | None]
    """As of the last deployment or refresh, like `challenger` and `release_phase`."""
    challenger: Output[str | None]
    release_phase: Output[str | None]

    def __init__(
        self,
        resource_name: str,
        *,
        name: Input[str],
        dashboard_url: Input[str],
        token_file: Input[str],
        incarnation: Input[str],
        application: Input[str],
        http: Input[Mapping[str, Any]],
        grpc_port: Input[int],
        code: Input[Mapping[str, Any]],
        code_directory: Input[str],
        url: Input[str],
        tracking_uri: Input[str],
        model_name: Input[str],
        candidate: Input[str | None],
        release: Input[Mapping[str, Any]],
        timeout_s: Input[float],
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare the application.

        Args:
            resource_name: logical name.
            name: for messages.
            dashboard_url: of the Ray head.
            token_file: of the Ray head.
            incarnation: of the Ray head's process; a new head has to be deployed to again.
            application: JSON as text: `name`, `route_prefix`, `import_path`, `args`.
            http: `{"host", "port", "request_timeout_s"}` of Serve's ingress.
            grpc_port: of Serve's ingress.
            code: `{"root", "files", "digest", "lock"}`; what runs is a snapshot of exactly these files.
            code_directory: where snapshots are kept.
            url: where it answers.
            tracking_uri: of the tracking server, which keeps the release state.
            model_name: the registered model that is served.
            candidate: the version to release; None asks for nothing.
            release: `{"strategy", "wait": "started" | "done"}`.
            timeout_s: seconds until it must be up and the release ended.
            opts: resource options.
        """
        inputs = {
            "name": name,
            "dashboard_url": dashboard_url,
            "token_file": token_file,
            "incarnation": incarnation,
            "application": application,
            "http": http,
            "grpc_port": grpc_port,
            "code": code,
            "code_directory": code_directory,
            "url": url,
            "tracking_uri": tracking_uri,
            "model_name": model_name,
            "candidate": candidate,
            "release": release,
            "timeout_s": timeout_s,
        }
        found = dict.fromkeys(("live", "champion", "challenger", "release_phase"))
        super().__init__("slipway:local:ServeApplication", resource_name, {**inputs, **found}, opts)
