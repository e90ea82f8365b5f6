"""The rules inside the program, so that a plain `pulumi up` is refused as well.

Whatever the program declares while `enforced` lasts is looked at; at its end every violation is raised at once, before
the engine has been told of a single resource.  Values that are not known there are the policy pack's to look at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
from pulumi.runtime import register_stack_transformation

from infra.policies.model import Declared, posture
from infra.policies.rules import TYPES, violations
from infra.policies.wire import properties


class RulesBroken(pulumi.RunError):
    """What the program declares breaks rules; the text names each resource, property, reason and fix."""


@contextlib.contextmanager
def enforced(settings: Mapping[str, Any]) -> Iterator[list[Declared]]:
    """Hold what is declared inside against the rules.

    Args:
        settings: the keys under `slipway:` without that prefix.

    Yields:
        what rules look at, as it is declared.

    Raises:
        RulesBroken: with every violation; nothing was registered then.
    """
    declared: list[Declared] = []
    open_ = True

    def record(args: pulumi.ResourceTransformationArgs) -> None:
        if open_ and args.type_ in TYPES:
            found = properties(args.resource, args.props)
            declared.append(Declared(type=args.type_, name=args.name, properties=found))

    register_stack_transformation(record)
    try:
        yield declared
    finally:
        open_ = False
    broken = [str(violation) for violation in violations(declared, posture(settings))]
    if broken:
        raise RulesBroken(
            "\n".join([f"what this stack declares breaks {len(broken)} rule(s) of infra/policies:", *broken])
        )
