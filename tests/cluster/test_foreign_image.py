"""An image that holds other code than the stack's: the run refuses it by name, and the right one repairs.

It cannot be seen before something runs, so this one trains twice: `make test-cluster` runs it, `make test` does not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.node.cluster import Cluster
from tests.cluster.project import TRAINING, ClusterProject, product_image


@pytest.mark.slow
@pytest.mark.timeout(900, func_only=True)
def test_an_image_with_other_code_is_refused_by_the_run_and_the_right_one_repairs(
    environment: ClusterProject, cluster: Cluster, tmp_path: Path
) -> None:
    """The stack file still pins yesterday's image, and today the training code was edited."""
    yesterday = environment.substrate["image"]
    champion = environment.outputs()["serving"]["champion"]
    once = {**TRAINING, "retries": 0}
    edited = environment.root / "training" / "evaluate.py"
    before = edited.read_text()
    edited.write_text(f"{before}\n# one more line\n")
    try:
        environment.configure(training=once)
        said = environment.up().must_fail().output
        assert f"was refused: image {yesterday} holds code " in said, said
        assert "the stack wants " in said
        assert "python -m infra.image build" in said
        assert f"champion: default {champion}" in environment.slipway("status").must_succeed().output, "it serves on"
        today = product_image(cluster, environment.root, tmp_path / "today.tar")
        assert today != yesterday, "the control: they hold other code"
    except BaseException:
        edited.write_text(before)  # those after this one share the checkout
        raise
    environment.pin(today)
    environment.configure(training=once)
    environment.up().must_succeed()
    outputs = environment.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"] != champion
