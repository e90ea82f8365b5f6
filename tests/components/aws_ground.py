"""What a test of an AWS component stands on: names, a network that is given, a cluster; and what AWS would answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pulumi_aws as aws
from pulumi import ResourceOptions

from components.aws.eks_cluster import EksCluster, EksClusterArgs
from components.aws.naming import Names
from components.aws.network import NetworkHandle, given_network
from tests.aws_inputs import check_all
from tests.mock_engine import Engine, Registration, run

ACCOUNT = "123456789012"
REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b")
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/platform/Admin"
NAMES = Names(stem="slipway-prod", account=ACCOUNT, region=REGION)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/made"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
GROUP = "sg-0cluster"
ANSWERS: dict[str, dict[str, Any]] = {
    "aws:iam/role:Role": {"arn": ROLE},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {"arn": "arn:provider"},
    "aws:eks/cluster:Cluster": {
        "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/slipway-prod-cluster",
        "endpoint": "https://api.example",
        "certificateAuthority": {"data": "Y2E="},
        "vpcConfig": {"clusterSecurityGroupId": GROUP},
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 7},
}


def network() -> NetworkHandle:
    """A network of two zones that somebody else keeps."""
    return given_network("vpc-1", "10.0.0.0/16", {zone: f"subnet-{zone}" for zone in ZONES}, {})


def cluster(opts: ResourceOptions, **changed: Any) -> EksCluster:
    """A cluster in that network."""
    args = {
        "names": NAMES,
        "version": "1.36",
        "network": network(),
        "key": KEY,
        "log_key": "arn:logs",
        "admins": [ADMIN],
    }
    return EksCluster("cluster", EksClusterArgs(**{**args, **changed}), opts)


def on_aws(make: Callable[[ResourceOptions], Any], *, preview: bool = False) -> Engine:
    """Run `make` with an explicit provider; every property that it sets must exist."""

    def program() -> None:
        provider = aws.Provider("aws", region=REGION)
        make(ResourceOptions(provider=provider))

    engine = run(program, engine=Engine(ANSWERS), preview=preview)
    if not preview:
        assert check_all(engine.registrations) > 0
    return engine


def registered(engine: Engine) -> list[tuple[str, str, str]]:
    """What was registered, and below what."""
    return sorted((item.type, item.name, item.parent) for item in engine.registrations)


def statements(item: Registration, field: str = "policy") -> list[dict[str, Any]]:
    """The statements of the policy document of a resource."""
    found: list[dict[str, Any]] = json.loads(item.inputs[field])["Statement"]
    return found


def allowed(policy: Sequence[dict[str, Any]]) -> set[str]:
    """Every action of the statements."""
    return {action for statement in policy for action in statement["Action"]}
