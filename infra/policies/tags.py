"""Rules on tags: whose a resource is, what it is paid from, when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.policies.model import UNKNOWN, Declared, Posture, Rule, Violation, from_text

PROVIDER = "pulumi:providers:aws"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
REQUIRED = ("slipway:project", "slipway:stack", "slipway:owner", "slipway:cost-centre")
END = "slipway:expires-at"
_LAUNCHED = ("instance", "volume")


def required(posture: Posture) -> tuple[str, ...]:
    """Return the tags that everything must carry."""
    return (*REQUIRED, END) if posture.ephemeral else REQUIRED


def _missing(tags: Any, posture: Posture) -> list[str]:
    present = tags if isinstance(tags, Mapping) else {}
    return [key for key in required(posture) if present.get(key) in (None, "")]


def default_tags(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """The AWS provider puts the required tags on everything that it makes."""
    given = from_text(resource.at("defaultTags"))  # providers' settings travel as texts
    tags = given.get("tags") if isinstance(given, Mapping) else given
    if UNKNOWN in (given, tags):
        return
    if missing := _missing(tags, posture):
        yield Violation(
            resource=resource, property="defaultTags.tags", value=tags,
            reason="whose its resources are and what they are paid from could not be told",
            fix=f"add {', '.join(missing)}",
        )  # fmt: skip


def launched_tags(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """Instances and volumes carry the required tags too: the provider's own do not reach them."""
    if not resource.knows("tagSpecifications"):
        return
    specifications = [item for _, item in resource.items("tagSpecifications") if isinstance(item, Mapping)]
    if any(UNKNOWN in (item.get("resourceType"), item.get("tags")) for item in specifications):
        return
    by_kind = {item.get("resourceType"): item.get("tags") for item in specifications}
    for kind in _LAUNCHED:
        if missing := _missing(by_kind.get(kind), posture):
            yield Violation(
                resource=resource, property=f"tagSpecifications of {kind}", value=by_kind.get(kind),
                reason="the most expensive things of an environment would be nobody's",
                fix=f"add {', '.join(missing)}",
            )  # fmt: skip


RULES = (
    Rule(name="default-tags", about="Everything is tagged", types=frozenset({PROVIDER}), check=default_tags),
    Rule(
        name="launched-tags", about="Instances and disks are tagged", types=frozenset({TEMPLATE}), check=launched_tags
    ),
)
