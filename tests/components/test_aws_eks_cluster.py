"""The control plane: who enters, who reaches it, what is kept, and in which order it goes."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws.network import given_network
from tests.components.aws_ground import ADMIN, GROUP, KEY, NAMES, cluster, on_aws, registered, statements
from tests.mock_engine import Engine

CLUSTER = "aws:eks/cluster:Cluster"
ENTRY = "aws:eks/accessEntry:AccessEntry"


@pytest.fixture(scope="module")
def up() -> Engine:
    return on_aws(cluster)


def inputs(engine: Engine) -> dict[str, Any]:
    return engine.one(CLUSTER).inputs


def test_nobody_enters_the_cluster_but_who_is_listed(up: Engine) -> None:
    access = inputs(up)["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    (entry,) = up.all(ENTRY)
    assert entry.inputs["principalArn"] == ADMIN
    (policy,) = up.all("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    assert policy.inputs["principalArn"] == ADMIN
    assert policy.inputs["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
    assert policy.inputs["accessScope"] == {"type": "cluster"}


def test_two_administrators_with_one_name_in_two_accounts_are_two() -> None:
    other = ADMIN.replace("123456789012", "210987654321")
    engine = on_aws(lambda opts: cluster(opts, admins=[ADMIN, other]))
    assert {item.inputs["principalArn"] for item in engine.all(ENTRY)} == {ADMIN, other}
    assert len({item.name for item in engine.all(ENTRY)}) == 2


def test_the_api_server_answers_only_inside_unless_addresses_are_listed(up: Engine) -> None:
    inside = inputs(up)["vpcConfig"]
    assert inside["endpointPrivateAccess"] is True
    assert inside["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in inside
    opened = inputs(on_aws(lambda opts: cluster(opts, public_cidrs=["203.0.113.0/24"])))["vpcConfig"]
    assert opened["endpointPrivateAccess"] is True
    assert opened["endpointPublicAccess"] is True
    assert opened["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_who_is_inside_reaches_a_cluster_that_answers_only_there(up: Engine) -> None:
    """The cluster's own group admits its nodes alone: a machine in the VPC would wait for ever."""
    (entrance,) = up.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    rule = entrance.inputs
    assert rule["securityGroupId"] == GROUP
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"], rule["cidrIpv4"]) == ("tcp", 443, 443, "10.0.0.0/16")
    opened = on_aws(lambda opts: cluster(opts, public_cidrs=["203.0.113.0/24"]))
    assert opened.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") == []


def test_a_third_zone_that_comes_later_leaves_the_control_plane_where_it_is() -> None:
    """EKS refuses subnets in other zones than those that the cluster was made in."""
    zones = ["us-east-1b", "us-east-1c", "us-east-1a"]

    def subnets(count: int) -> list[str]:
        def make(opts: pulumi.ResourceOptions) -> None:
            there = given_network("vpc-1", "10.0.0.0/16", {zone: f"subnet-{zone}" for zone in zones[:count]}, {})
            cluster(opts, network=there)

        found: list[str] = inputs(on_aws(make))["vpcConfig"]["subnetIds"]
        return found

    assert subnets(2) == subnets(3) == ["subnet-us-east-1b", "subnet-us-east-1c"]


def test_api_objects_are_encrypted_with_the_environment_s_key(up: Engine) -> None:
    assert inputs(up)["encryptionConfig"] == {"provider": {"keyArn": KEY}, "resources": ["secrets"]}
    (statement,) = statements(up.one("aws:iam/rolePolicy:RolePolicy"))
    assert statement["Resource"] == [KEY]


def test_every_log_of_the_control_plane_is_kept_as_long_as_asked(up: Engine) -> None:
    assert set(inputs(up)["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    logs = up.one("aws:cloudwatch/logGroup:LogGroup")
    assert logs.inputs["name"] == f"/aws/eks/{inputs(up)['name']}/cluster"
    assert logs.inputs["retentionInDays"] == 90
    assert logs.inputs["kmsKeyId"] == "arn:logs"
    assert logs.name in up.one(CLUSTER).dependencies, "EKS would make one that keeps everything for ever"


def test_the_cluster_goes_before_its_rights_do(up: Engine) -> None:
    rights = {item.name for item in up.registrations if item.type.startswith("aws:iam/")}
    assert len(rights) == 3, "role, AWS's policy, the key"
    assert rights <= set(up.one(CLUSTER).dependencies)


def test_standard_support_no_addon_of_its_own_and_protection_as_asked(up: Engine) -> None:
    assert inputs(up)["upgradePolicy"] == {"supportType": "STANDARD"}
    assert inputs(up)["bootstrapSelfManagedAddons"] is False
    assert inputs(up)["deletionProtection"] is True
    assert up.one(CLUSTER).protect is True
    passing = on_aws(lambda opts: cluster(opts, deletion_protection=False, service_cidr="172.20.0.0/16"))
    assert inputs(passing)["deletionProtection"] is False
    assert passing.one(CLUSTER).protect is False
    assert inputs(passing)["kubernetesNetworkConfig"] == {"serviceIpv4Cidr": "172.20.0.0/16"}


def test_the_name_is_known_before_the_cluster_and_the_rest_comes_from_it() -> None:
    seen: dict[str, Any] = {}

    def make(opts: pulumi.ResourceOptions) -> None:
        made = cluster(opts)
        seen["plain"] = made.name
        pulumi.Output.all(made.cluster_name, made.certificate, made.security_group, made.endpoint).apply(
            lambda values: seen.update(values=values)
        )

    on_aws(make)
    assert seen["plain"] == NAMES.name("cluster")
    assert seen["values"] == [seen["plain"], "Y2E=", GROUP, "https://api.example"]


def test_a_preview_registers_what_an_up_registers(up: Engine) -> None:
    assert registered(on_aws(cluster, preview=True)) == registered(up)
