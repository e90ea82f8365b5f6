"""An account on the AWS test server with a network and the roles that a cluster needs: for tests that use boto3."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from tests.standins.aws_server import AwsServer

Found = TypeVar("Found")
NUMBERS = count(1)
UNDER_WAY = ("CREATING", "UPDATING", "DELETING", "InProgress")


class Account:
    """A corner of the account: names that no other test uses."""

    policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"

    def __init__(self, server: AwsServer) -> None:
        self.server = server
        self.name = f"test-{next(NUMBERS)}"
        self.eks, self.ec2, self.iam = (server.client(name) for name in ("eks", "ec2", "iam"))
        self.control = self.role("control", "eks.amazonaws.com")
        self.iam.attach_role_policy(RoleName=f"{self.name}-control", PolicyArn=self.policy)
        self.nodes = self.role("nodes", "ec2.amazonaws.com")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self.subnet(f"10.0.{index}.0/24", f"us-east-1{zone}") for index, zone in enumerate("ab")]

    def role(self, name: str, *services: str, actions: tuple[str, ...] = ("sts:AssumeRole",)) -> str:
        statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": list(actions)}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = self.iam.create_role(RoleName=f"{self.name}-{name}", AssumeRolePolicyDocument=trust)
        return str(made["Role"]["Arn"])

    def subnet(self, cidr: str, zone: str) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    def template(self, **data: Any) -> str:
        named = {"LaunchTemplateName": f"{self.name}-{next(NUMBERS)}"}
        content = data or {"MetadataOptions": {"HttpTokens": "optional"}}
        made = self.ec2.create_launch_template(**named, LaunchTemplateData=content)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def create(self, **given: Any) -> dict[str, Any]:
        private = {"subnetIds": self.subnets, "endpointPrivateAccess": True, "endpointPublicAccess": False}
        settings: dict[str, Any] = {
            "version": "1.35",
            "roleArn": self.control,
            "resourcesVpcConfig": private,
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
            "bootstrapSelfManagedAddons": False,
            **given,
        }
        made: dict[str, Any] = self.eks.create_cluster(name=self.name, **settings)["cluster"]
        return made

    def cluster(self, **given: Any) -> dict[str, Any]:
        self.create(**given)
        return self.active()

    def active(self) -> dict[str, Any]:
        return self.settled(self.describe)

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.eks.describe_cluster(name=self.name)["cluster"]
        return found

    def clusters(self) -> list[str]:
        found: list[str] = self.eks.list_clusters()["clusters"]
        return found

    def delete(self) -> None:
        self.eks.delete_cluster(name=self.name)

    def update(self, identity: str, **of: str) -> dict[str, Any]:
        found: dict[str, Any] = self.eks.describe_update(name=self.name, updateId=identity, **of)["update"]
        return found

    def settled(self, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return until(read, lambda found: found["status"] not in UNDER_WAY)

    def addon(self, name: str, **given: Any) -> dict[str, Any]:
        self.eks.create_addon(clusterName=self.name, addonName=name, **given)
        return self.settled(lambda: self.addon_now(name))

    def addon_now(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.eks.describe_addon(clusterName=self.name, addonName=name)["addon"]
        return found

    def group(self, name: str = "gpu", **given: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "subnets": self.subnets,
            "nodeRole": self.nodes,
            "instanceTypes": ["g6.xlarge"],
            "amiType": "AL2023_x86_64_NVIDIA",
            "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 0},
            **given,
        }
        self.eks.create_nodegroup(clusterName=self.name, nodegroupName=name, **settings)
        return self.settled(lambda: self.described(name))

    def groups(self) -> list[str]:
        found: list[str] = self.eks.list_nodegroups(clusterName=self.name)["nodegroups"]
        return found

    def described(self, name: str = "gpu") -> dict[str, Any]:
        found: dict[str, Any] = self.eks.describe_nodegroup(clusterName=self.name, nodegroupName=name)["nodegroup"]
        return found


def until(read: Callable[[], Found], holds: Callable[[Found], bool]) -> Found:
    """Read until it holds; fails with what was read last."""
    end = time.monotonic() + 120
    while not holds(found := read()):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def refused(code: str, call: Callable[[], Any]) -> str:
    """Expect AWS to refuse a call with this code; returns its message."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])
