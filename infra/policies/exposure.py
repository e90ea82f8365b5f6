"""Rules on what the world can reach: buckets, databases, load balancers, security groups.

Each may be allowed by the resource's name in `slipway:substrate.exceptions`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from components.kubernetes.platforms import PLATFORMS
from infra.policies.model import UNKNOWN, Declared, Posture, Rule, Violation, absent_or_false, demand, is_wide, true

BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_SWITCHES = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_DATABASES = frozenset({"aws:rds/instance:Instance", "aws:rds/clusterInstance:ClusterInstance"})
_BALANCERS = frozenset(
    {
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:alb/loadBalancer:LoadBalancer",
        "aws:elb/loadBalancer:LoadBalancer",
    }
)
_INTERNAL = frozenset(
    (key, value)
    for platform in PLATFORMS.values()
    for key, value in platform.internal_load_balancer.items()
    if value.lower() in ("internal", "true")  # the others say what kind of load balancer
)
"""The annotations that decide it, on any platform."""


def _unless_allowed(check: Callable[[Declared], Iterator[Violation]]) -> Callable[..., Iterator[Violation]]:
    def rule(resource: Declared, posture: Posture) -> Iterator[Violation]:
        if resource.name not in posture.exceptions:
            yield from check(resource)

    return rule


def _allow(resource: Declared, otherwise: str) -> str:
    return f"{otherwise}, or allow it with the reason: slipway:substrate.exceptions {{{resource.name}: REASON}}"


@_unless_allowed
def closed_bucket(resource: Declared) -> Iterator[Violation]:
    """Every switch of a public access block is on."""
    for switch in _SWITCHES:
        yield from demand(
            resource,
            switch,
            true,
            "the bucket could be opened to everybody by a later policy or ACL",
            _allow(resource, f"set {switch} to true"),
        )


@_unless_allowed
def private_acl(resource: Declared) -> Iterator[Violation]:
    """No ACL grants anything to everybody."""
    yield from demand(
        resource,
        "acl",
        lambda acl: acl is None or not str(acl).startswith(("public-", "authenticated-read")),
        "everybody could read the bucket",
        _allow(resource, "remove the ACL"),
    )


@_unless_allowed
def private_database(resource: Declared) -> Iterator[Violation]:
    """No database has a public address."""
    yield from demand(
        resource,
        "publiclyAccessible",
        absent_or_false,
        "the database would have a public address",
        _allow(resource, "set publiclyAccessible to false"),
    )


@_unless_allowed
def internal_balancer(resource: Declared) -> Iterator[Violation]:
    """Load balancers are internal."""
    yield from demand(
        resource,
        "internal",
        true,
        "the load balancer would answer the internet",
        _allow(resource, "set internal to true"),
    )


@_unless_allowed
def internal_service(resource: Declared) -> Iterator[Violation]:
    """A Service of type LoadBalancer asks its platform for an internal one."""
    annotations = resource.at("metadata.annotations")
    if resource.at("spec.type") != "LoadBalancer" or annotations is UNKNOWN:
        return
    found = annotations or {}
    if not any(found.get(key) in (value, UNKNOWN) for key, value in _INTERNAL):
        yield Violation(
            resource=resource,
            property="metadata.annotations",
            value=annotations,
            reason="its load balancer would answer the internet",
            fix=_allow(
                resource, "add the platform's annotation for an internal one (components/kubernetes/platforms.py)"
            ),
        )


def _open_ranges(resource: Declared, path: str) -> Iterator[tuple[str, Any]]:
    for family in ("cidrBlocks", "ipv6CidrBlocks"):
        yield from ((at, value) for at, value in resource.items(f"{path}.{family}") if is_wide(value))


@_unless_allowed
def narrow_ingress(resource: Declared) -> Iterator[Violation]:
    """No security group lets everybody in."""
    found: list[tuple[str, Any]] = []
    for at, _ in resource.items("ingress"):
        found += _open_ranges(resource, at)
    if resource.at("type") == "ingress":
        for family in ("cidrBlocks", "ipv6CidrBlocks"):
            found += ((at, value) for at, value in resource.items(family) if is_wide(value))
    for single in ("cidrIpv4", "cidrIpv6"):
        value = resource.at(single)
        if value not in (None, UNKNOWN) and is_wide(value):
            found.append((single, value))
    for at, value in found:
        yield Violation(
            resource=resource,
            property=at,
            value=value,
            reason="everybody could connect",
            fix=_allow(resource, "name the ranges or security groups that may connect"),
        )


RULES = (
    Rule(name="bucket-closed", about="Buckets block public access", types=frozenset({BLOCK}), check=closed_bucket),
    Rule(
        name="bucket-acl-private",
        about="No ACL opens a bucket",
        types=frozenset({"aws:s3/bucketAcl:BucketAcl", "aws:s3/bucket:Bucket"}),
        check=private_acl,
    ),
    Rule(name="database-private", about="Databases are private", types=_DATABASES, check=private_database),
    Rule(name="load-balancer-internal", about="Load balancers are internal", types=_BALANCERS, check=internal_balancer),
    Rule(
        name="service-internal",
        about="Load balancers of Services are internal",
        types=frozenset({"kubernetes:core/v1:Service"}),
        check=internal_service,
    ),
    Rule(
        name="ingress-narrow",
        about="Security groups let nobody in from everywhere",
        types=frozenset(
            {
                "aws:ec2/securityGroup:SecurityGroup",
                "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
                "aws:ec2/securityGroupRule:SecurityGroupRule",
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            }
        ),
        check=narrow_ingress,
    ),
)
