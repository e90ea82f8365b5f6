"""ArtifactStore: where models, evidence and checkpoints are kept."""

from __future__ import annotations

from pulumi import ComponentResource, Output, ResourceOptions
from pydantic import Field

from components.seam import Foundation, StoreHandle, StoreSpec
from components.settings import Settings


class ArtifactSettings(Settings):
    """`slipway:artifacts`."""

    retain: bool = Field(default=False, description="keep artifacts and the registry when the environment is destroyed")
    uri: str | None = Field(default=None, description="an existing store, such as a folder or s3://bucket/prefix")
    endpoint: str | None = Field(default=None, description="the endpoint of an S3-compatible store")


class ArtifactStore(ComponentResource):
    """An object store for the environment's artifacts, made by the foundation or given in the config."""

    uri: Output[str]
    store: StoreHandle
    retain: bool

    def __init__(
        self,
        name: str,
        foundation: Foundation,
        settings: ArtifactSettings,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("slipway:index:ArtifactStore", name, None, opts)
        spec = StoreSpec(retain=settings.retain, uri=settings.uri, endpoint=settings.endpoint)
        self.retain = settings.retain
        self.store = foundation.object_store(name, spec, ResourceOptions(parent=self))
        self.uri = self.store.uri
        self.register_outputs({"uri": self.uri})
