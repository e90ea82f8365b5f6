"""Which pod fits which pool, and how much fits under a quota: computed without a cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.kubernetes.fit import GPU, Amount, Pod, Pool, Taint, Toleration, misfits, missing, over_quota, quantity

GIB = 2**30
GPU_TAINT = Taint(key="nvidia.com/gpu", value="present")
OPEN = Toleration(key="nvidia.com/gpu", operator="Exists")


def pool(name: str = "a10g", *, gpus: float = 2, nodes: int | None = None, **changes: object) -> Pool:
    values: dict[str, object] = {"labels": {"accelerator": "a10g"}, "taints": [GPU_TAINT], **changes}
    return Pool(name=name, each=Amount(cpu=8, memory=32 * GIB, gpus=gpus), nodes=nodes, **values)  # type: ignore[arg-type]


def pod(*, gpus: float = 1, count: int = 1, **changes: object) -> Pod:
    values: dict[str, object] = {"cpu": 2, "memory": 8 * GIB, "tolerations": [OPEN], **changes}
    return Pod(name="a training worker", setting="slipway:training.resources.gpus", gpus=gpus, count=count, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", 0.5), ("2", 2), (3, 3), ("1Gi", GIB), ("1.5Gi", 1.5 * GIB), ("100M", 1e8), ("128974848000m", 128974848)],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str | float, number: float) -> None:
    assert quantity(text) == number


def test_a_pod_that_fits_is_not_reported() -> None:
    assert misfits([pod(selector={"accelerator": "a10g"})], [pool()]) == []


def test_too_many_gpus_for_one_node_names_the_nearest_pool_and_both_numbers() -> None:
    small, large = pool("small", gpus=1), pool("large", gpus=2)
    (found,) = misfits([pod(gpus=4)], [small, large])
    assert str(found) == (
        "slipway:training.resources.gpus: a training worker fits no pool. "
        "Nearest is large: asks for 4 GPUs, a node has 2"
    )


def test_a_pool_of_the_right_kind_that_is_too_small_is_nearer_than_one_of_the_wrong_kind() -> None:
    wrong = pool("wrong", gpus=8, labels={"accelerator": "t4"}, taints=[Taint(key="team", value="x")])
    (found,) = misfits([pod(gpus=4, selector={"accelerator": "a10g"})], [wrong, pool("right")])
    assert found.nearest is not None
    assert found.nearest.name == "right"


def test_without_any_pool_there_is_no_node() -> None:
    (found,) = misfits([pod()], [])
    assert "there is no pool of nodes" in str(found)


def test_a_label_that_differs_is_shown_with_the_value_there_is() -> None:
    assert missing(pod(selector={"accelerator": "t4"}), pool()) == [
        "its nodes lack the label accelerator=t4 (they have accelerator=a10g)"
    ]


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        (Toleration(key="nvidia.com/gpu", operator="Exists"), True),
        (Toleration(key="nvidia.com/gpu", value="present"), True),
        (Toleration(key="nvidia.com/gpu", value="absent"), False),
        (Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoExecute"), False),
        (Toleration(operator="Exists"), True),
        (Toleration(key="other", operator="Exists"), False),
    ],
)
def test_tolerations_match_taints_by_the_rules_of_kubernetes(toleration: Toleration, *, fits: bool) -> None:
    assert (missing(pod(tolerations=[toleration]), pool()) == []) is fits


def test_a_taint_that_only_prefers_keeps_nobody_out() -> None:
    assert missing(pod(tolerations=[]), pool(taints=[Taint(key="x", effect="PreferNoSchedule")])) == []
    assert missing(pod(tolerations=[]), pool(taints=[Taint(key="x", effect="NoSchedule")])) != []


def test_more_pods_than_all_nodes_of_the_pool_take_are_reported() -> None:
    assert misfits([pod(count=4)], [pool(nodes=2)]) == []
    (found,) = misfits([pod(count=5)], [pool(nodes=2)])
    assert "room for 4 such pods on all its nodes, 5 are asked for" in str(found)


def test_an_unknown_number_of_nodes_is_never_too_few() -> None:
    assert misfits([pod(count=500)], [pool(nodes=None)]) == []


def test_pods_that_are_not_asked_for_are_not_looked_at() -> None:
    assert misfits([pod(gpus=16, count=0)], [pool()]) == []


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 20))
def test_a_pod_is_reported_exactly_when_gpus_are_too_few_on_every_node(gpus: int, there: int, count: int) -> None:
    wanted = pod(gpus=gpus, count=count, cpu=0.001, memory=1)
    found = misfits([wanted], [pool(gpus=there, nodes=3)])
    assert bool(found) == (3 * (there // gpus) < count)


def test_workers_times_resources_are_held_against_the_quota() -> None:
    assert over_quota([pod(count=4, gpus=1)], [], {"requests.nvidia.com/gpu": "4", "requests.cpu": "8"}) == []
    assert over_quota([pod(count=5, gpus=1)], [], {"requests.nvidia.com/gpu": "4"}) == [
        "requests.nvidia.com/gpu is 4, the stack asks for 5"
    ]


def test_a_second_serving_cluster_is_held_against_the_quota() -> None:
    (found,) = over_quota([pod()], [pod()], {GPU: "1"})
    assert "an upgrade of serving asks for 2" in found
    assert "a second cluster runs until it has taken over" in found


def test_memory_is_told_as_kubernetes_writes_it() -> None:
    assert over_quota([pod(count=3)], [], {"requests.memory": "16Gi"}) == [
        "requests.memory is 16Gi, the stack asks for 24Gi"
    ]


def test_a_quota_on_something_else_says_nothing() -> None:
    assert over_quota([pod(count=100)], [], {"count/secrets": "1", "requests.storage": "1Gi"}) == []
