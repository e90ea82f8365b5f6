"""The ground of a stack file in an account: the real engine, every AWS call made, and nothing left at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws.inventory import left_over, snapshot, table
from tests.aws.project import AwsProject, deployer, project_on
from tests.standins.aws_server import AwsServer

pytestmark = pytest.mark.slow
Settings = dict[str, Any]


@pytest.fixture(scope="module")
def before(server: AwsServer) -> frozenset[str]:
    """What the account held before any of this."""
    deployer(server)
    return snapshot(server.client, server.account)


@pytest.fixture(scope="module")
def ground(server: AwsServer, before: frozenset[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsProject]:
    """The ground of an environment like staging, up; the last test destroys it."""
    project = project_on(server, tmp_path_factory.mktemp("staging"), "test", "staging")
    project.pulumi("up", "--skip-preview").must_succeed()
    yield project
    project.pulumi("destroy", "--skip-preview")


def test_up_again_changes_nothing(ground: AwsProject) -> None:
    ground.pulumi("up", "--skip-preview", "--expect-no-changes").must_succeed()


def test_refresh_finds_no_drift_where_there_is_none_and_finds_what_somebody_changed(ground: AwsProject) -> None:
    ground.pulumi("refresh", "--skip-preview", "--expect-no-changes").must_succeed()
    ground.pulumi("preview", "--expect-no-changes").must_succeed()
    bucket = ground.outputs()["artifact_store"]["uri"].removeprefix("s3://").partition("/")[0]
    ground.account().client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    found = ground.pulumi("refresh", "--preview-only", "--expect-no-changes").must_fail()

    assert "artifacts-bucket-versioning" in found.output
    ground.pulumi("up", "--skip-preview", "--refresh").must_succeed()
    status = ground.account().client("s3").get_bucket_versioning(Bucket=bucket)["Status"]
    assert status == "Enabled"


def test_a_pool_grows_in_place(ground: AwsProject) -> None:
    def larger(settings: Settings) -> None:
        settings["gpu_pools"][0]["max"] += 3

    groups = {group["nodegroupName"]: group["nodegroupArn"] for group in ground.groups()}
    ground.change(larger)
    ground.pulumi("up", "--skip-preview").must_succeed()

    after = ground.groups()
    assert {group["nodegroupName"]: group["nodegroupArn"] for group in after} == groups
    pool = [group for group in after if "-gpu-" in group["nodegroupName"]]
    most = ground.settings()["gpu_pools"][0]["max"]
    assert {group["scalingConfig"]["maxSize"] for group in pool} == {most}
    assert {ground.scaling(group)["MaxSize"] for group in pool} == {most}


def test_other_bounds_of_a_pool_end_no_node_that_the_autoscaler_started(ground: AwsProject) -> None:
    pool = next(group for group in ground.groups() if "-gpu-" in group["nodegroupName"])
    name, most = pool["nodegroupName"], pool["scalingConfig"]["maxSize"]
    ground.account().client("eks").update_nodegroup_config(
        clusterName=pool["clusterName"], nodegroupName=name, scalingConfig={"desiredSize": 2}
    )
    ground.pulumi("up", "--skip-preview", "--expect-no-changes").must_succeed()

    def wider(settings: Settings) -> None:
        settings["gpu_pools"][0]["max"] = most + 1

    ground.change(wider)
    ground.pulumi("up", "--skip-preview").must_succeed()

    after = next(group for group in ground.groups() if group["nodegroupName"] == name)
    assert after["scalingConfig"] == {"minSize": 0, "maxSize": most + 1, "desiredSize": 2}
    ground.pulumi("up", "--skip-preview", "--expect-no-changes").must_succeed()


def test_a_new_pool_leaves_the_others_alone(ground: AwsProject) -> None:
    def another(settings: Settings) -> None:
        first = settings["gpu_pools"][0]
        settings["gpu_pools"].append({**first, "name": "extra"})
        nodes = settings["substrate"]["gpu_nodes"]
        nodes["extra"] = dict(nodes[first["name"]])

    groups = {group["nodegroupArn"] for group in ground.groups()}
    ground.change(another)
    ground.pulumi("up", "--skip-preview").must_succeed()

    fresh = [group for group in ground.groups() if group["nodegroupArn"] not in groups]
    assert groups < {group["nodegroupArn"] for group in ground.groups()}
    assert all("extra" in group["nodegroupName"] for group in fresh)
    assert {group["labels"]["slipway/pool"] for group in fresh} == {"extra"}
    assert {group["scalingConfig"]["desiredSize"] for group in fresh} == {0}
    assert {taint["key"] for group in fresh for taint in group["taints"]} == {"nvidia.com/gpu"}


def test_a_changed_tag_is_on_everything_and_replaces_nothing(ground: AwsProject) -> None:
    def owned(settings: Settings) -> None:
        settings["substrate"]["owner"] = "somebody-else"

    groups = {group["nodegroupArn"] for group in ground.groups()}
    ground.change(owned)
    answer = ground.pulumi("up", "--skip-preview").must_succeed()

    assert "replaced" not in answer.output
    assert {group["nodegroupArn"] for group in ground.groups()} == groups
    owners = {name: tags.get("slipway:owner") for name, tags in ground.tags().items()}
    assert set(owners.values()) == {"somebody-else"}, owners
    assert len(owners) > 30


def test_other_machines_come_before_the_old_ones_go_and_the_cluster_stays(ground: AwsProject) -> None:
    def larger_disks(settings: Settings) -> None:
        pool = settings["gpu_pools"][0]["name"]
        settings["substrate"]["gpu_nodes"][pool]["instance_types"] = ["g5.4xlarge"]

    pool = ground.settings()["gpu_pools"][0]["name"]
    cluster = ground.cluster()["createdAt"]
    groups = {group["nodegroupName"] for group in ground.groups()}
    calls = len(ground.account().calls("eks"))
    ground.change(larger_disks)
    ground.pulumi("up", "--skip-preview").must_succeed()

    made = [call for call in ground.account().calls("eks")[calls:] if call["operation"] == "CreateNodegroup"]
    order = [
        call["operation"]
        for call in ground.account().calls("eks")[calls:]
        if call["operation"] in ("CreateNodegroup", "DeleteNodegroup")
    ]
    gone = groups - {group["nodegroupName"] for group in ground.groups()}
    assert ground.cluster()["createdAt"] == cluster
    assert {call["parameters"]["nodegroupName"] for call in made}.isdisjoint(groups)
    assert gone
    assert all(pool in name for name in gone)
    assert order == sorted(order), "every new group was there before the first old one went"


def test_destroy_leaves_nothing(ground: AwsProject, before: frozenset[str]) -> None:
    ground.pulumi("destroy", "--skip-preview").must_succeed()

    remaining = left_over(before, snapshot(ground.account().client, ground.account().account))
    assert remaining == [], table(remaining)
    assert ground.state() == {}
