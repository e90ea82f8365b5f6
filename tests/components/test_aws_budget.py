"""The budget: what it counts, when it alarms, and who may speak in its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pulumi import ResourceOptions

from components.aws.budget import Budget, BudgetArgs, filter_expression
from tests.components.aws_blocks import KEY, NAMES, assert_well_formed, on_aws, statements
from tests.mock_engine import Engine

TAGS = {"slipway:stack": "prod", "slipway:project": "slipway"}
ARGS = BudgetArgs(names=NAMES, monthly_usd=1500, notify=["ml@example.com", "ops@example.com"], tags=TAGS, key=KEY)


def made(args: BudgetArgs) -> Callable[[ResourceOptions], Budget]:
    return lambda opts: Budget("budget", args, opts)


@pytest.fixture(scope="module")
def budget() -> Engine:
    return on_aws(made(ARGS))


def test_a_budget_is_the_same_in_a_preview_and_twice() -> None:
    assert_well_formed(made(ARGS))


def test_the_amount_is_a_month_s_in_dollars(budget: Engine) -> None:
    found = budget.one("aws:budgets/budget:Budget").inputs
    assert (found["limitAmount"], found["limitUnit"], found["timeUnit"]) == ("1500.00", "USD", "MONTHLY")
    assert found["budgetType"] == "COST"
    assert found["accountId"] == NAMES.account, "asked for otherwise, which an offline preview cannot"
    assert found["metrics"] == "UnblendedCost", "AWS wants it with a filter expression"


def test_only_what_carries_every_tag_is_counted(budget: Engine) -> None:
    both = budget.one("aws:budgets/budget:Budget").inputs["filterExpression"]["ands"]
    assert [part["tags"] for part in both] == [
        {"key": "slipway:project", "values": ["slipway"], "matchOptions": ["EQUALS"]},
        {"key": "slipway:stack", "values": ["prod"], "matchOptions": ["EQUALS"]},
    ]


def test_a_single_tag_needs_no_conjunction() -> None:
    """AWS refuses an `And` with one part."""
    assert filter_expression({"a": "b"}) == {"tags": {"key": "a", "values": ["b"], "match_options": ["EQUALS"]}}


def test_it_alarms_before_the_money_is_gone_and_when_it_is(budget: Engine) -> None:
    alarms = budget.one("aws:budgets/budget:Budget").inputs["notifications"]
    assert [(alarm["notificationType"], alarm["threshold"]) for alarm in alarms] == [
        ("FORECASTED", 80),
        ("ACTUAL", 100),
    ]
    for alarm in alarms:
        assert alarm["thresholdType"] == "PERCENTAGE"
        assert alarm["subscriberSnsTopicArns"] == ["arn:budget-alarms"]


def test_each_address_hears_of_it_once() -> None:
    engine = on_aws(made(replace(ARGS, notify=["ml@example.com", "ml@example.com", "ops@example.com"])))
    found = [item.inputs for item in engine.all("aws:sns/topicSubscription:TopicSubscription")]
    assert sorted(item["endpoint"] for item in found) == ["ml@example.com", "ops@example.com"]
    assert {(item["protocol"], item["topic"]) for item in found} == {("email", "arn:budget-alarms")}


def test_another_address_makes_no_old_one_confirm_again() -> None:
    def names(engine: Engine) -> set[str]:
        return {item.name for item in engine.all("aws:sns/topicSubscription:TopicSubscription")}

    assert names(on_aws(made(ARGS))) < names(on_aws(made(replace(ARGS, notify=["a@example.com", *ARGS.notify]))))


def test_only_budgets_of_this_account_publish_and_only_over_tls(budget: Engine) -> None:
    found = statements(budget.one("aws:sns/topicPolicy:TopicPolicy"))
    allowed = [statement for statement in found.values() if statement["Effect"] == "Allow"]
    assert [statement["Principal"] for statement in allowed] == [{"Service": "budgets.amazonaws.com"}]
    assert allowed[0]["Action"] == "sns:Publish"
    assert allowed[0]["Resource"] == "arn:aws:sns:eu-central-1:123456789012:slipway-prod-budget"
    assert allowed[0]["Condition"]["StringEquals"] == {"aws:SourceAccount": NAMES.account}
    assert found["TLSOnly"]["Effect"] == "Deny"
    assert "budget-alarms-policy" in budget.one("aws:budgets/budget:Budget").dependencies, "AWS tries it at once"


def test_the_messages_are_encrypted(budget: Engine) -> None:
    topic = budget.one("aws:sns/topic:Topic").inputs
    assert (topic["kmsMasterKeyId"], topic["name"]) == (KEY, "slipway-prod-budget")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"monthly_usd": 0}, "monthly_usd is 0: a budget is more than nothing"),
        ({"notify": []}, "notify is empty: nobody would hear of it"),
        ({"notify": ["ml@example.com", "ml"]}, "notify has 'ml': not an e-mail address"),
        ({"tags": {}}, "tags is empty: the budget would count the whole account"),
        ({"monthly_usd": -1, "tags": {}}, "monthly_usd is -1.*tags is empty"),
    ],
)
def test_a_budget_that_helps_nobody_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        on_aws(made(replace(ARGS, **change)))  # type: ignore[arg-type]
