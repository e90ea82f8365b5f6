"""KubernetesRuntime: workloads as Deployments, RayJobs and RayServices in one namespace.

It needs a provider, a namespace that is ready and what is in the config; who made the cluster does not matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from pulumi import Resource, ResourceOptions

from components.seam import (
    AppHandle,
    AppSpec,
    RayHandle,
    RaySpec,
    RunHandle,
    RunSpec,
    ServiceHandle,
    ServiceSpec,
    StoreHandle,
    StoreSpec,
)
from infra.kubernetes import names, ray_template, service, serving, storage, training
from infra.kubernetes.names import Context, Storage


class KubernetesRuntime:
    """Runs everything in the namespace of `context`, as objects of its provider."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def ready(self) -> Sequence[Resource]:
        """What every workload depends on."""
        return self.context.ready

    @property
    def secrets(self) -> Mapping[str, str]:
        """Where the environment's secrets are kept: NAMESPACE/NAME of each Secret."""
        made = [names.LOGIN_SECRET, names.RAY_TOKEN_SECRET, names.SERVING_TOKEN_SECRET]
        return {name.replace("-", "_"): f"{self.context.namespace}/{name}" for name in made}

    def object_store(self, name: str, spec: StoreSpec, opts: ResourceOptions) -> StoreHandle:
        """Take the given bucket, or make a volume; training and tracking reach it through the context."""
        store = storage.provide(self.context, name, spec, opts)
        self.context = dataclasses.replace(self.context, storage=store.storage)
        return store.handle

    def reach_store(self, store: Storage, *, after: Sequence[Resource]) -> None:
        """Have workloads use a store that was made elsewhere; they start after `after`."""
        ground = self.context.after(*after)
        self.context = dataclasses.replace(ground, storage=storage.with_credentials(ground, store))

    def service(self, name: str, spec: ServiceSpec, opts: ResourceOptions) -> ServiceHandle:
        """Run a service as a Deployment."""
        return service.provide(self.context, name, spec, opts)

    def ray(self, name: str, spec: RaySpec, opts: ResourceOptions) -> RayHandle:
        """Provide the cluster template, and the shared cluster when there is one."""
        return ray_template.provide(self.context, name, spec, opts)

    def run(self, name: str, spec: RunSpec, ray: RayHandle, opts: ResourceOptions) -> RunHandle:
        """Run the training as a RayJob."""
        return training.run(self.context, name, spec, ray, opts)

    def serve(self, name: str, spec: AppSpec, ray: RayHandle, opts: ResourceOptions) -> AppHandle:
        """Serve the model as a RayService."""
        return serving.serve(self.context, name, spec, ray, opts)
