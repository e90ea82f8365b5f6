"""AWS Budgets: a budget, and whom it tells when."""

from __future__ import annotations

from typing import Any

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_plugin.tagging import by_arn, from_pairs

_NOTICE = {
    "notificationType": F(required=True),
    "comparisonOperator": F(required=True),
    "threshold": F(required=True),
    "thresholdType": F(required=True),
    "subscriberEmailAddresses": F(unordered=True),
    "subscriberSnsTopicArns": F(unordered=True),
}
_CHOICE = {"key": F(), "values": F(unordered=True), "matchOptions": F(unordered=True)}
_LEAVES = {"tags": F(sub=_CHOICE), "dimensions": F(sub=_CHOICE)}
_EXPRESSION = {**_LEAVES, "ands": F(api="And", many=True, sub=_LEAVES)}


def _amount(value: Any) -> Any:
    try:
        return float(value)
    except ValueError:
        return value


def _subscribers(notice: Values) -> list[Values]:
    kinds = (("EMAIL", "subscriberEmailAddresses"), ("SNS", "subscriberSnsTopicArns"))
    return [
        {"SubscriptionType": kind, "Address": address} for kind, name in kinds for address in notice.get(name) or ()
    ]


def _notification(notice: Values) -> Values:
    names = ("notificationType", "comparisonOperator", "threshold", "thresholdType")
    return {name[:1].upper() + name[1:]: notice[name] for name in names}


def _where(work: Work) -> Values:
    account, _, name = work.id.partition(":")
    return {"AccountId": account, "BudgetName": name}


def _budget(work: Work) -> Values:
    return work.all_but("accountId", "notifications")


def _create(work: Work) -> str:
    account = str(work.value("accountId") or work.account)
    notices = [
        {"Notification": _notification(notice), "Subscribers": _subscribers(notice)}
        for notice in work.value("notifications") or ()
    ]
    told = {"NotificationsWithSubscribers": notices} if notices else {}
    work.call("create_budget", AccountId=account, Budget=_budget(work), **told, **work.tags)
    return f"{account}:{work.value('name')}"


def _read(work: Work) -> Values:
    where = _where(work)
    found = dict(work.call("describe_budget", **where)["Budget"])
    notices = []
    for one in work.call("describe_notifications_for_budget", **where).get("Notifications", []):
        named = {key: one[key] for key in ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")}
        people = work.call("describe_subscribers_for_notification", **where, Notification=named)["Subscribers"]
        notice = {
            "SubscriberEmailAddresses": [man["Address"] for man in people if man["SubscriptionType"] == "EMAIL"],
            "SubscriberSnsTopicArns": [man["Address"] for man in people if man["SubscriptionType"] == "SNS"],
        }
        notices.append({**named, **notice})
    return {**found, "AccountId": where["AccountId"], "Notifications": notices}


def _update(work: Work) -> None:
    where = _where(work)
    work.call("update_budget", AccountId=where["AccountId"], NewBudget=_budget(work))
    if work.touched("notifications"):
        for notice in work.old.get("notifications") or ():
            work.call("delete_notification", **where, Notification=_notification(notice))
        for notice in work.value("notifications") or ():
            people = _subscribers(notice)
            work.call("create_notification", **where, Notification=_notification(notice), Subscribers=people)


def _arn(work: Work) -> str:
    account, _, name = work.id.partition(":")
    return f"arn:{work.partition}:budgets::{account}:budget/{name}"


BUDGET = Row(
    token="aws:budgets/budget:Budget",
    service="budgets",
    source="internal/service/budgets/budget.go",
    fields={
        "name": F(api="BudgetName", new=True),
        "accountId": F(new=True, computed=True),
        "budgetType": F(required=True),
        "timeUnit": F(required=True),
        "limitAmount": F(api="BudgetLimit.Amount", computed=True, form=_amount),
        "limitUnit": F(api="BudgetLimit.Unit", computed=True),
        "metrics": F(to=lambda value: [value], back=lambda found: found[0] if found else None),
        "filterExpression": F(sub=_EXPRESSION),
        "notifications": F(many=True, unordered=True, sub=_NOTICE),
    },
    computed={"arn": lambda work, _: _arn(work)},
    create=_create,
    read=_read,
    update=_update,
    delete=lambda work: work.call("delete_budget", **_where(work)),
    tagging=by_arn(
        _arn,
        given="ResourceTags",
        resource="ResourceARN",
        tags="ResourceTags",
        keys="ResourceTagKeys",
        listed=lambda work, _: from_pairs(
            work.call("list_tags_for_resource", ResourceARN=_arn(work)).get("ResourceTags")
        ),
    ),
    name_field="name",
    regional=False,
)

ROWS = (BUDGET,)
