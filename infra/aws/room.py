"""Whether an account has room for another environment: what AWS grants few of, and each stack takes some of.

It only reads, and only until the stack has its own. Who may not look hears that; GPUs are `infra.aws.quotas`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from components.seam import Place
from infra.aws import api
from infra.aws.api import AwsUnusable
from infra.aws.ownership import owned_by
from infra.aws.settings import AwsConfig
from infra.kubernetes.findings import Finding

_AMAZONS = "amazon"
"""The pool of addresses that count: an account may bring as many of its own as it has."""


@dataclass(frozen=True, kw_only=True)
class Scarce:
    """Something of which a region grants an account few."""

    name: str
    service: str
    code: str
    """Of the quota (AWS General Reference, Amazon VPC endpoints and quotas)."""
    listed: Callable[[Any], Sequence[Mapping[str, Any]]]
    """All that count against it, asked of EC2."""
    wanted: Callable[[AwsConfig], int]
    way_out: str


_VPCS = Scarce(
    name="VPCs",
    service="vpc",
    code="L-F678F1CE",
    listed=lambda client: api.ask(client, "describe_vpcs")["Vpcs"],
    wanted=lambda _: 1,
    way_out="slipway:substrate.vpc, to use one that exists",
)
_ADDRESSES = Scarce(
    name="Elastic IPs",
    service="ec2",
    code="L-0263D0A3",
    listed=lambda client: [
        one
        for one in api.ask(client, "describe_addresses")["Addresses"]
        if one.get("PublicIpv4Pool") in (None, _AMAZONS)
    ],
    wanted=lambda config: config.nat_gateways,
    way_out="slipway:substrate.network.nat: single, which takes one",
)


def examine(place: Place, config: AwsConfig) -> Iterator[Finding]:
    """Find what there is too little of.

    Nothing is asked for a VPC that somebody else keeps, its ways out included, nor at an endpoint that is not AWS's,
    which grants what it likes.
    """
    if config.vpc is not None or config.endpoint_url is not None:
        return
    client_of = cache(lambda service: api.client(service, config.region, config.endpoint_url))
    for scarce in (_VPCS, _ADDRESSES):
        yield from _found(scarce, place, config, client_of)


def _found(scarce: Scarce, place: Place, config: AwsConfig, client_of: Callable[[str], Any]) -> Iterator[Finding]:
    try:
        there = scarce.listed(client_of("ec2"))
        missing = scarce.wanted(config) - sum(_is_own(one, place) for one in there)
        if missing <= 0:
            return
        given = {"ServiceCode": scarce.service, "QuotaCode": scarce.code}
        answer = api.ask(client_of("service-quotas"), "get_service_quota", **given)
    except AwsUnusable as error:
        actions = "ec2:DescribeVpcs, ec2:DescribeAddresses and servicequotas:GetServiceQuota"
        yield api.unread(scarce.name, error, actions)
        return
    granted = int(answer["Quota"]["Value"])
    fits = len(there) + missing <= granted
    fix = (
        f"aws service-quotas request-service-quota-increase --region {config.region} --service-code {scarce.service} "
        f"--quota-code {scarce.code} --desired-value {len(there) + missing}, or {scarce.way_out}"
    )
    seen = f"{len(there)} of {granted} are taken ({scarce.code}); this stack takes {missing} more"
    yield Finding(name=scarce.name, ok=fits, seen=seen, fix="" if fits else fix)


def _is_own(one: Mapping[str, Any], place: Place) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])}
    return owned_by(place).items() <= tags.items()
