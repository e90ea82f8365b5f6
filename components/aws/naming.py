"""Physical names and ARNs in an AWS account: deterministic, known in a preview, never the same for two stacks.

It owns how names are shortened and made unique. It must not read config or know what a name is for.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

STEM_LONGEST = 24
_DIGEST = 6
_ROLE_LONGEST = 64
"""Of the name of a role, by IAM."""
_PLAIN = re.compile(r"[a-z][a-z0-9]*")
_NO_REGION = frozenset({"iam", "budgets", "cloudfront", "route53"})
_NO_ACCOUNT = frozenset({"s3"})


def stem(project: str, stack: str) -> str:
    """What every name of a stack begins with: `PROJECT-STACK`.

    A digest is added unless both are single plain words: with `gpu` and `gpu-pr42` as stacks, the names of one could
    otherwise be those of the other (`slipway-gpu-pr42-logs`).
    """
    whole = f"{project}-{stack}"
    if all(_PLAIN.fullmatch(part) for part in (project, stack)) and len(whole) <= STEM_LONGEST:
        return whole
    readable = _clean(whole)
    if not readable[:1].isalpha():  # RDS and others want a letter first
        readable = f"s-{readable}"
    return _with_digest(readable, f"{project}/{stack}", STEM_LONGEST)


def digest(text: str, length: int = _DIGEST) -> str:
    """A few characters that change when the text does."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@dataclass(frozen=True)
class Names:
    """The names of one stack in one account and region."""

    stem: str
    """From `stem()`."""
    account: str
    region: str

    @property
    def partition(self) -> str:
        """`aws`, or the partition that the region lies in."""
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rsplit("-", 2)[0], "aws")

    def name(self, role: str, longest: int = 63) -> str:
        """`STEM-ROLE` in lower-case letters, digits and hyphens; where it is longer, cut and with a digest."""
        whole = f"{self.stem}-{role}"
        if len(whole) <= longest and whole == _clean(whole):
            return whole
        return _with_digest(_clean(whole), whole, longest)

    def role(self, purpose: str) -> str:
        """The name of an IAM role."""
        return self.name(purpose, _ROLE_LONGEST)

    def role_arn(self, purpose: str) -> str:
        """The ARN of the role of that name."""
        return self.arn("iam", f"role/{self.role(purpose)}")

    def bucket(self, role: str) -> str:
        """The name of a bucket: those are shared by everybody, so account and region are in it."""
        tail = f"-{self.account}-{self.region}"
        return self.name(role, 63 - len(tail)) + tail

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region; S3's have neither, IAM's no region."""
        account = "" if service in _NO_ACCOUNT else self.account
        region = "" if service in _NO_ACCOUNT | _NO_REGION else self.region
        return f"arn:{self.partition}:{service}:{region}:{account}:{resource}"

    def managed_policy(self, name: str) -> str:
        """The ARN of a policy that AWS keeps; `name` with its path, as `service-role/AmazonEBSCSIDriverPolicy`."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"


def _clean(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _with_digest(text: str, whole: str, longest: int) -> str:
    return f"{text[: longest - _DIGEST - 1].strip('-')}-{digest(whole)}"
