"""The rules inside the program, so that a plain `pulumi up` is refused as well.

Whatever the program declares while `enforced` lasts is looked at; at its end every violation is raised at once, before
the engine has been told of a single resource.  Values that are not known there are the policy pack's to look at.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi
from pulumi.runtime import register_stack_transformation

from infra.policies.model import Declared, Violation, posture
from infra.policies.rules import TYPES, violations
from infra.policies.wire import properties


class RulesBroken(pulumi.RunError):
    """What the program declares breaks rules; the text names each resource, property, reason and fix."""

    def __init__(self, broken: Sequence[Violation]) -> None:
        lines = "\n".join(f"- {violation}" for violation in broken)
        super().__init__(f"{len(broken)} rule(s) of infra/policies are broken, so nothing is changed:\n{lines}")


@contextlib.contextmanager
def enforced(settings: Mapping[str, Any]) -> Iterator[list[Declared]]:
    """Hold what is declared inside against the rules. Needs the running loop that programs run in.

    Args:
        settings: the keys under `slipway:` without that prefix.

    Yields:
        what rules look at, as it is declared.

    Raises:
        RulesBroken: with every violation; nothing was registered then.
    """
    declared: list[Declared] = []
    # The SDK registers what was declared even when the program raises. So resources without a parent wait for the
    # verdict as if for another resource, and children wait for their parents.
    verdict: asyncio.Future[list[pulumi.Resource]] = asyncio.get_running_loop().create_future()
    gate: pulumi.Output[list[pulumi.Resource]] = pulumi.Output.from_input(verdict)

    def look(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if verdict.done():
            return None
        if args.type_ in TYPES:
            found = properties(args.resource, args.props)
            declared.append(Declared(type=args.type_, name=args.name, properties=found))
        if args.opts.parent is not None:
            return None
        waiting = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(depends_on=gate))
        return pulumi.ResourceTransformationResult(args.props, waiting)

    register_stack_transformation(look)
    try:
        yield declared
    except BaseException:
        verdict.set_result([])
        raise
    broken = list(violations(declared, posture(settings)))
    if broken:
        refusal = RulesBroken(broken)
        verdict.set_exception(refusal)
        raise refusal
    verdict.set_result([])
