"""The table of platforms, row by row, and where the pods of a GPU pool land on each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest

from components.kubernetes.environment_namespace import account_with_identity
from components.kubernetes.gpu_pools import gpu_resources, node_labels, node_taints, placement
from components.kubernetes.platforms import METADATA, PLATFORMS, PlatformName
from components.kubernetes.storage_class import storage_class
from components.ray_cluster import GpuPool

EVERY: Sequence[PlatformName] = tuple(PLATFORMS)


def pool(**changes: object) -> GpuPool:
    return GpuPool.model_validate({"name": "gpu", "gpus": 4, "accelerator": "nvidia-l4", **changes})


def tolerated(taint: Mapping[str, str], tolerations: Sequence[Mapping[str, str]]) -> bool:
    """The API's rule: the key and the effect, and the value unless any will do."""
    return any(
        one["key"] == taint["key"]
        and one["effect"] == taint["effect"]
        and (one["operator"] == "Exists" or one["value"] == taint["value"])
        for one in tolerations
    )


@pytest.mark.parametrize(
    ("platform", "labels", "taints"),
    [
        ("generic", {"nvidia.com/gpu.product": "nvidia-l4"}, {"nvidia.com/gpu"}),
        ("gke", {"cloud.google.com/gke-accelerator": "nvidia-l4"}, {"nvidia.com/gpu"}),
        ("aks", {"node.kubernetes.io/instance-type": "nvidia-l4"}, {"sku"}),
        ("eks", {"k8s.amazonaws.com/accelerator": "nvidia-l4"}, {"nvidia.com/gpu"}),
    ],
)
def test_gpu_pods_select_and_tolerate_by_the_names_of_the_platform(
    platform: PlatformName, labels: dict[str, str], taints: set[str]
) -> None:
    placed = placement(pool(), platform)
    assert placed["nodeSelector"] == labels
    assert {one["key"] for one in placed["tolerations"]} == taints


@pytest.mark.parametrize("platform", EVERY)
@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("accelerator", [None, "nvidia-l4"])
def test_a_pool_s_pods_land_on_its_nodes(platform: PlatformName, *, spot: bool, accelerator: str | None) -> None:
    one = pool(spot=spot, accelerator=accelerator)
    placed = placement(one, platform)
    assert placed["nodeSelector"].items() <= node_labels(one, platform).items()
    assert all(tolerated(taint, placed["tolerations"]) for taint in node_taints(one, platform))


@pytest.mark.parametrize("platform", EVERY)
def test_other_pods_do_not_land_on_gpu_nodes(platform: PlatformName) -> None:
    taints = node_taints(pool(), platform)
    assert taints, "without a taint, anything would run on GPUs"
    assert not any(tolerated(taint, []) for taint in taints)


@pytest.mark.parametrize("platform", EVERY)
def test_pods_of_one_model_do_not_land_on_another(platform: PlatformName) -> None:
    selector = placement(pool(), platform)["nodeSelector"]
    assert not selector.items() <= node_labels(pool(name="other", accelerator="nvidia-h100"), platform).items()


def test_on_nodes_that_slipway_makes_the_name_of_the_pool_decides_and_not_how_they_were_bought() -> None:
    steady, cheap = pool(name="steady"), pool(name="cheap", spot=True)
    spot_node = {**node_labels(cheap, "aws"), "eks.amazonaws.com/capacityType": "SPOT"}
    assert not placement(steady, "aws")["nodeSelector"].items() <= spot_node.items(), "the same GPUs, another pool"
    for bought in ("SPOT", "ON_DEMAND"):
        node = {**node_labels(cheap, "aws"), "eks.amazonaws.com/capacityType": bought}
        assert placement(cheap, "aws")["nodeSelector"].items() <= node.items(), "a fallback is used too"


@pytest.mark.parametrize("platform", ["gke", "aks"])
def test_pods_that_may_not_be_interrupted_stay_off_spot_nodes(platform: PlatformName) -> None:
    steady = placement(pool(), platform)["tolerations"]
    assert not all(tolerated(taint, steady) for taint in node_taints(pool(spot=True), platform))


def test_a_common_word_as_a_taint_is_tolerated_by_its_value_only() -> None:
    tolerations = placement(pool(), "aks")["tolerations"]
    assert tolerated({"key": "sku", "value": "gpu", "effect": "NoSchedule"}, tolerations)
    assert not tolerated({"key": "sku", "value": "windows", "effect": "NoSchedule"}, tolerations)


def test_gpus_are_asked_for_whole_or_not_at_all() -> None:
    assert gpu_resources(2) == {"nvidia.com/gpu": "2"}
    assert gpu_resources(0) == {}


@pytest.mark.parametrize(
    ("platform", "annotation"),
    [
        ("gke", "iam.gke.io/gcp-service-account"),
        ("aks", "azure.workload.identity/client-id"),
        ("eks", "eks.amazonaws.com/role-arn"),
    ],
)
def test_an_account_s_cloud_identity_is_an_annotation(platform: PlatformName, annotation: str) -> None:
    assert account_with_identity("training", platform, "principal").annotations == {annotation: "principal"}
    assert account_with_identity("training", platform, None).annotations == {}


def test_an_identity_on_a_cluster_without_any_is_refused() -> None:
    with pytest.raises(ValueError, match="use a Secret with credentials"):
        account_with_identity("training", "generic", "principal")


def test_pods_on_aks_ask_for_their_identity_by_label() -> None:
    assert PLATFORMS["aks"].identity.pod_labels == {"azure.workload.identity/use": "true"}


@pytest.mark.parametrize(
    ("platform", "name", "own"),
    [("generic", None, False), ("gke", "standard-rwo", False), ("aks", "managed-csi", False), ("eks", "gp3", True)],
)
def test_only_platforms_without_a_usable_class_get_one(platform: PlatformName, name: str | None, *, own: bool) -> None:
    assert PLATFORMS[platform].storage.name == name
    if not own:
        with pytest.raises(ValueError, match="makes no StorageClass"):
            storage_class(platform)
        return
    made = storage_class(platform)
    assert made["parameters"]["encrypted"] == "true"
    assert made["volumeBindingMode"] == "WaitForFirstConsumer"
    assert made["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}


@pytest.mark.parametrize("platform", ["aks", "eks", "gke"])
def test_a_load_balancer_can_be_kept_inside(platform: PlatformName) -> None:
    text = str(PLATFORMS[platform].internal_load_balancer).lower()
    assert "internal" in text


@pytest.mark.parametrize("platform", EVERY)
def test_every_name_is_one_that_the_api_accepts(platform: PlatformName) -> None:
    row = PLATFORMS[platform]
    keys = [row.accelerator_label, row.gpu_taint.key, *row.identity.pod_labels, *row.internal_load_balancer]
    keys += [pair[0] for pair in (row.gpu_label, row.spot_label) if pair]
    qualified = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
    assert [key for key in keys if not qualified.fullmatch(key)] == []


def test_the_node_s_identity_is_an_endpoint_on_gke_alone_where_it_answers_for_the_pod() -> None:
    exposed = {name for name in EVERY if any(one.cidr == METADATA for one in PLATFORMS[name].identity.endpoints)}
    assert exposed == {"gke"}
