"""ModelService: the serving application, which follows the champion and is handed a candidate.

It hands over candidate and policy; aliases, traffic and history belong to the release controller inside.
"""

from __future__ import annotations

from typing import Literal

from pulumi import ComponentResource, Output, ResourceOptions
from pydantic import Field

from components.code import SERVING_PACKAGE, package_code
from components.ray_cluster import RayCluster
from components.seam import AppSpec, Place
from components.settings import ServingSettings, Settings
from components.tracking_server import TrackingServer

ALIAS_POLL_S = 1.0
"""How often a replica looks which version is champion, in seconds."""


class ReleaseSettings(Settings):
    """`slipway:release`."""

    strategy: Literal["rolling"] = "rolling"
    wait: Literal["started", "done"] = Field(default="done", description="whether `up` waits for the release to end")


class ModelService(ComponentResource):
    """A model behind an HTTP endpoint."""

    url: Output[str]
    champion: Output[str | None]
    challenger: Output[str | None]
    candidate: Output[str | None]

    def __init__(
        self,
        name: str,
        ray: RayCluster,
        tracking: TrackingServer,
        *,
        model_name: str,
        candidate: Output[str | None],
        serving: ServingSettings,
        release: ReleaseSettings,
        place: Place,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("slipway:index:ModelService", name, None, opts)
        spec = AppSpec(
            import_path="serving.app:build",
            code=package_code(place.root, SERVING_PACKAGE),
            model_name=model_name,
            tracking_url=tracking.uri,
            arguments={
                "poll_s": ALIAS_POLL_S,
                "replicas": serving.replicas.model_dump(),
                "limits": serving.model_dump(include={"request_timeout_s", "max_body_bytes", "max_queued"}),
            },
            candidate=candidate,
            strategy=release.strategy,
            wait=release.wait,
        )
        child = ResourceOptions(parent=self, depends_on=[tracking.resource])
        handle = ray.runtime.serve(name, spec, ray.handle, child)
        self.url, self.champion, self.challenger = handle.url, handle.champion, handle.challenger
        self.candidate = candidate
        self.register_outputs({"url": self.url, "champion": self.champion, "challenger": self.challenger})
