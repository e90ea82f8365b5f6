"""The state of a whole environment that installs its operators stays small enough to be written at every step."""

from __future__ import annotations

from infra.engine import manifests
from tests.programs import aws_program
from tests.programs.kubernetes_program import deployed
from tests.state_size import size_in_state

LIMIT = 5_000_000
IMAGE = "registry.example/operator@sha256:" + "3" * 64


def test_a_whole_environment_with_managed_operators_stays_under_five_megabytes() -> None:
    manifests.fetch(*manifests.SOURCES)
    images = {"kuberay": IMAGE, "device_plugin": IMAGE}
    engine, _ = deployed(substrate={"operators": "managed", "operator_images": images, "platform": "eks"})
    objects = [item.inputs for item in engine.registrations]
    definitions = [item.inputs for item in engine.registrations if item.type.endswith("CustomResourceDefinition")]
    assert len(definitions) == 3, "the control: the largest objects are in it"
    assert size_in_state(objects) < LIMIT
    assert size_in_state(objects * 3) > LIMIT, "the control: the measure can fail"


def test_production_on_aws_stays_under_it_too() -> None:
    engine, _ = aws_program.deployed("prod")
    assert len([item for item in engine.registrations if item.type.startswith("kubernetes:")]) > 50, "the control"
    assert size_in_state(item.inputs for item in engine.registrations) < LIMIT
