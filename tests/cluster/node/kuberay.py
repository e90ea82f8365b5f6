"""The KubeRay operator and its CRDs, from the pinned module: for tests in which the stack does not bring them.

Owns the namespace `kuberay-operator` only when `install` was called. With `operators: managed` the product installs its
own, and only `image` is needed: the operator's image is on the node under its upstream name.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from tests.cluster.node import images
from tests.cluster.node.binaries import BY_NAME, module_source
from tests.cluster.node.kubectl import apply, await_definitions, kubectl
from tests.cluster.node.layout import Layout

NAMESPACE = "kuberay-operator"
CRDS = ("rayclusters.ray.io", "rayjobs.ray.io", "rayservices.ray.io")
WAIT = "--timeout=300s"


def image(place: Layout) -> str:
    """The operator's digest reference."""
    return images.ensure(place, "operator").reference


def install(place: Layout) -> None:
    """Install the CRDs, wait until they are served, then install the operator and wait for it.

    In that order: an operator that starts before its CRDs retries for many seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        shutil.copytree(module_source(BY_NAME["kuberay"]) / "config", config, copy_function=shutil.copyfile)
        kubectl("apply", "--server-side", "--force-conflicts", "-k", str(config / "crd"))
        await_definitions(kubectl, *CRDS)
        overlay = Path(folder) / "overlay"
        overlay.mkdir()
        (overlay / "kustomization.yaml").write_text(json.dumps(_overlay(place)))
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        kubectl("apply", "--server-side", "--force-conflicts", "-k", str(overlay))
    kubectl("rollout", "status", "deployment/kuberay-operator", "-n", NAMESPACE, WAIT)


def uninstall() -> None:
    """Remove the operator, its rights and the CRDs, with every Ray object on the cluster."""
    kubectl("delete", "crd", *CRDS, "raycronjobs.ray.io", "--ignore-not-found", WAIT)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", WAIT)
    kubectl("delete", "clusterrole,clusterrolebinding", "kuberay-operator", "--ignore-not-found")


def install_gateway_api() -> None:
    """Install the Gateway API's definitions, of the version that KubeRay knows; there is no controller for them."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_gateway_definitions()))


def uninstall_gateway_api() -> None:
    """Remove the Gateway API's definitions, with every object of them."""
    kubectl("delete", "--ignore-not-found", "-f", str(_gateway_definitions()), WAIT)


def _gateway_definitions() -> Path:
    return module_source(BY_NAME["kuberay"], "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard"


def _overlay(place: Layout) -> dict[str, object]:
    repository, _, digest = image(place).partition("@")
    more_cpu = [{"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/cpu", "value": "1"}]
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": ["../config/rbac", "../config/manager"],
        "images": [
            {"name": "kuberay/operator", "newName": repository, "digest": digest},
            {"name": "quay.io/kuberay/operator", "newName": repository, "digest": digest},
        ],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(more_cpu)}],
    }
