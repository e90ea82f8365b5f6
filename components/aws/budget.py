"""The budget of an environment: what its tags cost in a month, and who hears of it.

It stops nothing: AWS reports costs with hours of delay. The tags must be active as cost allocation tags in the
account that pays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws import budgets, sns

from components.aws.naming import Names, digest

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# what it would cost at this rate, while something can be done about it; then what it has cost
_ALARMS = (("FORECASTED", 80), ("ACTUAL", 100))


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    """How much, of what, and who is told."""

    names: Names
    monthly_usd: float
    notify: Sequence[str]
    """E-mail addresses; each confirms once, by a link that AWS sends."""
    tags: Mapping[str, str]
    """What is counted: everything that carries all of these tags."""
    key: Input[str] | None = None
    """Key of the topic; its policy must let AWS Budgets use it, as `Keys.logs` does."""


class Budget(ComponentResource):
    """A monthly budget with an alarm before and one after it is spent."""

    topic_arn: Output[str]

    def __init__(self, name: str, args: BudgetArgs, opts: ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:aws:Budget", name, None, opts)
        child = ResourceOptions(parent=self)
        topic = sns.Topic(f"{name}-alarms", name=args.names.name("budget"), kms_master_key_id=args.key, opts=child)
        policy = sns.TopicPolicy(
            f"{name}-alarms-policy", arn=topic.arn, policy=json.dumps(topic_policy(args.names)), opts=child
        )
        for address in sorted(set(args.notify)):
            sns.TopicSubscription(
                f"{name}-notify-{digest(address)}", topic=topic.arn, protocol="email", endpoint=address, opts=child
            )
        budgets.Budget(
            f"{name}-month",
            name=args.names.name("month"),
            account_id=args.names.account,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{args.monthly_usd:.2f}",
            limit_unit="USD",
            metrics="UnblendedCost",
            filter_expression=filter_expression(args.tags),
            notifications=[
                {
                    "notification_type": kind,
                    "comparison_operator": "GREATER_THAN",
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_sns_topic_arns": [topic.arn],
                }
                for kind, percent in _ALARMS
            ],
            # AWS tries the topic when it makes the budget: it must already let AWS Budgets publish
            opts=ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.topic_arn = topic.arn
        self.register_outputs({"topic_arn": self.topic_arn})


def filter_expression(tags: Mapping[str, str]) -> dict[str, Any]:
    """Costs of what carries every one of the tags."""
    each = [
        {"tags": {"key": key, "values": [value], "match_options": ["EQUALS"]}} for key, value in sorted(tags.items())
    ]
    return each[0] if len(each) == 1 else {"ands": each}


def topic_policy(names: Names) -> dict[str, Any]:
    """AWS Budgets of this account publishes; nobody does without TLS."""
    topic = names.arn("sns", names.name("budget"))
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Budgets",
                "Effect": "Allow",
                "Principal": {"Service": "budgets.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": names.account},
                    "ArnLike": {"aws:SourceArn": names.arn("budgets", "*")},
                },
            },
            {
                "Sid": "TLSOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def _check(args: BudgetArgs) -> None:
    wrong = []
    if args.monthly_usd <= 0:
        wrong.append(f"monthly_usd is {args.monthly_usd}: a budget is more than nothing; say how much a month may cost")
    if not args.notify:
        wrong.append("notify is empty: nobody would hear of it; give at least one e-mail address")
    wrong += [
        f"notify has {address!r}: not an e-mail address; write NAME@DOMAIN"
        for address in args.notify
        if not _ADDRESS.fullmatch(address)
    ]
    if not args.tags:
        wrong.append("tags is empty: the budget would count the whole account; give the environment's tags")
    if wrong:
        raise ValueError("budget: " + "; ".join(wrong))
