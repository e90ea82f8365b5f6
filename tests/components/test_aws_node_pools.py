"""Node pools: which machines, bought how, in which zones, with which labels; and how the autoscaler knows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from pulumi import ResourceOptions

from components.aws.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from components.aws.gpu_nodes import GpuNodes
from components.aws.node_group import Size
from components.aws.node_role import NodeRole, NodeRoleArgs
from tests.components.aws_ground import NAMES, cluster, network, on_aws, registered, statements
from tests.components.aws_pools import L4, LABELS, TAINTS, TEMPLATE, Pool, gpu, group, made, name_of, system
from tests.mock_engine import Engine


@pytest.fixture(scope="module")
def one() -> Engine:
    return gpu()


def test_a_pool_starts_from_zero_and_grows_to_its_maximum(one: Engine) -> None:
    assert group(one).inputs["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}


def test_nodes_carry_the_label_taint_and_model_that_pods_ask_for(one: Engine) -> None:
    labels = group(one).inputs["labels"]
    assert labels["slipway/pool"] == "train"
    assert labels["nvidia.com/gpu.present"] == "true"
    assert labels["k8s.amazonaws.com/accelerator"] == "nvidia-l4", "without it, the autoscaler adds too many nodes"
    assert group(one).inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_no_label_is_set_that_eks_keeps_for_itself(one: Engine) -> None:
    assert not [key for key in group(one).inputs["labels"] if key.startswith("eks.amazonaws.com/")]


def test_a_model_s_label_that_is_given_stays(one: Engine) -> None:
    given = {**LABELS, "k8s.amazonaws.com/accelerator": "chosen"}

    def make(opts: ResourceOptions) -> None:
        args = GpuNodePoolArgs(
            names=NAMES,
            pool=Pool(),
            nodes=L4,
            labels=given,
            taints=TAINTS,
            cluster=cluster(opts),
            network=network(),
            role=NodeRole("nodes", NodeRoleArgs(names=NAMES), opts),
            version="1.36",
        )
        GpuNodePool("gpu-train", args, opts)

    assert group(on_aws(make)).inputs["labels"]["k8s.amazonaws.com/accelerator"] == "chosen"


def test_the_autoscaler_is_told_what_a_first_node_would_offer(one: Engine) -> None:
    prefix = "k8s.io/cluster-autoscaler/node-template/resources/"
    assert group(one).inputs["tags"] == {f"{prefix}nvidia.com/gpu": "1", f"{prefix}ephemeral-storage": "160Gi"}


def test_gpu_nodes_start_from_the_image_with_drivers_of_their_architecture(one: Engine) -> None:
    assert group(one).inputs["amiType"] == "AL2023_x86_64_NVIDIA"
    assert group(gpu(GpuNodes(instance_types=["g5g.xlarge"]))).inputs["amiType"] == "AL2023_ARM_64_NVIDIA"
    assert group(system()).inputs["amiType"] == "AL2023_x86_64_STANDARD"
    assert group(system("m7g.xlarge")).inputs["amiType"] == "AL2023_ARM_64_STANDARD"


def test_sick_nodes_are_replaced_and_updates_take_scarce_ones_first(one: Engine) -> None:
    assert group(one).inputs["nodeRepairConfig"] == {"enabled": True}
    assert group(one).inputs["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}
    assert group(system()).inputs["nodeRepairConfig"] == {"enabled": True}
    assert group(system()).inputs["updateConfig"] == {"maxUnavailablePercentage": 33}


def test_nodes_are_in_every_private_subnet_unless_zones_are_named(one: Engine) -> None:
    assert group(one).inputs["subnetIds"] == ["subnet-us-east-1a", "subnet-us-east-1b"]
    narrow = gpu(replace(L4, zones=["us-east-1b"]))
    assert group(narrow).inputs["subnetIds"] == ["subnet-us-east-1b"]


def test_a_group_goes_before_the_rights_of_its_nodes(one: Engine) -> None:
    rights = {item.name for item in one.registrations if item.parent == "nodes"}
    assert rights == {"nodes-role", "nodes-worker", "nodes-images"}
    assert rights <= set(group(one).dependencies)


def test_a_node_may_do_what_a_node_does_and_no_more(one: Engine) -> None:
    policies = {
        item.inputs["policyArn"].rsplit("/", 1)[-1]
        for item in one.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if item.parent == "nodes"
    }
    assert policies == {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}
    (role,) = [item for item in one.all("aws:iam/role:Role") if item.parent == "nodes"]
    assert [one["Principal"] for one in statements(role, "assumeRolePolicy")] == [{"Service": "ec2.amazonaws.com"}]


def test_a_spot_pool_with_a_fallback_is_two_groups_each_of_which_can_carry_it() -> None:
    engine = gpu(replace(L4, capacity="spot_with_fallback"), Pool(min=1))
    spot, on_demand = group(engine, "SPOT").inputs, group(engine, "ON_DEMAND").inputs
    assert spot["scalingConfig"] == {"minSize": 1, "maxSize": 4, "desiredSize": 1}
    assert on_demand["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}
    assert spot["nodeGroupName"] != on_demand["nodeGroupName"]
    assert spot["labels"]["slipway/pool"] == on_demand["labels"]["slipway/pool"], "pods select the pool, and get either"
    assert spot["labels"]["slipway/capacity"] != on_demand["labels"]["slipway/capacity"], "or they would be balanced"
    assert len(engine.all(TEMPLATE)) == 1


def priorities(nodes: GpuNodes) -> tuple[Engine, dict[int, list[str]]]:
    seen: dict[int, list[str]] = {}

    def make(opts: ResourceOptions) -> None:
        pool = made(opts, nodes)
        seen.update({number: list(patterns) for number, patterns in pool.priorities.items()})

    return on_aws(make), seen


def test_the_autoscaler_takes_spot_before_on_demand() -> None:
    engine, found = priorities(replace(L4, capacity="spot_with_fallback"))
    first, second = sorted(found, reverse=True)
    for number, capacity in ((first, "SPOT"), (second, "ON_DEMAND")):
        name = group(engine, capacity).inputs["nodeGroupName"]
        (pattern,) = found[number]
        assert re.match(pattern, f"eks-{name}-9cc6b4e2-1111")
    other = group(engine, "ON_DEMAND").inputs["nodeGroupName"]
    assert not re.match(found[first][0], f"eks-{other}-9cc6b4e2-1111"), "the control: the pattern tells them apart"


def test_every_pool_has_its_priority() -> None:
    for capacity in ("on_demand", "spot"):
        _, found = priorities(replace(L4, capacity=capacity))
        assert len(found) == 1


def test_what_eks_cannot_change_in_a_group_changes_its_name() -> None:
    before = name_of(L4)
    assert name_of(replace(L4, instance_types=["g6.xlarge"])) != before
    assert name_of(replace(L4, capacity="spot")) != before
    assert name_of(replace(L4, zones=["us-east-1a"])) != before


def test_a_pool_called_like_something_else_collides_with_nothing() -> None:
    names = {item.inputs["name"] for item in (gpu(L4, Pool(name="system")).one(TEMPLATE), system().one(TEMPLATE))}
    assert len(names) == 2


def test_machines_that_do_not_belong_together_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"GPU pool train: .*g5\.xlarge.*other GPUs than g6\.xlarge"):
        gpu(GpuNodes(instance_types=["g6.xlarge", "g5.xlarge"]))


def test_system_nodes_of_two_architectures_are_refused() -> None:
    with pytest.raises(ValueError, match="ARM and x86 in one pool"):
        system("m7i.xlarge", "m7g.xlarge")


def test_a_preview_registers_what_an_up_registers() -> None:
    nodes = replace(L4, capacity="spot_with_fallback")
    assert registered(gpu(nodes, preview=True)) == registered(gpu(nodes))
    assert registered(system(preview=True)) == registered(system())


def test_how_many_nodes_there_are_is_the_autoscaler_s(one: Engine) -> None:
    assert group(one).ignores == ("scalingConfig.desiredSize",)
    assert one.one(TEMPLATE).ignores == (), "the control: nothing else is ignored"


@pytest.mark.parametrize(
    ("now", "pool", "desired"),
    [
        (Size(min=0, max=2, desired=2), Pool(max=4), 2),
        (Size(min=0, max=4, desired=1), Pool(min=2), 2),
        (Size(min=0, max=8, desired=7), Pool(max=4), 4),
    ],
    ids=["a higher maximum ends no node", "a higher minimum starts what it asks for", "a lower maximum is kept"],
)
def test_a_change_of_bounds_takes_along_how_many_nodes_there_are(now: Size, pool: Pool, desired: int) -> None:
    """The provider sends all three numbers at once, and an ignored one as it was at the last refresh."""
    found = group(gpu(pool=pool, sizes={name_of(L4): now}))
    assert found.inputs["scalingConfig"] == {"minSize": pool.min, "maxSize": pool.max, "desiredSize": desired}
    assert found.ignores == ()


def test_within_the_same_bounds_how_many_nodes_there_are_is_the_autoscaler_s() -> None:
    found = group(gpu(sizes={name_of(L4): Size(min=0, max=4, desired=3)}))
    assert found.inputs["scalingConfig"]["desiredSize"] == 0
    assert found.ignores == ("scalingConfig.desiredSize",)


def test_a_group_that_comes_in_place_of_another_starts_with_its_own_minimum() -> None:
    """With the number of the one before it, GPUs would start that nobody asked for, or more than its maximum."""
    before = f"{name_of(L4).rpartition('-')[0]}-before"
    found = group(gpu(sizes={before: Size(min=0, max=9, desired=9)}))
    assert found.inputs["scalingConfig"]["desiredSize"] == 0
    assert found.ignores == ()
    first = group(gpu(sizes={"slipway-prod-gpu-other-123456": Size(min=0, max=9, desired=9)}))
    assert first.ignores == ("scalingConfig.desiredSize",), "a refresh takes what the autoscaler did for no drift"
