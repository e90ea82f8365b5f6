"""What the committed stack files say in place of values that only their user knows.

They are valid, so that a preview offline shows a whole environment; none of them may reach an account.  Some fail there
late, after what costs minutes to make; a repository of somebody else's could deploy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Protocol

from infra.aws.settings import AwsConfig
from infra.kubernetes.findings import Finding

ACCOUNT = "111122223333"
_DOCUMENTATION = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
_NO_DIGEST = re.compile(r"sha256:(.)\1{63}$")
_NO_ADDRESS = re.compile(r"@example\.(com|org|net)$")


class Budget(Protocol):
    """Who is told."""

    @property
    def notify(self) -> tuple[str, ...]: ...


def left(config: AwsConfig, budget: Budget | None) -> Iterator[Finding]:
    """Find them; nothing is found at an endpoint that is not AWS's own, where they do no harm."""
    if config.endpoint_url is not None:
        return
    for setting, value, fix in [*_images(config), *_access(config), *_told(budget)]:
        yield Finding(
            name=f"slipway:{setting}", ok=False, seen=f"{value} is what the example says, not a value of yours", fix=fix
        )


def _images(config: AwsConfig) -> Iterator[tuple[str, str, str]]:
    operators = config.operator_images
    images = {
        "substrate.image": config.image,
        "substrate.operator_images.kuberay": operators.kuberay,
        "substrate.operator_images.device_plugin": operators.device_plugin,
        "substrate.operator_images.autoscaler": operators.autoscaler,
    }
    for setting, image in images.items():
        if image is None or not _NO_DIGEST.search(image):
            continue
        own = setting == "substrate.image"
        fix = "remove the line: `make push` writes it, after the first `up`" if own else _digest_of(image)
        yield setting, image.replace(image.rpartition(":")[2], f"{image[-1] * 4}..."), fix


def _digest_of(image: str) -> str:
    return f"the digest that `docker buildx imagetools inspect {image.partition('@')[0]}:TAG` prints (docs/aws.md: TAG)"


def _access(config: AwsConfig) -> Iterator[tuple[str, str, str]]:
    cluster, github = config.cluster, config.github
    if config.account == ACCOUNT:
        yield "substrate.account", ACCOUNT, "the number of your account: aws sts get-caller-identity prints it"
    for cidr in cluster.public_cidrs if cluster.public_endpoint else ():
        if any(ip_network(cidr) == one for one in _DOCUMENTATION):
            fix = "the address from which you run `up` (curl https://checkip.amazonaws.com), with /32"
            yield "substrate.cluster.public_cidrs", cidr, fix
    for admin in cluster.admins:
        if f":{ACCOUNT}:" in admin:
            fix = "the role that runs `up`, and others of your account that administer the cluster"
            yield "substrate.cluster.admins", admin, fix
    if github is not None and github.repository.startswith("example/"):
        fix = "your own OWNER/NAME, or remove `github`: workflows of that repository could deploy into the account"
        yield "substrate.github.repository", github.repository, fix


def _told(budget: Budget | None) -> Iterator[tuple[str, str, str]]:
    for address in budget.notify if budget else ():
        if _NO_ADDRESS.search(address):
            yield "budget.notify", address, "who is told that the money runs out, or remove `slipway:budget`"
