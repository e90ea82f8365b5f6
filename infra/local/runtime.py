"""ProcessRuntime: workloads as supervised processes, Ray jobs and a Serve application on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pulumi import Input, Output, ProviderResource, Resource, ResourceOptions

from components.seam import (
    AppHandle,
    AppSpec,
    Code,
    Place,
    RayHandle,
    RaySpec,
    RunHandle,
    RunSpec,
    ServiceHandle,
    ServiceSpec,
    StoreHandle,
    StoreSpec,
)
from infra.local.layout import Layout
from infra.local.ports import PortBlock
from infra.local.ray_node import HOST, http_options, prestart_body, ray_command, ray_environment, ray_leftovers
from infra.local.resources import DataFolder, Process, RayJob, ServeApplication

_START_TIMEOUT_S = 180
_STOP_TIMEOUT_S = 15
_SERVE_TIMEOUT_S = 300


class ProcessRuntime:
    """Runs everything as processes of the current user; state and ports are those of one stack."""

    def __init__(
        self,
        place: Place,
        layout: Layout,
        ports: PortBlock,
        provider: ProviderResource,
        ready: Sequence[Resource],
    ) -> None:
        self.ready = ready
        self._place = place
        self._layout = layout
        self._ports = ports
        self._provider = provider
        self._python = sys.executable

    def object_store(self, name: str, spec: StoreSpec, opts: ResourceOptions) -> StoreHandle:
        """Make a folder for artifacts, or take the given folder or bucket."""
        if spec.uri is None:
            folder = DataFolder(
                f"{name}-folder",
                path=str(self._layout.artifacts),
                retain=spec.retain,
                secrets=[],
                opts=self._child(opts),
            )
            return StoreHandle(uri=folder.path, environment={})
        if urlsplit(spec.uri).scheme == "s3":
            endpoint = {"MLFLOW_S3_ENDPOINT_URL": spec.endpoint} if spec.endpoint else {}
            return StoreHandle(uri=Output.from_input(spec.uri), environment=endpoint)
        path = self._place.root / Path(unquote(urlsplit(spec.uri).path)).expanduser()
        return StoreHandle(uri=Output.from_input(str(path)), environment={})

    def service(self, name: str, spec: ServiceSpec, opts: ResourceOptions) -> ServiceHandle:
        """Keep `python -m module` running, with a folder for its state."""
        opts = self._child(opts)
        folder = self._layout.service_state(spec.role)
        state = DataFolder(f"{name}-state", path=str(folder), retain=spec.keep_state, secrets=[], opts=opts)
        port: int = spec.port or getattr(self._ports, spec.role)
        url = f"http://{HOST}:{port}"
        fill = {"{host}": HOST, "{port}": str(port), "{state}": str(folder)}
        process = Process(
            f"{name}-process",
            name=spec.role,
            command=[self._python, "-m", spec.module, *(_filled(text, fill) for text in spec.arguments)],
            environment={
                "TMPDIR": str(self._layout.temporary(spec.role)),
                **{key: _fill(value, fill) for key, value in spec.environment.items()},
            },
            working_directory=str(folder),
            ports={spec.port_setting: port},
            ready=[
                {"url": url + check.path, "method": check.method, "body": check.body, "status": check.status}
                for check in spec.ready
            ],
            start_timeout_s=_START_TIMEOUT_S,
            stop_timeout_s=_STOP_TIMEOUT_S,
            after_ready=[],
            clean=[str(self._layout.temporary(spec.role))],
            opts=ResourceOptions.merge(opts, ResourceOptions(depends_on=[state])),
        )
        return ServiceHandle(url=process.name.apply(lambda _: url), resource=process)

    def ray(self, name: str, spec: RaySpec, opts: ResourceOptions) -> RayHandle:
        """Keep one Ray head running, with Serve started beside it."""
        ports, layout = self._ports, self._layout
        dashboard_port = spec.dashboard_port or ports.dashboard
        serving_port = spec.serving_port or ports.serving
        dashboard_url, token_file = f"http://{HOST}:{dashboard_port}", str(layout.ray_token)
        process = Process(
            f"{name}-head",
            name="ray",
            command=ray_command(self._python, layout, ports, dashboard_port, os.cpu_count() or 1),
            environment={**ray_environment(layout, ports), **spec.environment},
            working_directory=str(layout.state),
            ports={
                "slipway:ray.dashboard_port": dashboard_port,
                "slipway:serving.port": serving_port,
                "slipway:substrate.port_block": ports.gcs,
            },
            ready=[
                {"url": f"{dashboard_url}/api/jobs/", "token_file": token_file, "status": 200},
                # the dashboard answers two seconds before the node can take work
                {"url": f"http://{HOST}:{ports.agent_http}/api/local_raylet_healthz", "status": 200},
            ],
            start_timeout_s=_START_TIMEOUT_S,
            stop_timeout_s=_STOP_TIMEOUT_S,
            after_ready=[
                {
                    "url": f"{dashboard_url}/api/serve/applications/",
                    "method": "PUT",
                    "body": prestart_body(ports, serving_port, spec.request_timeout_s),
                    "token_file": token_file,
                }
            ],
            clean=ray_leftovers(layout),
            opts=self._child(opts),
        )
        return RayHandle(
            dashboard_url=process.name.apply(lambda _: dashboard_url),
            token_file=Output.from_input(token_file),
            incarnation=process.incarnation,
            serving_port=serving_port,
            request_timeout_s=spec.request_timeout_s,
            resource=process,
        )

    def run(self, name: str, spec: RunSpec, ray: RayHandle, opts: ResourceOptions) -> RunHandle:
        """Run the training as a job of the Ray head, from a snapshot of its code."""
        job = RayJob(
            f"{name}-job",
            name=spec.model_name,
            identity=spec.identity,
            identity_parts=dict(spec.identity_parts),
            spec=spec.tracking_url.apply(lambda url: json.dumps(self._job_document(spec, url), sort_keys=True)),
            code=_code(spec.code),
            python=self._python,
            dashboard_url=ray.dashboard_url,
            token_file=ray.token_file,
            tracking_uri=spec.tracking_url,
            model_name=spec.model_name,
            run_directory=str(self._layout.state / "runs" / spec.identity),
            code_directory=str(self._layout.state / "code"),
            resources=dict(spec.resources),
            timeout_s=spec.timeout_s,
            wait=spec.wait,
            gate=json.dumps(spec.gate, sort_keys=True),
            opts=ResourceOptions.merge(self._child(opts), ResourceOptions(depends_on=[ray.resource])),
        )
        return RunHandle(
            run_id=job.run_id,
            model_version=job.model_version,
            verdict=job.verdict.apply(lambda verdict: verdict or "pending"),
            metrics=job.metrics.apply(lambda metrics: metrics or {}),
            reasons=job.reasons.apply(lambda reasons: reasons or []),
            candidate=job.candidate,
        )

    def _job_document(self, spec: RunSpec, tracking_url: str) -> dict[str, object]:
        """Return what the job reads; the provider adds where the snapshot lies and where the code came from."""
        return {
            "contract": 1,
            "project": self._place.project,
            "stack": self._place.stack,
            "identity": spec.identity,
            "identity_parts": spec.identity_parts,
            "model_name": spec.model_name,
            "tracking_uri": tracking_url,
            "data": spec.data,
            "training": spec.training,
            "gate": spec.gate,
            "storage": str(self._layout.state / "ray-train"),
        }

    def serve(self, name: str, spec: AppSpec, ray: RayHandle, opts: ResourceOptions) -> AppHandle:
        """Deploy the application on the Ray head."""
        url = f"http://{HOST}:{ray.serving_port}"
        application = ServeApplication(
            f"{name}-application",
            name="slipway",
            dashboard_url=ray.dashboard_url,
            token_file=ray.token_file,
            incarnation=ray.incarnation,
            application=spec.tracking_url.apply(lambda uri: json.dumps(self._application(spec, uri), sort_keys=True)),
            http=http_options(ray.serving_port, ray.request_timeout_s),
            grpc_port=self._ports.serve_grpc,
            code=_code(spec.code),
            code_directory=str(self._layout.state / "code"),
            url=url,
            tracking_uri=spec.tracking_url,
            model_name=spec.model_name,
            candidate=spec.candidate,
            release={"strategy": spec.strategy, "wait": spec.wait},
            timeout_s=_SERVE_TIMEOUT_S,
            opts=ResourceOptions.merge(self._child(opts), ResourceOptions(depends_on=[ray.resource])),
        )
        return AppHandle(url=application.url, champion=application.champion, challenger=application.challenger)

    def _application(self, spec: AppSpec, tracking_url: str) -> dict[str, object]:
        arguments = {
            "contract": 1,
            "project": self._place.project,
            "stack": self._place.stack,
            "model_name": spec.model_name,
            "tracking_uri": tracking_url,
            "code_digest": spec.code.digest,
            **spec.arguments,
        }
        return {"name": "slipway", "route_prefix": "/", "import_path": spec.import_path, "args": arguments}

    def _child(self, opts: ResourceOptions) -> ResourceOptions:
        ground = ResourceOptions(provider=self._provider, depends_on=list(self.ready))
        return ResourceOptions.merge(opts, ground)


def _code(code: Code) -> dict[str, Input[object]]:
    return {"root": str(code.root), "files": list(code.files), "digest": code.digest, "lock": code.lock}


def _fill(value: Input[str], values: Mapping[str, str]) -> Input[str]:
    return Output.from_input(value).apply(lambda text: _filled(text, values))


def _filled(text: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text
