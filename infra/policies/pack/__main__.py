"""The rules of infra/policies as a policy pack: the engine shows it every resource, with all that is known by then.

Owns the way between the engine's form of a resource and the rules'.  What the stack file says, the engine tells the
pack before it asks anything; the SDK has no public place for it, so the pack listens where the SDK does.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[3])  # the packages lie there; nothing here is imported by name
gc.set_threshold(200_000)  # as the program does: what is loaded stays

from pulumi.runtime import proto  # noqa: E402  the path is set above
from pulumi_policy import (  # noqa: E402  the path is set above
    EnforcementLevel,
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
    policy,
)
from pulumi_policy.proxy import UnknownValueError  # noqa: E402

from infra.policies.model import UNKNOWN, Declared, Posture, Rule, StackRule, from_text, posture  # noqa: E402
from infra.policies.rules import RULES, STACK_RULES  # noqa: E402

NAME = "slipway"
ONE = frozenset[str]().union(*(rule.types for rule in RULES))
SEVERAL = frozenset[str]().union(*(rule.types for rule in STACK_RULES))


class StackFile:
    """What the engine told of the stack's config."""

    def __init__(self) -> None:
        self._posture: Posture | None = None

    def told(self, project: str, config: Mapping[str, str]) -> None:
        """Take the config that the engine tells: `PROJECT:KEY`, values as texts."""
        prefix = f"{project}:"
        own = {key.removeprefix(prefix): from_text(text) for key, text in config.items() if key.startswith(prefix)}
        self._posture = posture(own)

    @property
    def posture(self) -> Posture:
        """What the rules depend on.

        Raises:
            RuntimeError: the engine has not told; judging without it would be guessing.
        """
        if self._posture is None:
            raise RuntimeError("the engine did not tell this pack the stack's config: no rule can be judged")
        return self._posture


def attend(stack_file: StackFile) -> None:
    """Stand in front of the SDK's servicer.

    It keeps the stack's tags and drops its config.  And it reads a resource anew for every policy, which takes a
    minute for the manifests of a cluster: what no rule looks at is not shown to it.
    """
    servicer = policy._PolicyAnalyzerServicer  # noqa: SLF001  the only place that is told, and asked
    configure, analyze, analyze_stack = servicer.ConfigureStack, servicer.Analyze, servicer.AnalyzeStack

    def hear(self: Any, request: Any, context: Any) -> Any:
        stack_file.told(request.project, request.config)
        return configure(self, request, context)

    def judge(self: Any, request: Any, context: Any) -> Any:
        return analyze(self, request, context) if request.type in ONE else proto.AnalyzeResponse()  # type: ignore[no-untyped-call]

    def judge_stack(self: Any, request: Any, context: Any) -> Any:
        seen = [item for item in request.resources if item.type in SEVERAL]
        return analyze_stack(self, proto.AnalyzeStackRequest(resources=seen), context)  # type: ignore[no-untyped-call]

    servicer.ConfigureStack = hear  # type: ignore[method-assign, assignment]
    servicer.Analyze = judge  # type: ignore[method-assign]
    servicer.AnalyzeStack = judge_stack  # type: ignore[method-assign]


def plain(value: Any) -> Any:
    """Bring a value that the SDK guards against unknowns into the form that rules read."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def resource_policy(rule: Rule, stack_file: StackFile) -> Policy:
    """Return a rule over one resource as a policy."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type in rule.types:
            declared = Declared(type=args.resource_type, name=args.name, properties=plain(args.props), urn=args.urn)
            for violation in rule.check(declared, stack_file.posture):
                report(str(violation), args.urn)

    return ResourceValidationPolicy(rule.name, rule.about, validate, EnforcementLevel.MANDATORY)


def stack_policy(rule: StackRule, stack_file: StackFile) -> Policy:
    """Return a rule over several resources as a policy."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        found = [
            Declared(
                type=item.resource_type,
                name=item.name,
                properties=plain(item.props),
                links={key: [other.name for other in others] for key, others in item.property_dependencies.items()},
                urn=item.urn,
            )
            for item in args.resources
            if item.resource_type in rule.types
        ]
        for violation in rule.check(found, stack_file.posture):
            report(str(violation), violation.resource.urn)

    return StackValidationPolicy(rule.name, rule.about, validate, EnforcementLevel.MANDATORY)


def policies(stack_file: StackFile) -> list[Policy]:
    """Return every rule as a policy."""
    return [
        *(resource_policy(rule, stack_file) for rule in RULES),
        *(stack_policy(rule, stack_file) for rule in STACK_RULES),
    ]


def main() -> None:
    """Serve the pack until the engine ends it."""
    stack_file = StackFile()
    attend(stack_file)
    PolicyPack(NAME, policies(stack_file), EnforcementLevel.MANDATORY)


if __name__ == "__main__":
    main()
