"""Where moto takes a call and then forgets or keeps what AWS does not: mended in moto, one function a gap.

Each mends one behaviour of moto 5.2 and says which. A gap that moto has closed is found by its test, which then holds
without the function: take it out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateBackend
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.vpcs import VPCBackend
from moto.iam.access_control import IAMPolicy
from moto.rds.exceptions import DBSubnetGroupNotFoundError
from moto.rds.models import RDSBackend
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.s3.responses import S3Response

INSIGHTS = ("enable_performance_insights", "performance_insights_kms_key_id", "performance_insights_retention_period")
SHORTEST_DAYS = 7
TRANSPORT = frozenset(("aws:SecureTransport", "s3:TlsVersion"))


def mend() -> None:
    """Mend all of them; once, before the first call."""
    gaps: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
        (LaunchTemplateBackend, "create_launch_template", _own_tags),
        (LaunchTemplate, "tags", lambda _: property(lambda template: template.get_tags(), lambda *_: None)),
        (NatGatewayBackend, "delete_nat_gateway", _without_interface),
        (VPCBackend, "delete_vpc", _without_acls),
        (SecurityGroupRule, "description", lambda _: property(_description)),
        (RDSBackend, "create_db_instance", _insights_at_first),
        (RDSBackend, "modify_db_instance", _insights_later),
        (RDSBackend, "modify_db_subnet_group", _still_there),
        (VPCBackend, "modify_vpc_endpoint", _rerouted),
        (S3Response, "get_bucket_encryption", _whole_encryption),
        (FakeBucket, "get_permission", _by_tls),
        (FakeDeleteMarker, "dispose", lambda _: _nothing_held),
    )
    for owner, name, mended in gaps:
        setattr(owner, name, mended(getattr(owner, name, None)))


def _own_tags(create: Callable[..., Any]) -> Callable[..., Any]:
    """Tags of a launch template are its own: moto also lists them among those of what is started from it.

    (And shows for ever those that it was made with: see `tags`.)
    """

    @wraps(create)
    def mended(self: Any, name: str, description: str, template_data: dict[str, Any], tag_spec: Any) -> Any:
        specs = [
            entry
            for entry in template_data.get("TagSpecifications", [])
            if entry.get("ResourceType") != "launch-template"
        ]
        data = {key: value for key, value in template_data.items() if key != "TagSpecifications"}
        return create(self, name, description, {**data, **({"TagSpecifications": specs} if specs else {})}, tag_spec)

    return mended


def _without_interface(delete: Callable[..., Any]) -> Callable[..., Any]:
    """The interface of a NAT gateway goes with it: moto leaves it in the subnet."""

    @wraps(delete)
    def mended(self: Any, nat_gateway_id: str) -> Any:
        gateway = delete(self, nat_gateway_id)
        self.enis.pop(gateway._eni.id, None)
        return gateway

    return mended


def _without_acls(delete: Callable[..., Any]) -> Callable[..., Any]:
    """The network ACL that every VPC has goes with it: moto leaves it."""

    @wraps(delete)
    def mended(self: Any, vpc_id: str) -> Any:
        vpc = delete(self, vpc_id)
        for name in [name for name, acl in self.network_acls.items() if acl.vpc_id == vpc_id]:
            self.network_acls.pop(name)
        return vpc

    return mended


def _description(rule: Any) -> str | None:
    """A rule about a security group or prefix list has a description too: moto keeps only that of an address range."""
    found: str | None = rule.ip_range.get("Description") or rule.source_group.get("Description")
    return found


def _insights_at_first(create: Callable[..., Any]) -> Callable[..., Any]:
    """Performance Insights are shown as they were asked for: moto forgets them."""

    @wraps(create)
    def mended(self: Any, db_kwargs: dict[str, Any]) -> Any:
        asked = {name: db_kwargs.get(name) for name in INSIGHTS}
        return _insightful(create(self, db_kwargs), asked)

    return mended


def _insights_later(modify: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(modify)
    def mended(self: Any, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Any:
        asked = {name: db_kwargs.get(name) for name in INSIGHTS}
        return _insightful(modify(self, db_instance_identifier, db_kwargs), asked)

    return mended


def _insightful(database: Any, asked: dict[str, Any]) -> Any:
    enabled, key, days = (asked[name] for name in INSIGHTS)
    if enabled is not None:
        database.performance_insights_enabled = enabled
    if getattr(database, "performance_insights_enabled", False):
        before = getattr(database, "performance_insights_retention_period", SHORTEST_DAYS)
        database.performance_insights_retention_period = days or before
        database.performance_insights_kms_key_id = key or getattr(database, "performance_insights_kms_key_id", None)
    return database


def _still_there(modify: Callable[..., Any]) -> Callable[..., Any]:
    """A subnet group that was changed is there afterwards: moto takes it out and does not put it back."""

    @wraps(modify)
    def mended(self: Any, subnet_name: str, description: str, subnets: Any) -> Any:
        if subnet_name not in self.subnet_groups:
            raise DBSubnetGroupNotFoundError(subnet_name)
        changed = modify(self, subnet_name, description, subnets)
        self.subnet_groups[subnet_name] = changed
        return changed

    return mended


def _rerouted(modify: Callable[..., Any]) -> Callable[..., Any]:
    """A gateway endpoint's route is in the tables that it has now: moto moves none, and cannot delete it later."""

    @wraps(modify)
    def mended(self: Any, *given: Any, **named: Any) -> Any:
        endpoint = self.vpc_end_points.get(named.get("vpc_id") or (given[0] if given else ""))
        before = set(endpoint.route_table_ids or []) if endpoint else set()
        answer = modify(self, *given, **named)
        if endpoint is not None and endpoint.destination_prefix_list_id:
            after = set(endpoint.route_table_ids or [])
            for table in before - after:
                self.delete_route(table, endpoint.destination_prefix_list_id)
            for table in after - before:
                self.create_route(
                    table, None, gateway_id=endpoint.id, destination_prefix_list_id=endpoint.destination_prefix_list_id
                )
        return answer

    return mended


