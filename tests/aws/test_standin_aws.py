"""The stand-in of the AWS plugin under the real engine, on the AWS test server.

Everything here is what the official plugin documents; where it comes first on PATH, the same tests run on it.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.aws import inventory
from tests.aws.standin_cluster_examples import EXAMPLES
from tests.aws.standin_examples import Example, named
from tests.aws.standin_stack import Stack, resource
from tests.standins.aws_server import AwsServer

pytestmark = pytest.mark.slow
Resources = dict[str, list[Any]]
# what must be there although no output of it is used
AFTER = {
    "cluster": ("control_rights", "reads", "cluster_logs"),
    "pool": ("cni",),
    "nat": ("out",),
    "owners": ("block",),
    "bucket_policy": ("owners",),
    "lifecycle": ("versions",),
}


@pytest.fixture
def stack(server: AwsServer, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", server.url, {"slipway:stack": "standin"}, server.region).start()


@pytest.fixture
def unique() -> str:
    return f"e{uuid.uuid4().hex[:7]}"


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def as_resources(examples: Mapping[str, Example]) -> Resources:
    """Return examples as the program declares them."""
    made = {}
    for name, (token, inputs) in examples.items():
        module, kind = token.removeprefix("aws:").split("/", 1)[0], token.rsplit(":", 1)[1]
        arguments = {snake(key): _renamed(value) for key, value in inputs.items()}
        after = [other for other in AFTER.get(name, ()) if other in examples]
        made[name] = resource(f"{module}.{kind}", options={"after": after}, **arguments)
    return made


def _renamed(value: Any) -> Any:
    """Write the outputs that are named as Python attributes are."""
    if isinstance(value, str) and re.fullmatch(r"\$\w+\.\w+", value):
        return snake(value)
    if isinstance(value, dict):
        return {key: _renamed(item) for key, item in value.items()}
    return [_renamed(item) for item in value] if isinstance(value, list) else value


def few(unique: str, **group: Any) -> Resources:
    """Return a small environment of types that are quick to make."""
    return {
        "vpc": resource("ec2.Vpc", cidr_block="10.60.0.0/16", enable_dns_hostnames=True, tags={"Name": unique}),
        "subnet": resource("ec2.Subnet", vpc_id="$vpc.id", cidr_block="10.60.1.0/24", availability_zone="us-east-1a"),
        "group": resource("ec2.SecurityGroup", name=f"{unique}-group", description="d", vpc_id="$vpc.id"),
        "logs": resource("cloudwatch.LogGroup", **{"name": f"/tests/{unique}", "retention_in_days": 7, **group}),
    }


def test_every_type_comes_up_stays_and_goes(server: AwsServer, stack: Stack, unique: str) -> None:
    before = inventory.snapshot(server.client, server.account)
    stack.write(as_resources(named(EXAMPLES, unique)))
    previewed = stack.verb("preview")
    assert "stand-in for the AWS plugin (7.51.1): region us-east-1" in previewed.said
    assert previewed.changes["create"] == len(EXAMPLES) + 2, "and stack and provider"
    assert inventory.snapshot(server.client, server.account) == before, "a preview makes nothing"
    assert stack.up().changes["create"] == len(EXAMPLES) + 2
    assert stack.up().is_idle
    assert stack.verb("refresh").is_idle
    assert stack.up().is_idle
    stack.verb("destroy")
    assert stack.resources() == {}
    left = inventory.left_over(before, inventory.snapshot(server.client, server.account))
    assert left == [f"rds DBSnapshots {unique}-last"], "nothing but the last snapshot, which was asked for"
    server.client("rds").delete_db_snapshot(DBSnapshotIdentifier=f"{unique}-last")


def test_changes_are_made_in_place_where_they_can_be_and_replace_where_they_must(
    server: AwsServer, stack: Stack, unique: str
) -> None:
    resources = few(unique)
    stack.up(resources)
    first = stack.resources()
    resources["logs"][1]["retention_in_days"] = 14
    resources["subnet"][1]["map_public_ip_on_launch"] = True
    resources["vpc"][1]["tags"] = {"Name": "renamed"}
    assert stack.up(resources).changes["update"] == 3
    assert {name: one.get("id") for name, one in stack.resources().items()} == {
        name: one.get("id") for name, one in first.items()
    }
    (group,) = server.client("logs").describe_log_groups(logGroupNamePrefix=f"/tests/{unique}")["logGroups"]
    assert group["retentionInDays"] == 14
    resources["subnet"][1]["cidr_block"] = "10.60.2.0/24"
    resources["group"][1]["description"] = "needs a new one, which needs the name"
    said = stack.up(resources)
    assert said.changes["replace"] == 2
    assert said.said.index("group deleting original") < said.said.index("group creating replacement")
    assert said.said.index("subnet creating replacement") < said.said.index("subnet deleting original")
    assert stack.up().is_idle
    stack.verb("destroy")


def test_default_tags_are_on_everything_and_change_it(server: AwsServer, stack: Stack, unique: str) -> None:
    stack.up(few(unique))
    vpc = stack.resources()["vpc"]
    assert vpc["outputs"]["tagsAll"] == {"Name": unique, "slipway:stack": "standin"}
    assert vpc["outputs"]["tags"] == {"Name": unique}
    stack.default_tags["slipway:owner"] = "somebody"
    assert stack.up(few(unique)).changes["update"] == len(few(unique)) + 1, "and the provider"
    (told,) = server.client("ec2").describe_vpcs(VpcIds=[vpc["id"]])["Vpcs"]
    assert {tag["Key"] for tag in told["Tags"]} == {"Name", "slipway:stack", "slipway:owner"}
    assert stack.verb("refresh").is_idle
    stack.verb("destroy")


def test_what_others_changed_or_deleted_is_seen_and_set_right(server: AwsServer, stack: Stack, unique: str) -> None:
    logs, ec2 = server.client("logs"), server.client("ec2")
    stack.up(few(unique))
    subnet = stack.resources()["subnet"]["id"]
    logs.put_retention_policy(logGroupName=f"/tests/{unique}", retentionInDays=30)
    ec2.delete_subnet(SubnetId=subnet)
    vpc = stack.resources()["vpc"]["id"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "foreign", "Value": "tag"}])
    found = stack.verb("refresh")
    assert (found.changes["update"], found.changes["delete"]) == (2, 1)
    mended = stack.up()
    assert (mended.changes["update"], mended.changes["create"]) == (2, 1)
    (told,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert {tag["Key"] for tag in told["Tags"]} == {"Name", "slipway:stack"}
    (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/tests/{unique}")["logGroups"]
    assert group["retentionInDays"] == 7
    assert stack.up().is_idle
    stack.verb("destroy")


def test_what_the_program_ignores_is_left_to_others(server: AwsServer, stack: Stack, unique: str) -> None:
    logs = server.client("logs")
    resources = few(unique)
    resources["logs"][2]["ignore_changes"] = ["retentionInDays"]
    stack.up(resources)
    logs.put_retention_policy(logGroupName=f"/tests/{unique}", retentionInDays=30)
    stack.verb("refresh")
    assert stack.up().is_idle
    resources["logs"][1]["retention_in_days"] = 90
    resources["logs"][1]["tags"] = {"another": "change"}
    assert stack.up(resources).changes["update"] == 1
    (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/tests/{unique}")["logGroups"]
    assert group["retentionInDays"] == 30
    stack.verb("destroy")


def test_a_changed_lifecycle_policy_is_there_afterwards(server: AwsServer, stack: Stack, unique: str) -> None:
    wanted = named({name: EXAMPLES[name] for name in ("images", "images_kept")}, unique)
    wanted["images"][1].pop("encryptionConfigurations")
    stack.up(as_resources(wanted))
    wanted["images_kept"][1]["policy"] = wanted["images_kept"][1]["policy"].replace(
        '"countNumber": 7', '"countNumber": 9'
    )
    assert stack.up(as_resources(wanted)).changes["replace"] == 1
    told = server.client("ecr").get_lifecycle_policy(repositoryName=f"{unique}-images")
    assert '"countNumber": 9' in told["lifecyclePolicyText"]
    stack.verb("destroy")


def test_what_was_made_before_something_failed_is_in_the_state_and_goes(
    server: AwsServer, stack: Stack, unique: str
) -> None:
    before = inventory.snapshot(server.client, server.account)
    names = (*("vpc", "subnet_a", "subnet_b", "key", "control", "control_rights", "nodes", "pods", "cluster", "pool"),)
    wanted = named({name: EXAMPLES[name] for name in names}, unique)
    wanted["cluster"][1]["vpcConfig"].pop("securityGroupIds")
    wanted["cluster"][1].pop("enabledClusterLogTypes")  # EKS would make a log group that nobody deletes
    wanted["pool"][1].pop("launchTemplate")
    # nodes without a network plugin never become ready
    wanted["pool"][1]["scalingConfig"] = {"minSize": 1, "maxSize": 1, "desiredSize": 1}
    stack.write(as_resources(wanted))
    said = stack.pulumi("up", "--yes", "--skip-preview", succeeds=False)
    assert re.search(rf"{unique}-pool was made, but: .* is CREATE_FAILED", said)
    assert stack.resources()["pool"]["id"] == f"{unique}-cluster:{unique}-pool"
    stack.verb("destroy")
    assert inventory.left_over(before, inventory.snapshot(server.client, server.account)) == []


def test_a_deletion_waits_for_what_still_uses_the_thing(server: AwsServer, stack: Stack, unique: str) -> None:
    ec2 = server.client("ec2")
    resources = few(unique)
    resources["vpc"][2]["timeouts"] = {"delete": "2s"}
    stack.up(resources)
    vpc = stack.resources()["vpc"]["id"]
    foreign = ec2.create_subnet(VpcId=vpc, CidrBlock="10.60.9.0/24")["Subnet"]["SubnetId"]
    assert "DependencyViolation" in stack.pulumi("destroy", "--yes", "--skip-preview", succeeds=False)
    assert "vpc" in stack.resources()
    waiting = threading.Timer(4, ec2.delete_subnet, kwargs={"SubnetId": foreign})
    resources["vpc"][2]["timeouts"] = {"delete": "60s"}
    stack.up({"vpc": resources["vpc"]})
    waiting.start()
    stack.verb("destroy")
    waiting.join()
    assert stack.resources() == {}


def test_without_endpoints_it_previews_and_makes_nothing(tmp_path: Path, unique: str) -> None:
    stack = Stack(tmp_path / "stack", None).start()
    stack.write(few(unique))
    previewed = stack.verb("preview")
    assert previewed.changes["create"] == len(few(unique)) + 2
    assert "stand-in for the AWS plugin (7.51.1): region eu-central-1, no endpoint" in previewed.said
    assert "has no endpoint for" in stack.pulumi("up", "--yes", "--skip-preview", succeeds=False)


@pytest.mark.parametrize("endpoint", ["https://ec2.us-east-1.amazonaws.com", "http://192.0.2.1:5000"])
def test_an_endpoint_that_is_not_on_this_machine_is_refused_before_any_call(tmp_path: Path, endpoint: str) -> None:
    stack = Stack(tmp_path / "stack", endpoint).start()
    stack.write(few("x"))
    assert "talks to nothing but this machine" in stack.pulumi("preview", succeeds=False)
