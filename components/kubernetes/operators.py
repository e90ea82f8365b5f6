"""Operators: what a cluster must run before workloads can, where the stack installs it itself.

`external` installs nothing: somebody else did, and preflight checks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components.kubernetes.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from components.kubernetes.device_plugin import DevicePlugin, DevicePluginArgs
from components.kubernetes.kuberay import KubeRayArgs, KubeRayOperator
from components.kubernetes.platforms import PlatformName
from components.kubernetes.storage_class import DefaultStorageClass


@dataclass(frozen=True, kw_only=True)
class OperatorsArgs:
    """Which of them the stack installs; None is not installed. All None is `external`."""

    kuberay: KubeRayArgs | None = None
    device_plugin: DevicePluginArgs | None = None
    autoscaler: ClusterAutoscalerArgs | None = None
    storage_class: PlatformName | None = None
    """The platform whose StorageClass is made the default one."""


class Operators(ComponentResource):
    """The operators of a cluster, each in a namespace of its own."""

    installed: Output[Sequence[str]]
    ready: Sequence[Resource]
    """What workloads depend on: definitions are served, controllers rolled out; destroy takes workloads first."""

    def __init__(self, name: str, args: OperatorsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:Operators", name, None, opts)
        child = ResourceOptions(parent=self)
        ready: dict[str, Sequence[Resource]] = {}
        if args.kuberay is not None:
            ready["kuberay"] = KubeRayOperator(f"{name}-kuberay", args.kuberay, child).ready
        if args.device_plugin is not None:
            ready["device-plugin"] = DevicePlugin(f"{name}-device-plugin", args.device_plugin, child).ready
        if args.autoscaler is not None:
            ready["autoscaler"] = ClusterAutoscaler(f"{name}-autoscaler", args.autoscaler, child).ready
        if args.storage_class is not None:
            ready["storage-class"] = DefaultStorageClass(f"{name}-storage", args.storage_class, child).ready
        self.ready = [resource for part in ready.values() for resource in part]
        self.installed = Output.from_input(sorted(ready))
        self.register_outputs({"installed": self.installed})
