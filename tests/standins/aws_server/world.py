"""What EKS needs to know of, and do in, the rest of the account: through the public APIs of this same server.

Only facts and acts here; which of them EKS asks for, and what it refuses, is in `eks`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends

ACCOUNT = "123456789012"
STATIC_KEY = "test"
"""The key id and secret of whoever runs a stack against this server: the account's administrator."""
INTERNAL = "slipway-internal"
"""What this server calls itself when it calls itself."""
CREATOR = f"arn:aws:iam::{ACCOUNT}:user/administrator"


@dataclass
class World:
    """The account in one region, seen from a service within it."""

    url: str
    region: str
    _images: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=STATIC_KEY,
            aws_secret_access_key=STATIC_KEY,
            config=Config(retries={"total_max_attempts": 1}, user_agent_extra=INTERNAL),
        )

    @cached_property
    def ec2(self) -> Any:
        return self.client("ec2")

    @cached_property
    def iam(self) -> Any:
        return self.client("iam")

    @cached_property
    def scaling(self) -> Any:
        return self.client("autoscaling")

    def role(self, arn: str) -> dict[str, Any] | None:
        """Return a role of the account, its trust policy parsed; None when there is none."""
        kind, _, name = arn.partition(f"arn:aws:iam::{ACCOUNT}:")[2].partition("/")
        if kind != "role":
            return None
        try:
            found: dict[str, Any] = self.iam.get_role(RoleName=name.rpartition("/")[2])["Role"]
        except ClientError:
            return None
        trust = found["AssumeRolePolicyDocument"]
        return {**found, "trust": json.loads(unquote(trust)) if isinstance(trust, str) else trust}

    def trusts(self, arn: str, service: str, *actions: str) -> bool:
        """Say whether a role exists and lets a service take it on by every one of the actions."""
        role = self.role(arn)
        allowed: set[str] = set()
        for statement in (role or {"trust": {}})["trust"].get("Statement", []):
            principals = statement.get("Principal", {}).get("Service", [])
            if statement["Effect"] == "Allow" and service in (
                [principals] if isinstance(principals, str) else principals
            ):
                found = statement["Action"]
                allowed |= {found} if isinstance(found, str) else set(found)
        return set(actions) <= allowed

    def principal(self, arn: str) -> bool:
        """Say whether a role or user exists."""
        if ":user/" in arn:
            users = self.iam.list_users()["Users"]
            return arn == CREATOR or arn in {user["Arn"] for user in users}
        return self.role(arn) is not None

    def attached(self, arn: str) -> set[str]:
        """Return the names of the managed policies on a role."""
        try:
            found = self.iam.list_attached_role_policies(RoleName=arn.rpartition("/")[2])
        except ClientError:
            return set()
        return {policy["PolicyName"] for policy in found["AttachedPolicies"]}

    def subnets(self, ids: Sequence[str]) -> list[dict[str, Any]] | None:
        """Return the subnets, or None when one of them does not exist."""
        try:
            found: list[dict[str, Any]] = self.ec2.describe_subnets(SubnetIds=list(ids))["Subnets"]
        except ClientError:
            return None
        return found

    def cluster_group(self, cluster: str, vpc: str) -> str:
        """Make the security group that EKS gives every cluster."""
        made = self.ec2.create_security_group(
            GroupName=f"eks-cluster-sg-{cluster}-{secrets.randbelow(10**9)}",
            Description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes",
            VpcId=vpc,
            TagSpecifications=[
                {
                    "ResourceType": "security-group",
                    "Tags": [{"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"}],
                }
            ],
        )
        return str(made["GroupId"])

    def remove_group(self, group: str) -> None:
        self.ec2.delete_security_group(GroupId=group)

    def key_exists(self, arn: str) -> bool:
        try:
            state = self.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        except ClientError:
            return False
        return bool(state == "Enabled")

    def ensure_log_group(self, name: str) -> None:
        """What the control plane does when its log group is not there: one without retention, that nobody owns."""
        try:
            self.client("logs").create_log_group(logGroupName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    def instance_types(self, names: Sequence[str]) -> dict[str, dict[str, Any]] | None:
        """Return what EC2 says of instance types, or None when one is unknown to it."""
        try:
            found = self.ec2.describe_instance_types(InstanceTypes=list(names))["InstanceTypes"]
        except ClientError:
            return None
        return {entry["InstanceType"]: entry for entry in found} if len(found) == len(set(names)) else None

    def launch_template(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Return a version of a launch template as {id, name, version, data}; None when it does not exist."""
        named = {"LaunchTemplateId": given["id"]} if given.get("id") else {"LaunchTemplateName": given.get("name", "")}
        try:
            versions = self.ec2.describe_launch_template_versions(
                **named, Versions=[str(given.get("version") or "$Default")]
            )["LaunchTemplateVersions"]
        except ClientError:
            return None
        if not versions:
            return None
        found = versions[0]
        return {
            "id": found["LaunchTemplateId"],
            "name": found["LaunchTemplateName"],
            "version": str(found["VersionNumber"]),
            "data": found["LaunchTemplateData"],
        }

    @property
    def image(self) -> str:
        """Return an image that exists: the server's EC2 refuses to start any other."""
        if not self._images:
            self._images.extend(entry["ImageId"] for entry in self.ec2.describe_images(Owners=["amazon"])["Images"][:1])
        return self._images[0]

    def release_interfaces(self) -> None:
        """Forget the interfaces of instances that have ended: EC2 does so with them, moto keeps them for ever."""
        backend = ec2_backends[ACCOUNT][self.region]
        for name, interface in list(backend.enis.items()):
            if interface.instance is not None and interface.instance.state == "terminated":
                backend.enis.pop(name)
