"""What a region grants few of, against moto: VPCs and Elastic IPs, told before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.seam import Place
from infra.aws import api, room
from infra.kubernetes.findings import Finding
from tests.stack_files import REGION, least_on_aws

PLACE = Place(project="slipway", stack="gpu-pr42", root=Path("/nowhere"))


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto, with one VPC from the start and five granted of each; it knows no quotas of EC2."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    real = api.ask

    def ask(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
        granted = operation == "get_service_quota"
        return {"Quota": {"Value": 5.0}} if granted else real(client, operation, **parameters)

    monkeypatch.setattr(api, "ask", ask)
    with mock_aws():
        yield


def found(**changes: Any) -> dict[str, Finding]:
    zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
    config = least_on_aws(**{"zones": zones, **changes})
    return {finding.name: finding for finding in room.examine(PLACE, config)}


def tags(stack: str) -> list[dict[str, str]]:
    return [{"Key": "slipway:project", "Value": "slipway"}, {"Key": "slipway:stack", "Value": stack}]


def addresses(count: int, stack: str) -> None:
    client = boto3.client("ec2", REGION)
    for _ in range(count):
        client.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags(stack)}])


def vpcs(count: int, stack: str) -> None:
    client = boto3.client("ec2", REGION)
    for _ in range(count):
        specification = [{"ResourceType": "vpc", "Tags": tags(stack)}]
        client.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=specification)


@pytest.mark.parametrize(("taken", "nat", "ok"), [(4, "single", True), (5, "single", False), (2, "per_zone", True)])
def test_addresses_are_counted_by_how_many_ways_out_the_stack_makes(taken: int, nat: str, ok: bool) -> None:  # noqa: FBT001
    addresses(taken, "other")
    finding = found(network={"nat": nat})["Elastic IPs"]
    assert finding.ok is ok, finding
    if not ok:
        assert "5 of 5 are taken (L-0263D0A3); this stack takes 1 more" in finding.seen
        assert "--quota-code L-0263D0A3 --desired-value 6, or slipway:substrate.network.nat" in finding.fix


def test_a_third_zone_s_way_out_is_one_too_many() -> None:
    addresses(3, "other")
    assert found(network={"nat": "per_zone"})["Elastic IPs"].ok is False
    assert found(network={"nat": "single"})["Elastic IPs"].ok is True, "the control"


def test_a_region_without_room_for_a_vpc_is_told_with_the_way_around() -> None:
    vpcs(3, "other")
    assert found()["VPCs"].ok is True, "the control: the account's own, three, and this one"
    vpcs(1, "other")
    finding = found()["VPCs"]
    assert finding.ok is False
    assert "slipway:substrate.vpc" in finding.fix


def test_what_the_stack_has_already_is_not_asked_about_again() -> None:
    vpcs(4, PLACE.stack)
    addresses(1, PLACE.stack)
    assert found() == {}
    addresses(4, "other")
    assert list(found(network={"nat": "per_zone"})) == ["Elastic IPs"], "two more than it has"


def test_addresses_that_the_account_brought_do_not_count() -> None:
    taken = [{"PublicIp": f"192.0.2.{n}", "PublicIpv4Pool": "ipv4pool-ec2-1"} for n in range(9)]
    listed = {"Addresses": [*taken, {"PublicIp": "198.51.100.1", "PublicIpv4Pool": "amazon"}]}

    class Client:
        def describe_addresses(self) -> dict[str, Any]:
            return listed

    assert len(room._ADDRESSES.listed(Client())) == 1


@pytest.mark.parametrize("elsewhere", ["vpc", "endpoint_url"])
def test_another_s_network_and_another_s_endpoint_are_not_asked(elsewhere: str) -> None:
    addresses(5, "other")
    zones = ("us-east-1a", "us-east-1b", "us-east-1c")
    subnets = {zone: f"subnet-0123456{n}" for n, zone in enumerate(zones)}
    values = {
        "vpc": {"id": "vpc-01234567", "cidr": "10.0.0.0/16", "private_subnets": subnets},
        "endpoint_url": "http://127.0.0.1:1",
    }
    assert found(**{elsewhere: values[elsewhere]}) == {}
