"""RayCluster: the cluster template on which training and serving run."""

from __future__ import annotations

from collections.abc import Sequence

from pulumi import ComponentResource, Output, ResourceOptions
from pydantic import Field

from components.seam import RayHandle, RaySpec, Runtime
from components.settings import ServingSettings, Settings


class RaySettings(Settings):
    """`slipway:ray`."""

    dashboard_port: int | None = Field(
        default=None, ge=1024, le=65535, description="the port of Ray's dashboard and job API"
    )
    shared: bool = Field(default=False, description="one long-lived cluster for training and serving")


class GpuPool(Settings):
    """One entry of `slipway:gpu_pools`."""

    name: str = Field(min_length=1, description="the pool's name")


class RayCluster(ComponentResource):
    """A Ray cluster with token authentication, or the template of one where clusters are made per workload."""

    dashboard_url: Output[str]
    handle: RayHandle

    def __init__(
        self,
        name: str,
        runtime: Runtime,
        settings: RaySettings,
        gpu_pools: Sequence[GpuPool],
        *,
        ingress: ServingSettings,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("slipway:index:RayCluster", name, None, opts)
        self.runtime = runtime
        spec = RaySpec(
            dashboard_port=settings.dashboard_port,
            shared=settings.shared,
            serving_port=ingress.port,
            request_timeout_s=ingress.request_timeout_s,
            gpu_pools=gpu_pools,
            environment={},
        )
        self.handle = runtime.ray(name, spec, ResourceOptions(parent=self))
        self.dashboard_url = self.handle.dashboard_url
        self.register_outputs({"dashboard_url": self.dashboard_url})
