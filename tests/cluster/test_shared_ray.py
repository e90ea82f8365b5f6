"""`ray.shared` and artifacts on a volume, for real: an environment with no bucket and one Ray cluster for training.

It is another environment than the shared one, and minutes: `make test-cluster` runs it, `make test` does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.node.cluster import Cluster
from tests.cluster.project import TRAINING, ClusterProject, project_on

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500, func_only=True)]
SHARED: dict[str, Any] = {"artifacts": {}, "ray": {"shared": True}}


@pytest.fixture
def project(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProject]:
    """A checkout whose stack keeps everything in its namespace; whatever the test left is destroyed."""
    cluster.uninstall_kuberay()
    settings = {"volume": {"size": "5Gi"}, "nodes": 1, "egress": {}}
    made = project_on(cluster, tmp_path_factory.mktemp("checkout"), credentials=False, **settings)
    made.configure(**SHARED)
    yield made
    if made.outputs():
        made.pulumi("destroy").must_succeed()


def test_a_shared_ray_cluster_trains_onto_a_volume_serves_from_it_and_goes(project: ClusterProject) -> None:
    project.up().must_succeed()
    outputs = project.outputs()
    assert outputs["artifact_store"]["uri"] == "/var/lib/slipway/artifacts/mlflow"
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"] == "1"
    assert "predictions: [" in project.slipway("predict").must_succeed().output
    (cluster,) = [found for found in project.objects("rayclusters") if not found["metadata"].get("ownerReferences")]
    (job,) = project.objects("rayjobs")
    assert job["status"]["rayClusterName"] == cluster["metadata"]["name"], "it ran on the cluster that stays"
    (claim,) = project.objects("persistentvolumeclaims", "--field-selector=metadata.name=artifacts")
    assert claim["status"]["phase"] == "Bound"
    project.up("--expect-no-changes").must_succeed()

    project.configure(**SHARED, training={**TRAINING, "rounds": 60})
    project.up().must_succeed()
    assert project.outputs()["serving"]["champion"] == "2"
    assert len(project.objects("rayclusters")) == 2, "training's and serving's: no run made another"

    project.pulumi("destroy").must_succeed()
    assert project.cluster is not None
    assert project.cluster.kubectl("get", "namespace", project.namespace, "--ignore-not-found") == ""
