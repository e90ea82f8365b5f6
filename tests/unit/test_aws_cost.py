"""What an AWS environment costs at rest: counted from its stack file, honest about what has no price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.aws import cost
from infra.aws.settings import AwsConfig
from stacks import cli
from stacks.config import load
from tests.unit.test_aws_config import changed


def items(stack: str = "prod", **changes: Any) -> dict[str, cost.Item]:
    config = load(changed(stack, **changes))
    assert isinstance(config.substrate, AwsConfig)
    return {item.what: item for item in cost.at_rest(config.substrate, config.ground())}


def test_each_thing_that_is_billed_by_the_hour_is_counted() -> None:
    found = items()
    assert found["NAT gateways"].count == 3, "one a zone"
    assert found["their public addresses"].count == 3, "one a gateway"
    assert found["nodes m7i.xlarge"].count == 3, "the least number of system nodes"
    assert found["RDS db.m7g.large"].count == 2, "and its standby"
    assert items(substrate__network={"cidr": "10.20.0.0/16"})["NAT gateways"].count == 1


def test_the_sum_is_that_of_its_parts() -> None:
    found = list(items().values())
    assert cost.per_hour(found) == pytest.approx(sum(item.count * (item.each or 0) for item in found), abs=0.01)


def test_gpu_nodes_cost_nothing_at_rest_unless_some_are_always_there() -> None:
    assert not [what for what in items() if "g6" in what]
    pool = {"name": "l4", "cpus": 6, "memory_gib": 26, "min": 1, "max": 2}
    spot = {"name": "l4-spot", "cpus": 6, "memory_gib": 26, "spot": True}
    assert items(gpu_pools=[pool, spot])["nodes g6.2xlarge"].count == 1


def test_what_is_given_or_in_the_cluster_is_not_billed_twice() -> None:
    image = f"registry.example/postgres@sha256:{'5' * 64}"
    assert not [what for what in items(substrate__database={"image": image}, artifacts=None) if "RDS" in what]
    vpc = {
        "id": "vpc-0123456789abcdef0",
        "cidr": "10.0.0.0/16",
        "private_subnets": {f"us-east-1{zone}": f"subnet-{zone}" for zone in "abc"},
    }
    assert "NAT gateways" not in items(substrate__network=None, substrate__vpc=vpc)


def test_a_part_without_a_price_leaves_no_sum_that_would_mislead() -> None:
    found = list(items(substrate__database__instance_class="db.x9.large").values())
    assert cost.per_hour(found) is None
    assert any(item.each is None for item in found)


def test_the_command_prints_the_same_for_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["cost", "-s", "prod"], ["cost", "-s", "prod", "--json"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
    text, _, document = capsys.readouterr().out.partition("{")
    per_hour = json.loads("{" + document)["per_hour"]
    assert f"{per_hour:.2f}" in text
    assert "us-east-1" in text, "and says where the prices hold"


def test_a_laptop_has_no_bill(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["cost"])
    assert "nobody sends a bill for dev" in capsys.readouterr().out
