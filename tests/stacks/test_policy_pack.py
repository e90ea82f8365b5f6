"""The policy pack under the real engine: it refuses what the program alone could not see, and lets the rest pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from infra.engine.find import find_engine
from tests.policies.case import TAGS
from tests.stacks.engine_clone import ROOT, Clone, make_clone

REFUSED = 1
PACK = ROOT / "infra" / "policies" / "pack"
PROJECT = """\
name: tiny
main: program
runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}
plugins:
  providers:
    - {name: aws, path: provider}
"""
PROGRAM = """\
import json
import pulumi

class Made(pulumi.CustomResource):
    def __init__(self, kind, name, **inputs):
        super().__init__(kind, name, inputs, pulumi.ResourceOptions(provider=provider))

config = pulumi.Config()
wanted = config.require_object("wanted")
provider = pulumi.ProviderResource("aws", "aws", {"defaultTags": json.dumps({"tags": wanted["tags"]})})
# an Output: the program itself does not know it
keep = pulumi.Output.from_input(wanted["force"])
bucket = Made("aws:s3/bucket:Bucket", "data", bucket="data-1", forceDestroy=keep)
if wanted["block"]:
    switches = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    Made("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "block", bucket=bucket.id,
         **dict.fromkeys(switches, True))
kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
rule = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": bucket.id}}
Made(kind, "encryption", bucket=bucket.id, rules=[rule])
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = make_clone(tmp_path_factory.mktemp("pack"))
    (made.root / "Pulumi.yaml").write_text(PROJECT)
    (made.root / "program" / "__main__.py").write_text(PROGRAM)
    return made


def configure(clone: Clone, *, force: bool = False, block: bool = True, tags: dict[str, str] = TAGS) -> None:
    wanted = {"force": force, "block": block, "tags": tags}
    config = {"tiny:wanted": json.dumps(wanted), "tiny:artifacts": json.dumps({"retain": True})}
    for stack in ("dev", "prod"):
        (clone.root / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))


def test_what_keeps_the_rules_passes(clone: Clone) -> None:
    configure(clone)
    said = clone.run("preview", "--policy-pack", str(PACK))
    assert "✅ slipway" in said
    assert "5 to create" in said, "the stack, the provider and three resources"


def test_what_breaks_rules_is_refused_with_every_message_at_once(clone: Clone) -> None:
    configure(clone, force=True, tags={"slipway:owner": "o"})
    said = clone.run("preview", "--policy-pack", str(PACK), status=REFUSED)
    for line in (
        "[mandatory]  bucket-kept  (aws:s3:Bucket: data)",
        "data: forceDestroy = true: slipway:artifacts.retain is on",
        "fix: set it to false",
        "[mandatory]  default-tags  (pulumi:providers:aws: aws)",
        "fix: add slipway:project, slipway:stack, slipway:cost-centre",
    ):
        assert line in said
    assert said.count("[mandatory]") == 2
    assert "5 to create" not in said


def test_what_only_several_resources_show_is_refused_by_links_that_have_no_values_yet(clone: Clone) -> None:
    configure(clone, block=False)
    said = clone.run("preview", "--policy-pack", str(PACK), status=REFUSED)
    assert "[mandatory]  bucket-has-block  (aws:s3:Bucket: data)" in said
    assert "bucket-has-encryption" not in said, "that one is linked, by an id that is not known in a preview"


def test_without_the_pack_the_same_program_passes(clone: Clone) -> None:
    """The control: it is the pack that refuses."""
    configure(clone, force=True, block=False)
    assert "to create" in clone.run("preview")


def test_up_is_refused_too_before_anything_is_made(clone: Clone) -> None:
    configure(clone, force=True)
    said = clone.run("up", "--policy-pack", str(PACK), status=REFUSED)
    assert "forceDestroy = true" in said
    assert "aws:s3/bucket:Bucket" not in clone.resources()


def test_what_only_the_whole_stack_shows_is_refused_before_anything_is_made(clone: Clone) -> None:
    """Such a rule is asked at the end of an `up`; the preview before it is what saves the stack."""
    configure(clone, block=False)
    said = clone.run("up", "--policy-pack", str(PACK), "-s", "prod", status=REFUSED)
    assert "[mandatory]  bucket-has-block  (aws:s3:Bucket: data)" in said
    assert clone.resources("prod") == []
    clone.run("up", "--policy-pack", str(PACK), "-s", "prod", "--skip-preview", status=REFUSED)
    assert "aws:s3/bucket:Bucket" in clone.resources("prod"), "the control: asked at the end, it has been made"


@pytest.mark.skipif(shutil.which("pulumi-analyzer-policy-python") is not None, reason="the official one is on PATH")
def test_the_engine_that_is_built_here_needs_no_analyzer_of_its_own(clone: Clone, tmp_path: Path) -> None:
    """Engines from the oldest accepted one on start Python packs through the language host."""
    engine = find_engine([])
    assert engine is not None
    found = list(engine.path.parent.glob("pulumi-analyzer-*")) + list((ROOT / "infra/engine/host").glob("*analyzer*"))
    assert found == [] or engine.official
    configure(clone)
    assert "✅ slipway" in clone.run("preview", "--policy-pack", str(PACK))