def _whole_encryption(read: Callable[..., Any]) -> Callable[..., Any]:
    """The kinds of encryption that a bucket refuses are part of its configuration: moto stores and never shows them."""

    @wraps(read)
    def mended(self: Any) -> Any:
        stored = self.backend.get_bucket_encryption(self.bucket_name)
        blocked = stored["Rule"].get("BlockedEncryptionTypes") if stored else None
        if not blocked:
            return read(self)
        kinds = blocked["EncryptionType"]
        self.data["Action"] = "GetBucketEncryption"
        rule = {
            "ApplyServerSideEncryptionByDefault": stored["Rule"]["ApplyServerSideEncryptionByDefault"],
            "BucketKeyEnabled": stored["Rule"].get("BucketKeyEnabled") == "true",
            "BlockedEncryptionTypes": {"EncryptionType": [kinds] if isinstance(kinds, str) else list(kinds)},
        }
        return self.serialized(ActionResult({"ServerSideEncryptionConfiguration": {"Rules": [rule]}}))

    return mended


def _nothing_held(_: Any) -> None:
    """A delete marker can be deleted once versioning is suspended: moto would close a body, which it has none of."""


def _by_tls(permission: Callable[..., Any]) -> Callable[..., Any]:
    """A call stands for one by TLS: moto denies whatever a statement denies on a condition, whether it holds or not."""

    def about_transport(statement: dict[str, Any]) -> bool:
        named = {name for test in statement.get("Condition", {}).values() for name in test}
        return statement["Effect"] == "Deny" and bool(named) and named <= TRANSPORT

    @wraps(permission)
    def mended(self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return permission(self, action, resource)
        policy = json.loads(self.policy)
        others = [statement for statement in policy["Statement"] if not about_transport(statement)]
        return IAMPolicy(json.dumps({**policy, "Statement": others})).is_action_permitted(action, resource)

    return mended
