"""Custom resources as the program uses them: what a generator would make of the CRDs of KubeRay 1.6.2.

Only declarations.  Specs are manifests in the names of the wire; that the pinned CRDs accept them is tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pulumi import CustomResource, CustomTimeouts, Input, Output, ResourceOptions

_RAY = "ray.io/v1"
_GATEWAY = "gateway.networking.k8s.io/v1"

OURS = {"pulumi.com/patchForce": "true"}
"""Annotation of KubeRay's resources.  To add its finalizer the operator writes a resource back whole, with defaults in
lists that server-side apply knows only as wholes (`workerGroupSpecs`); it then counts as their owner, and every later
edit would be a conflict.  It decides nothing in a spec: the program does."""


AGAIN = {"pulumi.com/replaceUnready": "true"}
"""Annotation of Jobs that are waited for, each of which may be done again.  A Job that has failed never runs again, and
without this the next `up` would read the old failure from it for ever, whatever was corrected meanwhile."""


class _Custom(CustomResource):
    version_: ClassVar[str] = _RAY
    kind_: ClassVar[str]

    metadata: Output[Mapping[str, Any]]
    spec: Output[Mapping[str, Any]]
    status: Output[Mapping[str, Any] | None]
    """What the operator reported when the resource was last awaited or read; unknown in a preview that makes it."""

    def __init__(
        self,
        resource_name: str,
        *,
        metadata: Input[Mapping[str, Any]],
        spec: Input[Mapping[str, Any]],
        timeout_s: float,
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare the object.

        Args:
            resource_name: logical name.
            metadata: name, namespace, labels, annotations.
            spec: the spec in the names of the CRD.
            timeout_s: how long a create or an update may be awaited.
            opts: resource options.
        """
        inputs = {"apiVersion": self.version_, "kind": self.kind_, "metadata": metadata, "spec": spec, "status": None}
        whole = f"{int(timeout_s)}s"
        timeouts = ResourceOptions(custom_timeouts=CustomTimeouts(create=whole, update=whole, delete="600s"))
        super().__init__(
            f"kubernetes:{self.version_}:{self.kind_}", resource_name, inputs, ResourceOptions.merge(opts, timeouts)
        )


class RayJob(_Custom):
    """One job, on a cluster of its own or on a selected one."""

    kind_ = "RayJob"


class RayService(_Custom):
    """A Serve application, on clusters that the operator replaces without a gap."""

    kind_ = "RayService"


class RayCluster(_Custom):
    """A long-lived cluster."""

    kind_ = "RayCluster"


class HTTPRoute(_Custom):
    """A route of an existing Gateway (Gateway API)."""

    version_ = _GATEWAY
    kind_ = "HTTPRoute"
