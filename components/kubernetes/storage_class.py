"""DefaultStorageClass: where volumes come from on platforms that bring no usable class of their own."""

from __future__ import annotations

from typing import Any, cast

from pulumi import ComponentResource, Output, ResourceOptions

from components.kubernetes.manifest import PART_OF, Manifest, declare
from components.kubernetes.platforms import PLATFORMS, PlatformName

_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def storage_class(platform: PlatformName, *, default: bool = True) -> Manifest:
    """Return the platform's StorageClass: encrypted, bound where the pod runs, deleted with its claim.

    Raises:
        ValueError: the platform brings its own.
    """
    row = PLATFORMS[platform].storage
    if row.provisioner is None:
        own = f"`{row.name}`" if row.name else "the cluster's default class"
        raise ValueError(f"platform {platform} makes no StorageClass: use {own}, or name one in storage_class")
    metadata: Manifest = {"name": row.name, "labels": dict(PART_OF)}
    if default:
        metadata["annotations"] = {_DEFAULT: "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": metadata,
        "provisioner": row.provisioner,
        "parameters": dict(row.parameters),
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",  # a volume is made in the zone of its pod
    }


class DefaultStorageClass(ComponentResource):
    """The class of every claim that names none."""

    class_name: Output[str]

    def __init__(self, name: str, platform: PlatformName, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:DefaultStorageClass", name, None, opts)
        made = declare(f"{name}-class", storage_class(platform), ResourceOptions(parent=self))
        self.ready = [made]
        self.class_name = cast("Any", made).metadata["name"]
        self.register_outputs({"class_name": self.class_name})
