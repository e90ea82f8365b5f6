"""What the preflight counts is what the program declares: the same pods, of the same sizes, as many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.seam import Place
from infra.kubernetes import demand, fit
from infra.kubernetes.findings import OFFLINE
from infra.kubernetes.fit import GPU, quantity
from infra.kubernetes.preflight import PreflightFailed, require
from stacks.config import load
from stacks.ground import GROUND
from tests.programs.kubernetes_program import deployed, pods, settings

LASTING = ("tracking-deployment", "tracking-database", "training-job", "serving-service")
PLACE = Place(project="slipway", stack="dev", root=Path(__file__).parents[2])


def wanted(**changes: Any) -> list[fit.Pod]:
    return list(demand.needs(PLACE, load(settings(**changes))).pods)


def sizes(found: list[fit.Pod]) -> set[tuple[float, float, float]]:
    return {(pod.cpu, pod.memory, pod.gpus) for pod in found}


def declared(**changes: Any) -> set[tuple[float, float, float]]:
    """Return the requests of the first container of every pod that lasts, as the program declares it."""
    engine, _ = deployed(**changes)
    requests = [
        pod.spec["containers"][0]["resources"]["requests"]
        for pod in pods(engine)
        if pod.owner in LASTING and pod.spec["containers"][0]["name"] != "ray-job-submitter"
    ]
    assert len(requests) > 4, "the control: pods were found"
    return {(quantity(one["cpu"]), quantity(one["memory"]), quantity(one.get(GPU, 0))) for one in requests}


def test_the_pods_that_are_counted_have_the_sizes_of_those_that_are_declared() -> None:
    memory = {"training": {"resources": {"workers": 2, "cpus": 4, "gpus": 1, "memory_gib": 8}}}
    assert sizes(wanted(**memory)) == declared(**memory)


def test_without_gpus_the_sizes_are_the_same_too() -> None:
    training = {"training": {"resources": {"cpus": 3}}}
    assert sizes(wanted(**training)) == declared(**training)


def test_workers_and_replicas_are_counted_as_many_as_asked_for() -> None:
    counts = {pod.name: pod.count for pod in wanted()}
    assert counts["a training worker"] == 2
    assert counts["a replica"] == 2


def test_a_second_serving_cluster_is_what_an_upgrade_asks_for_besides() -> None:
    needs = demand.needs(PLACE, load(settings()))
    assert {pod.name for pod in needs.surge} == {"the head of the serving cluster", "a replica"}


def test_workers_are_placed_on_the_nodes_of_the_pool_that_the_program_chooses() -> None:
    pools = [
        {"name": "large", "gpus": 8, "cpus": 64, "accelerator": "h100"},
        {"name": "small", "gpus": 1, "cpus": 8, "max": 2, "accelerator": "l4"},
    ]
    needs = demand.needs(PLACE, load(settings(gpu_pools=pools)))
    (worker,) = [pod for pod in needs.pods if pod.gpus]
    assert dict(worker.selector) == {"nvidia.com/gpu.product": "l4"}
    assert fit.misfits([worker], needs.pools) == []
    assert fit.missing(worker, needs.pools[0]), "the larger pool's nodes are not for it"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"training": {"resources": {"gpus": 4}}},
            "gpus = 4: a training worker fits no pool. Nearest is l4: asks for 4 GPUs, a node has 1",
        ),
        (
            {"training": {"resources": {"gpus": 1, "workers": 5}}},
            "there is room for 4 such pods on all its nodes, 5 are asked for",
        ),
        ({"gpu_pools": [], "training": {"resources": {"gpus": 1}}}, "there is no pool of nodes"),
        ({"substrate": {"quota": {"gpus": 1}}}, "slipway:substrate.quota: nvidia.com/gpu is 1, the stack asks for 2"),
        (
            {"substrate": {"quota": {"cpu": "10", "gpus": 4}}},
            "cpu is 10, an upgrade of serving asks for 10.8: a second cluster runs until it has taken over",
        ),
    ],
)
def test_what_cannot_fit_is_found_without_a_cluster(
    changes: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    with pytest.raises(PreflightFailed) as failed:
        require(demand.needs(PLACE, load(settings(**changes))))
    assert told in str(failed.value)


def test_the_example_stack_fits_and_offline_the_warning_says_what_was_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    env = load(settings())
    (warning,) = GROUND[env.substrate.kind].require(PLACE, env)
    assert "SLIPWAY_OFFLINE=1" in warning.seen
