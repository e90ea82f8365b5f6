"""What a stack makes for the whole cluster says whose it is: the preflight refuses whatever does not."""

from __future__ import annotations

from infra.engine import manifests
from infra.kubernetes.claims import OWNER, RAY_CRDS
from tests.programs.kubernetes_program import deployed

IMAGE = "registry.example/operator@sha256:" + "3" * 64


def test_all_that_is_of_the_whole_cluster_carries_the_label_of_its_environment() -> None:
    manifests.fetch(*manifests.SOURCES)
    images = {"kuberay": IMAGE, "device_plugin": IMAGE}
    engine, _ = deployed(substrate={"operators": "managed", "operator_images": images})
    made = [item.inputs for item in engine.registrations if item.type.startswith("kubernetes:")]
    metadata = [inputs["metadata"] for inputs in made if "metadata" in inputs]  # what is read has none
    wide = {one["name"]: one.get("labels", {}).get(OWNER) for one in metadata if not one.get("namespace")}
    named = {"slipway-dev", "kuberay-operator", "nvidia-device-plugin", *(f"{name}.ray.io" for name in RAY_CRDS)}
    assert named <= wide.keys(), "the control: these are what the preflight asks for"
    assert {name: owner for name, owner in wide.items() if owner != "slipway-dev"} == {}
