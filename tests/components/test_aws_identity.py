"""Identities of workloads: who may take a role, what it holds, and when it is there."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi import ResourceOptions

from components.aws import iam
from components.aws.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from tests.components.aws_ground import KEY, NAMES, ROLE, allowed, cluster, on_aws, registered, statements
from tests.mock_engine import Engine

BUCKET = "arn:aws:s3:::slipway-prod-artifacts"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"


def identity(*, associate: bool = True, preview: bool = False) -> Engine:
    def make(opts: ResourceOptions) -> None:
        args = WorkloadIdentityArgs(
            names=NAMES,
            role="training",
            cluster_name=cluster(opts).cluster_name,
            namespace="slipway-prod",
            service_account="training",
            statements=iam.write_artifacts(BUCKET, KEY, ["checkpoints/"]),
            associate=associate,
        )
        WorkloadIdentity("identity-training", args, opts)

    return on_aws(make, preview=preview)


@pytest.fixture(scope="module")
def up() -> Engine:
    return identity()


def role(engine: Engine) -> dict[str, Any]:
    return engine.one("aws:iam/role:Role", "identity-training-role").inputs


def test_one_service_account_of_one_cluster_may_take_the_role(up: Engine) -> None:
    (trust,) = statements(up.one("aws:iam/role:Role", "identity-training-role"), "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{NAMES.region}:{NAMES.account}:cluster/slipway-prod-cluster",
        "aws:RequestTag/kubernetes-namespace": "slipway-prod",
        "aws:RequestTag/kubernetes-service-account": "training",
    }


def test_it_is_associated_with_that_account_once_the_cluster_is_there(up: Engine) -> None:
    association = up.one(ASSOCIATION)
    assert association.inputs == {
        "clusterName": "slipway-prod-cluster",
        "namespace": "slipway-prod",
        "serviceAccount": "training",
        "roleArn": ROLE,
    }
    assert "cluster-cluster" in association.dependencies


def test_it_holds_the_rights_that_were_given_and_no_others(up: Engine) -> None:
    policy = up.one("aws:iam/rolePolicy:RolePolicy", "identity-training-policy")
    assert allowed(statements(policy)) == allowed([dict(one) for one in iam.write_artifacts(BUCKET, KEY, ["x/"])])
    attached = [item for item in up.registrations if item.parent == "identity-training"]
    assert {item.type for item in attached} == {"aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", ASSOCIATION}


def test_an_addon_that_associates_the_role_itself_finds_it_free() -> None:
    assert identity(associate=False).all(ASSOCIATION) == []


def test_its_name_is_the_environment_s_and_fits(up: Engine) -> None:
    assert role(up)["name"] == "slipway-prod-training"
    assert len(role(up)["name"]) <= 64


def test_a_preview_registers_what_an_up_registers(up: Engine) -> None:
    assert registered(identity(preview=True)) == registered(up)
