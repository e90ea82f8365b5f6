"""DevicePlugin: NVIDIA's plugin on GPU nodes, so that pods can ask for `nvidia.com/gpu`.

It needs what `restricted` and `baseline` forbid, a folder of the node: the kubelet finds plugins by a socket in
/var/lib/kubelet/device-plugins. So it lives in a namespace of its own, where nothing else may run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi import ComponentResource, Output, ResourceOptions

from components.kubernetes.manifest import PART_OF, SECCOMP, Manifest, declare, namespace, pinned
from components.kubernetes.platforms import PLATFORMS, PlatformName

NAMESPACE = "nvidia-device-plugin"
WHY = "the device plugin mounts /var/lib/kubelet/device-plugins of the node: the kubelet finds it by its socket there"


@dataclass(frozen=True, kw_only=True)
class DevicePluginArgs:
    """Where the plugin runs, and as what."""

    manifests: Path
    """The folder with the files of the release."""
    image: str
    """REPOSITORY@sha256:DIGEST."""
    platform: PlatformName = "generic"
    namespace: str = NAMESPACE


def daemon_set(args: DevicePluginArgs) -> Manifest:
    """Return the release's DaemonSet, on GPU nodes only, by digest and with nothing writable but the socket's folder.

    Raises:
        ValueError: the platform runs the plugin itself.
    """
    row = PLATFORMS[args.platform]
    if row.device_plugin_included or row.gpu_label is None:
        raise ValueError(
            f"platform {args.platform} runs NVIDIA's device plugin itself: a second one would hand out GPUs twice. "
            "Leave it out"
        )
    made: Manifest = yaml.safe_load((args.manifests / "nvidia-device-plugin.yml").read_text())
    made["metadata"] = {"name": "nvidia-device-plugin", "namespace": args.namespace, "labels": dict(PART_OF)}
    template: dict[str, Any] = made["spec"]["template"]
    template["metadata"]["labels"] |= PART_OF
    pod = template["spec"]
    pod["automountServiceAccountToken"] = False
    pod["nodeSelector"] = dict([row.gpu_label])
    pod["tolerations"] = [
        {"operator": "Exists", "effect": "NoSchedule"}
    ]  # a node's GPUs count whatever keeps pods off it
    pod["securityContext"] = {"seccompProfile": SECCOMP}
    (container,) = pod["containers"]
    container["image"] = pinned(args.image, "the device plugin's image")
    container["imagePullPolicy"] = "IfNotPresent"
    container["securityContext"]["readOnlyRootFilesystem"] = True
    container["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    return made


class DevicePlugin(ComponentResource):
    """NVIDIA's device plugin on every GPU node, also those that come later."""

    namespace: Output[str]

    def __init__(self, name: str, args: DevicePluginArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:DevicePlugin", name, None, opts)
        child = ResourceOptions(parent=self)
        home = declare(f"{name}-namespace", namespace(args.namespace, level="privileged", why=WHY), child)
        inside = ResourceOptions(parent=self, depends_on=[home])
        plugin = declare(f"{name}-daemonset", daemon_set(args), inside)
        self.ready: Sequence[Any] = [plugin]
        self.namespace = Output.from_input(args.namespace)
        self.register_outputs({"namespace": self.namespace})
