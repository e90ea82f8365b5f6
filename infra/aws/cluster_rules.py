"""What must hold between the settings of `slipway:substrate.cluster`: pure, and asked by `infra.aws.rules`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from components.settings import Problem
from infra.aws.versions import STANDARD_UNTIL
from infra.policies.model import is_wide

if TYPE_CHECKING:
    from infra.aws.settings import AwsConfig

_SERVICES = tuple(IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_LARGEST, _SMALLEST = 12, 24
_PRINCIPAL = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+")
_SESSION = re.compile(r"(arn:[a-z-]+):sts::([0-9]{12}):assumed-role/([^/]+)/.+")


def problems(config: AwsConfig) -> Iterator[Problem]:
    """Find what EKS would refuse, or what would leave the cluster open or closed to everybody."""
    cluster = config.cluster
    if cluster.version not in STANDARD_UNTIL:
        yield Problem(
            "substrate.cluster.version",
            cluster.version,
            "is not in EKS's standard support",
            f"use one of {', '.join(STANDARD_UNTIL)}",
        )
    if not cluster.admins:
        yield Problem(
            "substrate.cluster.admins",
            [],
            "nobody may enter the cluster, not even who runs `up`",
            "list the role that runs `up`: arn:aws:iam::ACCOUNT:role/NAME",
        )
    written = (_written("substrate.cluster.public_cidrs", cidr) for cidr in cluster.public_cidrs)
    yield from (problem for problem in written if problem is not None)
    yield from _services(cluster.service_cidr)
    yield from _admins(cluster.admins)
    if cluster.public_endpoint and not cluster.public_cidrs:
        yield Problem(
            "substrate.cluster.public_endpoint",
            True,  # noqa: FBT003 - the value that was set
            "a public endpoint without public_cidrs answers the whole world",
            "list who may call it in substrate.cluster.public_cidrs, or leave the endpoint private",
        )
    if cluster.public_cidrs and not cluster.public_endpoint:
        yield Problem(
            "substrate.cluster.public_cidrs",
            list(cluster.public_cidrs),
            "has no effect: the endpoint is private",
            "set substrate.cluster.public_endpoint to true, or remove it",
        )
    for cidr in filter(is_wide, cluster.public_cidrs):
        yield Problem(
            "substrate.cluster.public_cidrs",
            cidr,
            "is the whole world, or so much of it that it keeps nobody out",
            "list the ranges of those who need it",
        )


def _written(path: str, cidr: str) -> Problem | None:
    """Say what is wrong with how a range is written; EKS and the provider take the network, not a machine in it."""
    try:
        block = IPv4Network(cidr, strict=False)
    except ValueError as error:
        return Problem(path, cidr, str(error), "use a range such as 172.20.0.0/16")
    if str(block) != cidr:
        return Problem(path, cidr, "is an address inside its range", f"write {block}")
    return None


def _services(cidr: str) -> Iterator[Problem]:
    """EKS takes no other addresses for Services; the cluster would be refused, after the network is made."""
    path = "substrate.cluster.service_cidr"
    if (wrong := _written(path, cidr)) is not None:
        yield wrong
        return
    block = IPv4Network(cidr)
    inside = any(block.subnet_of(private) for private in _SERVICES)
    if not inside or not _LARGEST <= block.prefixlen <= _SMALLEST:
        yield Problem(
            path,
            cidr,
            f"EKS takes a /{_LARGEST} to /{_SMALLEST} within {', '.join(map(str, _SERVICES))}",
            "leave it out, or use one such as 172.20.0.0/16",
        )


def _admins(admins: Sequence[str]) -> Iterator[Problem]:
    """EKS takes roles and users themselves, each once; a session of one is what `sts` calls who asks."""
    path = "substrate.cluster.admins"
    for arn in dict.fromkeys(admins):
        if admins.count(arn) > 1:
            yield Problem(path, arn, "is listed twice, and EKS takes each once", "remove one of them")
        if not _PRINCIPAL.fullmatch(arn):
            fix = f"list the role: {role_of(arn) or 'arn:aws:iam::ACCOUNT:role/NAME'}"
            yield Problem(path, arn, "is no IAM role or user, and EKS lets in nobody else", fix)


def role_of(arn: str) -> str | None:
    """Return the role, without its path, whose session an ARN of STS names; None for anything else."""
    session = _SESSION.fullmatch(arn)
    return None if session is None else f"{session[1]}:iam::{session[2]}:role/{session[3]}"
