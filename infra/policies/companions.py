"""Rules that need several resources: what a bucket or a VPC must not be without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from infra.policies.encryption import BUCKET_ENCRYPTION
from infra.policies.exposure import BLOCK
from infra.policies.model import UNKNOWN, Declared, Posture, StackRule, Violation

BUCKET = "aws:s3/bucket:Bucket"
VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"


def _belongs(companion: Declared, link: str, owner: Declared) -> bool:
    """Whether `companion` names `owner`; a link that nothing is known of is given the benefit of the doubt."""
    if link in companion.links:
        return owner.name in companion.links[link]
    value = companion.at(link)
    return value is UNKNOWN or (value is not None and value in (owner.at("bucket"), owner.at("id")))


def _needs(
    owner: str, companion: str, link: str, reason: str
) -> Callable[[Sequence[Declared], Posture], Iterator[Violation]]:
    def rule(resources: Sequence[Declared], _: Posture) -> Iterator[Violation]:
        companions = [item for item in resources if item.type == companion]
        for resource in resources:
            if resource.type == owner and not any(_belongs(item, link, resource) for item in companions):
                yield Violation(
                    resource=resource, property=companion, value=None, reason=reason,
                    fix=f"declare one whose {link} is this resource",
                )  # fmt: skip

    return rule


STACK_RULES = (
    StackRule(
        name="bucket-has-block",
        about="Every bucket has a public access block",
        types=frozenset({BUCKET, BLOCK}),
        check=_needs(BUCKET, BLOCK, "bucket", "a later policy or ACL could open the bucket to everybody"),
    ),
    StackRule(
        name="bucket-has-encryption",
        about="Every bucket has an encryption configuration",
        types=frozenset({BUCKET, BUCKET_ENCRYPTION}),
        check=_needs(
            BUCKET, BUCKET_ENCRYPTION, "bucket", "its objects would not be encrypted with a key of this account"
        ),
    ),
    StackRule(
        name="vpc-has-flow-log",
        about="Every VPC logs its connections",
        types=frozenset({VPC, FLOW_LOG}),
        check=_needs(VPC, FLOW_LOG, "vpcId", "who connected to what could not be told afterwards"),
    ),
)
