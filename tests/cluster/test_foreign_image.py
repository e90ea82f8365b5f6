"""An image that holds other code than the stack's: the run refuses it by name, and the right one repairs.

It cannot be seen before something runs, so this one brings a whole environment up: `make test-cluster` runs it, and
`make test` does not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.node.cluster import Cluster
from tests.cluster.project import TRAINING, environment_on, object_store, product_image

NO_IMAGE = "localhost/none@sha256:" + "0" * 64


@pytest.mark.slow
@pytest.mark.timeout(900, func_only=True)
def test_an_image_with_other_code_is_refused_by_the_run_and_the_right_one_repairs(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """The stack file still pins yesterday's image, and today the training code was edited."""
    project = environment_on(cluster, tmp_path_factory.mktemp("checkout"), NO_IMAGE)
    cluster.replenish_volumes()
    yesterday = product_image(cluster, project.root, tmp_path / "yesterday.tar")
    edited = project.root / "training" / "evaluate.py"
    edited.write_text(f"{edited.read_text()}\n# one more line\n")
    today = product_image(cluster, project.root, tmp_path / "today.tar")
    assert today != yesterday, "the control: they hold other code"
    once = {**TRAINING, "retries": 0}
    with object_store(cluster):
        try:
            project.configure(substrate={**(project.substrate or {}), "image": yesterday}, training=once)
            said = project.up().must_fail().output
            assert f"was refused: image {yesterday} holds code " in said, said
            assert "the stack wants " in said
            assert "python -m infra.image build" in said
            project.configure(substrate={**(project.substrate or {}), "image": today}, training=once)
            project.up().must_succeed()
            outputs = project.outputs()
            assert outputs["training"]["verdict"] == "passed"
            assert outputs["serving"]["champion"] == outputs["training"]["model_version"]
        finally:
            project.pulumi("destroy").must_succeed()
