"""How nodes start: disk, metadata service, tags; adapters and reservations of GPU pools."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.aws.gpu_nodes import GpuNodes
from components.aws.instance_types import lookup
from components.aws.launch_template import interfaces
from tests.components.aws_ground import GROUP
from tests.components.aws_pools import L4, TAGS, Pool, gpu, group, name_of, system, template
from tests.mock_engine import Engine


@pytest.fixture(scope="module")
def one() -> Engine:
    return gpu()


def test_a_node_s_role_is_out_of_reach_of_its_pods(one: Engine) -> None:
    for engine in (one, system()):
        options = template(engine)["metadataOptions"]
        assert options == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}


def test_disks_are_encrypted(one: Engine) -> None:
    for engine in (one, system()):
        (disk,) = template(engine)["blockDeviceMappings"]
        assert disk["ebs"]["encrypted"] == "true"
        assert disk["ebs"]["volumeType"] == "gp3"
    assert template(one)["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 200


def test_instances_and_volumes_carry_the_environment_s_tags(one: Engine) -> None:
    found = {item["resourceType"]: item["tags"] for item in template(one)["tagSpecifications"]}
    assert set(found) == {"instance", "volume"}
    for tags in found.values():
        assert tags == {**TAGS, "Name": "slipway-prod-gpu-train", "slipway:pool": "train"}


def test_the_template_leaves_to_the_node_group_what_belongs_to_it(one: Engine) -> None:
    refused = {"imageId", "iamInstanceProfile", "instanceType", "vpcSecurityGroupIds", "networkInterfaces", "userData"}
    assert refused & set(template(one)) == set(), "a security group of one's own would replace the cluster's"
    assert group(one).inputs["instanceTypes"] == ["g6.xlarge", "g6.2xlarge"]
    assert "diskSize" not in group(one).inputs
    assert group(one).inputs["launchTemplate"] == {"id": "gpu-train-template-id", "version": "7"}


BLOCK = GpuNodes(
    instance_types=["p5.48xlarge"],
    capacity="capacity_block",
    capacity_block_id="cr-0123456789abcdef0",
    zones=["us-east-1a"],
)


def test_a_capacity_block_is_targeted_by_the_template_in_its_one_zone() -> None:
    engine = gpu(BLOCK, Pool(gpus=8, min=1))
    found = template(engine)
    assert found["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert found["capacityReservationSpecification"] == {
        "capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}
    }
    assert found["instanceType"] == "p5.48xlarge"
    block = group(engine, "CAPACITY_BLOCK").inputs
    assert "instanceTypes" not in block, "EKS refuses a type in both places"
    assert block["subnetIds"] == ["subnet-us-east-1a"]
    assert block["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 0}, "before it begins, none can start"


def test_adapters_are_on_every_card_close_together_in_the_cluster_s_group() -> None:
    nodes = GpuNodes(instance_types=["p5.48xlarge"], zones=["us-east-1a"], efa=True)
    engine = gpu(nodes, Pool(gpus=8))
    found = template(engine)
    cards = found["networkInterfaces"]
    assert [card["networkCardIndex"] for card in cards] == list(range(32))
    assert cards[0]["interfaceType"] == "efa", "the first one carries IP too"
    assert {card["interfaceType"] for card in cards[1:]} == {"efa-only"}
    assert {tuple(card["securityGroups"]) for card in cards} == {(GROUP,)}
    assert found["placement"] == {"groupName": "slipway-prod-gpu-train"}
    assert engine.one("aws:ec2/placementGroup:PlacementGroup").inputs["strategy"] == "cluster"
    offered = group(engine).inputs["tags"]["k8s.io/cluster-autoscaler/node-template/resources/vpc.amazonaws.com/efa"]
    assert offered == "32"


def test_a_first_card_without_an_adapter_stays_a_plain_interface() -> None:
    cards = interfaces(lookup("p6-b300.48xlarge"), None)
    assert "interface_type" not in cards[0]
    assert [card["network_card_index"] for card in cards[1:]] == list(range(1, 17))
    assert {card["interface_type"] for card in cards[1:]} == {"efa-only"}


def test_what_eks_can_change_leaves_the_name_as_it_is() -> None:
    assert name_of(L4) == name_of(L4, Pool(max=9)) == name_of(replace(L4, disk_gib=500))
    assert template(gpu(L4))["name"] == template(gpu(replace(L4, capacity="spot")))["name"], "it is changed by versions"
