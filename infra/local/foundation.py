"""LocalFoundation: this machine as the ground; folders for data, and the provider that keeps processes running."""

from __future__ import annotations

from collections.abc import Mapping

from pulumi import ComponentResource, ProviderResource, ResourceOptions

from components.seam import GroundSpec, Place, StoreHandle, StoreSpec
from infra.local.layout import Layout
from infra.local.ports import block_at, derived_block
from infra.local.resources import DataFolder
from infra.local.runtime import ProcessRuntime
from infra.local.settings import LocalConfig


class LocalFoundation(ComponentResource):
    """The environment's folders on this machine, and the runtime for processes on it."""

    runtime: ProcessRuntime
    secrets: Mapping[str, str]
    address: Mapping[str, str | None]
    missing = None
    usd_per_hour = None

    def __init__(self, place: Place, config: LocalConfig, _: GroundSpec) -> None:
        super().__init__("slipway:index:Foundation", "foundation", None, None)
        layout = Layout(place)
        provider = ProviderResource(
            "slipway",
            "machine",
            {
                "state_directory": str(layout.state),
                "runtime_directory": str(layout.sockets),
                "project": place.project,
                "stack": place.stack,
            },
            ResourceOptions(parent=self),
        )
        child = ResourceOptions(parent=self, provider=provider)
        state = DataFolder("foundation-state", path=str(layout.state), retain=False, secrets=["ray-token"], opts=child)
        sockets = DataFolder("foundation-sockets", path=str(layout.sockets), retain=False, secrets=[], opts=child)
        ports = block_at(config.port_block) if config.port_block else derived_block(place.root, place.stack)
        self.address = {}
        self.secrets = {"ray_token_file": str(layout.ray_token)}
        self.runtime = ProcessRuntime(place, layout, ports, provider, ready=[state, sockets])
        self.register_outputs({"home": str(layout.home)})

    def object_store(self, name: str, spec: StoreSpec, opts: ResourceOptions) -> StoreHandle:
        """Make a folder for artifacts, or take the given folder or bucket."""
        return self.runtime.object_store(name, spec, opts)
