"""Ephemeral stacks by the real engine: made like another with an end of their own, and gone without a trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.stacks.engine_clone import Clone, make_clone

TEMPLATE = """\
config:
  tiny:size: 5 # the template's
  slipway:lifetime: {hours: 8}
  pulumi:disable-default-providers: ["*"]
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = make_clone(tmp_path_factory.mktemp("lifetime"))
    (made.root / "Pulumi.gpu.yaml").write_text(TEMPLATE)
    return made


def files(clone: Clone) -> set[str]:
    return {file.name for file in clone.root.glob("Pulumi.*.yaml")}


def test_a_copy_of_a_template_lives_and_leaves_nothing(clone: Clone) -> None:
    before = datetime.now(tz=UTC).replace(microsecond=0)
    said = clone.run("stack", "init", "gpu-pr42", "--copy-config-from", "gpu")
    written = yaml.safe_load((clone.root / "Pulumi.gpu-pr42.yaml").read_text())["config"]
    end = datetime.fromisoformat(written["slipway:lifetime"]["expires_at"])
    assert before <= end - timedelta(hours=8) <= datetime.now(tz=UTC)
    assert f"the environment ends at {written['slipway:lifetime']['expires_at']}" in said
    assert written["tiny:size"] == 5
    assert (clone.root / "Pulumi.gpu.yaml").read_text() == TEMPLATE, "the template has no end"
    assert "gpu-pr42*" in clone.run("stack", "ls"), "selected, as Pulumi's own init does"
    assert "3 created" in clone.run("up", "--yes"), "the stack, the provider and what it holds"
    clone.run("destroy", "--yes")
    clone.run("stack", "rm", "--yes", "gpu-pr42")
    assert files(clone) == {"Pulumi.dev.yaml", "Pulumi.gpu.yaml"}
    assert "gpu-pr42" not in clone.run("stack", "ls")


def test_a_committed_stack_file_outlives_its_stack(clone: Clone) -> None:
    clone.run("preview", "-s", "dev")
    clone.run("stack", "rm", "--yes", "dev")
    assert "Pulumi.dev.yaml" in files(clone)


def test_a_copy_that_fails_leaves_no_file(clone: Clone, tmp_path: Path) -> None:
    said = clone.run("stack", "init", "not/a/stack/name", "--copy-config-from", "gpu", status=1)
    assert "could not be created" in said
    assert files(clone) == {"Pulumi.dev.yaml", "Pulumi.gpu.yaml"}
    said = clone.run("stack", "init", "x", "--copy-config-from", "none", status=1)
    assert "there is no Pulumi.none.yaml to copy from (files exist for: dev, gpu)" in said
