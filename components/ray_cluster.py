"""RayCluster: the cluster template on which training and serving run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pulumi import ComponentResource, Output, ResourceOptions
from pydantic import Field, model_validator

from components.seam import RayHandle, RaySpec, Runtime
from components.settings import ServingSettings, Settings

if TYPE_CHECKING:
    from components.training_run import ResourceSettings


class RaySettings(Settings):
    """`slipway:ray`."""

    dashboard_port: int | None = Field(
        default=None, ge=1024, le=65535, description="the port of Ray's dashboard and job API"
    )
    shared: bool = Field(default=False, description="one long-lived cluster for training and serving")


class GpuPool(Settings):
    """One entry of `slipway:gpu_pools`: nodes of one kind, as many as are needed between `min` and `max`."""

    name: str = Field(
        pattern=r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$",
        description="the pool's name: lower-case letters, digits and dashes, at most 30 characters",
    )
    gpus: int = Field(default=1, ge=1, le=16, description="GPUs of one node")
    cpus: float = Field(default=4, gt=0, description="CPUs of one node that workloads may use")
    memory_gib: float = Field(default=16, gt=0, description="memory of one node that workloads may use, in GiB")
    min: int = Field(default=0, ge=0, description="nodes that are always there; 0 costs nothing at rest")
    max: int = Field(default=1, ge=1, description="the most nodes at once")
    accelerator: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
        description="the GPU's model as the platform labels its nodes with it, such as nvidia-l4",
    )
    spot: bool = Field(default=False, description="nodes that may be taken away at short notice, at a lower price")

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: set max to {self.min} or more")
        return self


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
        workers: ResourceSettings,
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
            workers=workers.workers,
            worker_cpus=workers.cpus,
            worker_memory_gib=workers.memory_gib,
        )
        self.handle = runtime.ray(name, spec, ResourceOptions(parent=self))
        self.dashboard_url = self.handle.dashboard_url
        self.register_outputs({"dashboard_url": self.dashboard_url})
