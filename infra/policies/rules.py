"""All rules, and how they are applied to what was declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.policies import cluster, companions, durability, encryption, exposure, iam, tags
from infra.policies.model import Declared, Posture, Rule, StackRule, Violation

RULES: tuple[Rule, ...] = (
    *exposure.RULES,
    *encryption.RULES,
    *iam.RULES,
    *cluster.RULES,
    *durability.RULES,
    *tags.RULES,
)
STACK_RULES: tuple[StackRule, ...] = companions.STACK_RULES
TYPES: frozenset[str] = frozenset[str]().union(*(rule.types for rule in RULES), *(rule.types for rule in STACK_RULES))
"""Every type that some rule looks at; anything else need not be brought into form."""


def violations(resources: Sequence[Declared], posture: Posture) -> Iterator[Violation]:
    """Find everything that breaks a rule, in the order in which it was declared."""
    for resource in resources:
        for rule in RULES:
            if resource.type in rule.types:
                yield from rule.check(resource, posture)
    for stack_rule in STACK_RULES:
        yield from stack_rule.check([item for item in resources if item.type in stack_rule.types], posture)
