"""A stack stays on the substrate that it was made on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.engine.layout import Project, StopError
from infra.engine.substrate import asked_for, refuse_another

ROOT = Path(__file__).parents[2]


def project_of(folder: Path, made: str | None, asked: str) -> tuple[Project, dict[str, str]]:
    (folder / "Pulumi.yaml").write_text("name: slipway\n")
    (folder / "Pulumi.shop.yaml").write_text(
        f"config:\n  # kind: aws, one day\n  slipway:substrate: {{kind: {asked}}}\n"
    )
    stacks = folder / "state" / ".pulumi" / "stacks" / "slipway"
    stacks.mkdir(parents=True)
    root = {"type": "pulumi:pulumi:Stack", "outputs": {"substrate": {"kind": made}}}
    resources = [root] if made else []
    (stacks / "shop.json").write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    return Project(folder), {"PULUMI_BACKEND_URL": f"file://{folder / 'state'}"}


def test_another_substrate_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    project, environment = project_of(tmp_path, "local", "aws")
    with pytest.raises(StopError) as caught:
        refuse_another(project, "shop", environment)
    told = str(caught.value)
    assert "'shop' was made on the substrate local" in told
    assert "now says aws" in told
    assert "cp Pulumi.shop.yaml Pulumi.NEW.yaml" in told
    assert "./pulumiw destroy -s shop" in told


@pytest.mark.parametrize("made", ["aws", None])
def test_the_same_substrate_and_a_stack_that_holds_nothing_are_not(tmp_path: Path, made: str | None) -> None:
    project, environment = project_of(tmp_path, made, "aws")
    refuse_another(project, "organization/slipway/shop", environment)


def test_a_state_that_is_not_there_or_elsewhere_is_no_reason_to_refuse(tmp_path: Path) -> None:
    project, environment = project_of(tmp_path, "local", "aws")
    refuse_another(project, "other", environment)
    refuse_another(project, "shop", {"PULUMI_BACKEND_URL": "s3://bucket"})


@pytest.mark.parametrize(("stack", "kind"), [("dev", "local"), ("prod", "aws"), ("gpu", "aws")])
def test_the_substrate_of_the_committed_stack_files_is_found(stack: str, kind: str) -> None:
    assert asked_for(ROOT / f"Pulumi.{stack}.yaml") == kind
