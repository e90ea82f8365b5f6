"""Add-ons: which there are, in which order, and as whom they act."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pulumi import ResourceOptions

from components.aws.addons import AddonsArgs, NetworkAddons, WorkloadAddons, WorkloadAddonsArgs
from tests.components.aws_ground import ROLE, cluster, on_aws, registered, statements
from tests.mock_engine import Engine, Registration

ADDON = "aws:eks/addon:Addon"
EBS_ROLE = "arn:aws:iam::123456789012:role/slipway-prod-ebs-csi"


def both(
    versions: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None, *, preview: bool = False
) -> Engine:
    def make(opts: ResourceOptions) -> None:
        made = cluster(opts)
        base = NetworkAddons("addons", AddonsArgs(cluster=made, versions=versions or {}), opts)
        args = WorkloadAddonsArgs(
            cluster=made, versions=versions or {}, ebs_role=EBS_ROLE, volume_tags=tags or {}, nodes=base.ready
        )
        WorkloadAddons("workload-addons", args, opts)

    return on_aws(make, preview=preview)


@pytest.fixture(scope="module")
def up() -> Engine:
    return both()


def addon(engine: Engine, name: str) -> Registration:
    (found,) = [item for item in engine.all(ADDON) if item.inputs["addonName"] == name]
    return found


def test_what_nodes_and_workloads_need_is_there_and_nothing_else(up: Engine) -> None:
    assert {item.inputs["addonName"] for item in up.all(ADDON)} == {
        "vpc-cni",
        "kube-proxy",
        "eks-pod-identity-agent",
        "coredns",
        "aws-ebs-csi-driver",
        "metrics-server",
        "eks-node-monitoring-agent",
    }


def test_network_policies_are_enforced(up: Engine) -> None:
    configuration = json.loads(addon(up, "vpc-cni").inputs["configurationValues"])
    assert configuration["enableNetworkPolicy"] == "true", "it is off by default"


def test_the_network_plugin_is_somebody_of_its_own_and_needs_the_agent_first(up: Engine) -> None:
    plugin = addon(up, "vpc-cni")
    assert plugin.inputs["podIdentityAssociations"] == [{"roleArn": ROLE, "serviceAccount": "aws-node"}]
    assert addon(up, "eks-pod-identity-agent").name in plugin.dependencies
    (rights,) = [item for item in up.all("aws:iam/rolePolicyAttachment:RolePolicyAttachment") if "cni" in item.name]
    assert rights.inputs["policyArn"] == "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"
    assert rights.name in plugin.dependencies, "without its rights, it could give back no address while it goes"
    (role,) = [item for item in up.all("aws:iam/role:Role") if "cni" in item.name]
    (trust,) = statements(role, "assumeRolePolicy")
    assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "aws-node"


def test_the_volume_driver_acts_under_the_role_that_is_given(up: Engine) -> None:
    driver = addon(up, "aws-ebs-csi-driver")
    assert driver.inputs["podIdentityAssociations"] == [
        {"roleArn": EBS_ROLE, "serviceAccount": "ebs-csi-controller-sa"}
    ]
    assert "configurationValues" not in driver.inputs


def test_volumes_of_claims_carry_the_environment_s_tags() -> None:
    engine = both(tags={"slipway:stack": "prod"})
    configuration = json.loads(addon(engine, "aws-ebs-csi-driver").inputs["configurationValues"])
    assert configuration == {"controller": {"extraVolumeTags": {"slipway:stack": "prod"}}}


def test_what_runs_on_nodes_waits_for_them(up: Engine) -> None:
    for name in ("coredns", "aws-ebs-csi-driver", "metrics-server", "eks-node-monitoring-agent"):
        assert {"addons-vpc-cni", "cluster-cluster"} <= set(addon(up, name).dependencies), name


def test_every_addon_waits_for_who_may_administer_the_cluster(up: Engine) -> None:
    admin = "cluster-admin-123456789012-role-platform-Admin"
    assert all(admin in item.dependencies for item in up.all(ADDON))


def test_a_pinned_version_reaches_its_addon_alone(up: Engine) -> None:
    engine = both(versions={"coredns": "v1.13.1-eksbuild.1"})
    assert addon(engine, "coredns").inputs["addonVersion"] == "v1.13.1-eksbuild.1"
    assert "addonVersion" not in addon(engine, "kube-proxy").inputs
    assert "addonVersion" not in addon(up, "coredns").inputs


def test_a_hand_s_change_is_set_back(up: Engine) -> None:
    for item in up.all(ADDON):
        found: dict[str, Any] = item.inputs
        assert (found["resolveConflictsOnCreate"], found["resolveConflictsOnUpdate"]) == ("OVERWRITE", "OVERWRITE")


def test_a_preview_registers_what_an_up_registers(up: Engine) -> None:
    assert registered(both(preview=True)) == registered(up)
