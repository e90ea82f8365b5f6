"""Every object and every pod of the program is taken by a real API server: strictly, under `restricted` admission.

A server-side dry run, the Gateway API's definitions included; a cluster that is given must have them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from infra.engine.layout import StopError
from tests.cluster.node.cluster import Cluster
from tests.cluster.rendered import objects, plain
from tests.programs.kubernetes_program import deployed, pods

MADE = ("Namespace", "ServiceAccount")
"""What the rest needs to be there, also in a dry run."""
VARIANTS: dict[str, dict[str, Any]] = {
    "own clusters": {},
    "shared cluster": {"ray": {"shared": True}},
    "volume": {"artifacts": None, "substrate": {"volume": {"size": "5Gi"}, "nodes": 1, "store_secret": None}},
    "given database": {"substrate": {"database": {"url_secret": "given"}}},
    "schedule": {"training": {"schedule": "@daily"}},
}


@pytest.fixture(scope="module")
def definitions(cluster: Cluster) -> Iterator[None]:
    """KubeRay's whole definitions, which are stricter than those that `operators: managed` installs."""
    cluster.install_kuberay()
    cluster.install_gateway_api()
    yield
    cluster.uninstall_gateway_api()
    cluster.uninstall_kuberay()


@pytest.fixture
def namespace(cluster: Cluster, definitions: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    name = f"strict-{uuid.uuid4().hex[:8]}"
    yield name
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def apply(cluster: Cluster, items: list[dict[str, Any]], *more: str) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", *more, stdin=listed)


def changed(variant: str, namespace: str) -> dict[str, Any]:
    changes = VARIANTS[variant]
    return {**changes, "substrate": {**changes.get("substrate", {}), "namespace": namespace}}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_and_every_pod_is_accepted(cluster: Cluster, namespace: str, variant: str) -> None:
    engine, _ = deployed(**changed(variant, namespace))
    found = objects(engine)
    assert {"RayJob", "RayService", "HTTPRoute"} <= {item["kind"] for item in found}, "the control"
    for kind in MADE:
        apply(cluster, [item for item in found if item["kind"] == kind])
    apply(cluster, [item for item in found if item["kind"] not in MADE], "--dry-run=server")
    templates = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}", "namespace": namespace, "labels": dict(pod.labels)},
            "spec": {"restartPolicy": "Never", **plain(dict(pod.spec))},
        }
        for number, pod in enumerate(pods(engine))
    ]
    assert len(templates) >= 9, "the control: the walk found the pods"
    apply(cluster, templates, "--dry-run=server")


def test_an_unknown_field_and_a_careless_pod_are_refused(cluster: Cluster, namespace: str) -> None:
    """The control of the test above."""
    engine, _ = deployed(**changed("own clusters", namespace))
    found = objects(engine)
    for kind in MADE:
        apply(cluster, [item for item in found if item["kind"] == kind])
    (job,) = (item for item in found if item["kind"] == "RayJob")
    wrong = {**job, "spec": {**job["spec"], "wishes": 3}}
    with pytest.raises(StopError, match="wishes"):
        apply(cluster, [wrong], "--dry-run=server")
    careless = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless", "namespace": namespace},
        "spec": {"serviceAccountName": "tracking", "containers": [{"name": "main", "image": "main"}]},
    }
    with pytest.raises(StopError, match="restricted"):
        apply(cluster, [careless], "--dry-run=server")
