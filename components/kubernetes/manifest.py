"""From a manifest to the typed resource that declares it: the one place where the names of the wire meet the SDK's.

Builders in this folder return manifests as plain dicts, so that the same document is declared by the program, checked
by tests and sent to an API server in a dry run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import pulumi_kubernetes as k8s
from pulumi import Resource, ResourceOptions

Manifest = dict[str, Any]

PART_OF = {"app.kubernetes.io/part-of": "slipway", "app.kubernetes.io/managed-by": "slipway"}
SECCOMP = {"type": "RuntimeDefault"}
POD_SECURITY_VERSION = "v1.35"
"""The version of the Pod Security Standards that namespaces are held to; a newer cluster keeps to this one."""


def declare(name: str, manifest: Mapping[str, Any], opts: ResourceOptions) -> Resource:
    """Declare the object of `manifest` under the logical name `name`.

    Raises:
        LookupError: this SDK has no such kind.
    """
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    module = getattr(k8s, (group or "core").removesuffix(".k8s.io").removesuffix(".authorization").split(".")[0], None)
    typed = getattr(getattr(module, version, None), str(manifest["kind"]), None)
    if typed is None:
        raise LookupError(f"pulumi_kubernetes has no {manifest['apiVersion']} {manifest['kind']}")
    arguments = {_snake(key): value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    return cast("Resource", typed(name, opts=opts, **arguments))


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match.group(1).lower()}", key)


def namespace(name: Any, *, level: str, labels: Mapping[str, str] | None = None, why: str = "") -> Manifest:
    """Return a Namespace whose pods are held to `level` of the Pod Security Standards, with the reason for it."""
    modes = ("enforce", "audit", "warn")
    security = {f"pod-security.kubernetes.io/{mode}": level for mode in modes}
    pinned = {f"pod-security.kubernetes.io/{mode}-version": POD_SECURITY_VERSION for mode in modes}
    metadata: Manifest = {"name": name, "labels": {**PART_OF, **security, **pinned, **(labels or {})}}
    if why:
        metadata["annotations"] = {"slipway/why": why}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def pinned(image: str, setting: str) -> str:
    """Return `image`, which must name a digest: a tag may name something else tomorrow.

    Raises:
        ValueError: it does not; says how it is written.
    """
    if not re.fullmatch(r"[\w.:/-]+@sha256:[0-9a-f]{64}", image):
        raise ValueError(f"{setting} is {image!r}: pin the image by digest, REPOSITORY@sha256:DIGEST")
    return image


def pod_of(user: int, container: Mapping[str, Any], **more: Any) -> Manifest:
    """Return the spec of a pod with one container that runs as `user` and keeps to `restricted`; `more` is added."""
    security = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "seccompProfile": SECCOMP}
    return {**more, "securityContext": {**security, **more.get("securityContext", {})}, "containers": [dict(container)]}


def container_of(name: str, image: str, setting: str, **more: Any) -> Manifest:
    """Return a container that may write nothing, gains nothing and runs an image by digest."""
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    pulled = {"image": pinned(image, setting), "imagePullPolicy": "IfNotPresent"}
    return {"name": name, **pulled, "securityContext": security, **more}


def controller(name: str, namespace: Any, selector: Mapping[str, str], pod: Mapping[str, Any], **more: Any) -> Manifest:
    """Return the Deployment of a controller, of which one pod acts."""
    labels = {**PART_OF, **selector}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            **more,
            "selector": {"matchLabels": dict(selector)},
            "template": {"metadata": {"labels": labels}, "spec": dict(pod)},
        },
    }
