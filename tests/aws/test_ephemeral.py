"""Environments that come and go: two beside each other from one template, and an `up` that is cut short."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws.inventory import left_over, snapshot, table
from tests.aws.project import AwsProject, deployer, project_on
from tests.stacks.project import wait_until
from tests.standins.aws_server import AwsServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def before(server: AwsServer) -> frozenset[str]:
    deployer(server)
    return snapshot(server.client, server.account)


@pytest.fixture
def template(server: AwsServer, before: frozenset[str], tmp_path_factory: pytest.TempPathFactory) -> AwsProject:
    """A checkout whose template of ephemeral environments is in the server's account."""
    project = project_on(server, tmp_path_factory.mktemp("gpu"), "gpu", "gpu")
    project.change(lambda settings: settings["lifetime"].pop("expires_at"))
    return project


@pytest.fixture
def pair(template: AwsProject) -> Iterator[tuple[AwsProject, AwsProject]]:
    stacks = [template.beside(name) for name in ("gpu-pr42", "gpu-pr4")]
    for stack in stacks:
        copied = ("stack", "init", stack.stack, "--copy-config-from", "gpu")
        stack.finish(stack.bare(*copied)).must_succeed()
    yield stacks[0], stacks[1]
    for stack in stacks:
        stack.pulumi("destroy", "--skip-preview")


def physical(server: AwsServer, before: frozenset[str]) -> set[str]:
    """Return everything new that somebody named: what AWS numbers cannot collide."""
    numbered = ("ec2 ", "kms Keys", "autoscaling ", "eks associations", "secretsmanager ", "sns Subscriptions")
    found = left_over(before, snapshot(server.client, server.account))
    return {name for name in found if not name.startswith(numbered)}


def test_two_environments_of_one_template_share_no_name_and_no_end(
    server: AwsServer, pair: tuple[AwsProject, AwsProject], before: frozenset[str]
) -> None:
    one, other = pair
    one.pulumi("up", "--skip-preview").must_succeed()
    first = snapshot(server.client, server.account)
    other.pulumi("up", "--skip-preview").must_succeed()

    mine, theirs = physical(server, before) - physical(server, first), physical(server, first)
    assert len(mine) == len(theirs) > 20
    tags = [{entry["slipway:stack"] for entry in stack.tags().values()} for stack in pair]
    assert tags == [{"gpu-pr42"}, {"gpu-pr4"}]
    assert all("slipway:expires-at" in entry for entry in one.tags().values())

    other.pulumi("destroy", "--skip-preview").must_succeed()
    after = snapshot(server.client, server.account)
    assert after == first, table(left_over(first, after)) + table(left_over(after, first))
    one.pulumi("destroy", "--skip-preview").must_succeed()
    remaining = left_over(before, snapshot(server.client, server.account))
    assert remaining == [], table(remaining)
    for stack in pair:
        stack.pulumi("stack", "rm", "--yes").must_succeed()
        assert not stack.file.exists()


def test_an_up_that_is_interrupted_is_completed_by_the_next_and_destroy_leaves_nothing(
    server: AwsServer, before: frozenset[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = project_on(server, tmp_path_factory.mktemp("cut"), "cut", "gpu")
    server.settles_in(3)
    try:
        up = project.begin("up", "cluster-cluster")
        up.send_signal(signal.SIGINT)
        cut = project.finish(up).must_fail()
    finally:
        server.settles_in(0.05)

    assert len(server.client("eks").list_clusters()["clusters"]) == 1, cut.output
    project.pulumi("up", "--skip-preview").must_succeed()
    project.pulumi("up", "--skip-preview", "--expect-no-changes").must_succeed()
    project.pulumi("destroy", "--skip-preview").must_succeed()
    remaining = left_over(before, snapshot(server.client, server.account))
    assert remaining == [], table(remaining)


def test_an_up_that_is_killed_while_the_cluster_is_made_is_completed_by_the_next(
    server: AwsServer, before: frozenset[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = project_on(server, tmp_path_factory.mktemp("killed"), "killed", "gpu")
    calls = len(server.calls("eks", "CreateCluster"))
    server.settles_in(600)  # until it is let go: no machine is too slow for what comes before
    try:
        up = project.begin("up", "cluster-cluster")
        wait_until(lambda: len(server.calls("eks", "CreateCluster")) > calls, "the cluster is asked for")
        wait_until(lambda: project.in_flight() == ["cluster-cluster"], "all else that can be made is made")
        os.killpg(up.pid, signal.SIGKILL)
        project.finish(up).must_fail()
    finally:
        server.settles_in(0.05)
    eks, name = server.client("eks"), "slipway-killed-cluster"
    wait_until(lambda: eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE", "EKS has made it")
    made = eks.describe_cluster(name=name)["cluster"]["createdAt"]

    answer = project.pulumi("up", "--skip-preview").must_succeed()

    assert "cluster-cluster was interrupted while creating" in answer.output
    assert project.cluster()["createdAt"] == made
    project.pulumi("up", "--skip-preview", "--expect-no-changes").must_succeed()
    project.pulumi("destroy", "--skip-preview").must_succeed()
    remaining = left_over(before, snapshot(server.client, server.account))
    assert remaining == [], table(remaining)


def test_too_small_a_quota_is_told_before_anything_is_made(
    server: AwsServer, before: frozenset[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def quotas(value: float) -> Any:
        return dict.fromkeys(("L_DB2E81BA", "L_3819A6DF"), value)

    project = project_on(server, tmp_path_factory.mktemp("quota"), "quota", "gpu")
    server.allow(**quotas(0))
    try:
        refused = project.pulumi("up", "--skip-preview").must_fail()
    finally:
        server.allow(**quotas(768))
    assert "request-service-quota-increase" in refused.output
    assert left_over(before, snapshot(server.client, server.account)) == []
