"""The budget of an environment: what its tags cost in a month, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, ResourceOptions

from components.aws.naming import Names


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    names: Names
    monthly_usd: float
    notify: Sequence[str]
    """E-mail addresses."""
    tags: Mapping[str, str]
    """What is counted: everything that carries all of these tags."""
    key: Input[str] | None = None
    """Key of the topic; its policy must let AWS Budgets use it, as `Keys.logs` does."""


class Budget(ComponentResource):
    """A monthly budget with an alarm before and one after it is spent."""

    topic_arn: Output[str]

    def __init__(self, name: str, args: BudgetArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:Budget", name, None, opts)
        raise NotImplementedError
