"""AWS Budgets, of which moto has half: budgets, their notifications and subscribers, changed in place, tagged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.standins.aws_server.faults import Fault
from tests.standins.aws_server.wire import now
from tests.standins.aws_server.world import ACCOUNT

Members = dict[str, Any]
END = datetime(2087, 6, 15, tzinfo=UTC)
MOST_SUBSCRIBERS = 11
NONE_SPENT = {"ActualSpend": {"Amount": "0", "Unit": "USD"}}
COST_TYPES = {
    **dict.fromkeys(("IncludeTax", "IncludeSubscription", "IncludeRefund", "IncludeCredit", "IncludeUpfront"), True),
    **dict.fromkeys(("IncludeRecurring", "IncludeOtherSubscription", "IncludeSupport", "IncludeDiscount"), True),
    "UseBlended": False,
    "UseAmortized": False,
}


class Budgets:
    """The service; it is global."""

    def __init__(self) -> None:
        self._budgets: dict[str, Members] = {}
        self._notifications: dict[str, list[tuple[Members, list[Members]]]] = {}
        self._tags: dict[str, dict[str, str]] = {}

    def create_budget(self, given: Members) -> Members:
        name = given["Budget"]["BudgetName"]
        if name in self._budgets:
            raise Fault("DuplicateRecordException", f"Error creating budget: {name} - the budget already exists.")
        self._budgets[name] = _whole(given["Budget"])
        self._notifications[name] = []
        for entry in given.get("NotificationsWithSubscribers", []):
            self.create_notification({**entry, "BudgetName": name})
        self._tags[_arn(name)] = {tag["Key"]: tag["Value"] for tag in given.get("ResourceTags", [])}
        return {}

    def update_budget(self, given: Members) -> Members:
        self._budget(given["NewBudget"]["BudgetName"])
        self._budgets[given["NewBudget"]["BudgetName"]] = _whole(given["NewBudget"])
        return {}

    def describe_budget(self, given: Members) -> Members:
        return {"Budget": self._budget(given["BudgetName"])}

    def describe_budgets(self, given: Members) -> Members:
        return {"Budgets": [self._budgets[name] for name in sorted(self._budgets)]}

    def delete_budget(self, given: Members) -> Members:
        self._budget(given["BudgetName"])
        self._budgets.pop(given["BudgetName"])
        self._notifications.pop(given["BudgetName"])
        self._tags.pop(_arn(given["BudgetName"]))
        return {}

    def create_notification(self, given: Members) -> Members:
        held = self._of(given["BudgetName"])
        if any(entry == _normal(given["Notification"]) for entry, _ in held):
            raise Fault("DuplicateRecordException", "Error creating notification: it already exists.")
        if not 1 <= len(given["Subscribers"]) <= MOST_SUBSCRIBERS:
            raise Fault("InvalidParameterException", f"a notification has 1 to {MOST_SUBSCRIBERS} subscribers")
        held.append((_normal(given["Notification"]), list(given["Subscribers"])))
        return {}

    def update_notification(self, given: Members) -> Members:
        index = self._index(given["BudgetName"], given["OldNotification"])
        held = self._of(given["BudgetName"])
        held[index] = (_normal(given["NewNotification"]), held[index][1])
        return {}

    def delete_notification(self, given: Members) -> Members:
        self._of(given["BudgetName"]).pop(self._index(given["BudgetName"], given["Notification"]))
        return {}

    def describe_notifications_for_budget(self, given: Members) -> Members:
        found = [{**entry, "NotificationState": "OK"} for entry, _ in self._of(given["BudgetName"])]
        return {"Notifications": found}

    def describe_subscribers_for_notification(self, given: Members) -> Members:
        index = self._index(given["BudgetName"], given["Notification"])
        return {"Subscribers": self._of(given["BudgetName"])[index][1]}

    def create_subscriber(self, given: Members) -> Members:
        index = self._index(given["BudgetName"], given["Notification"])
        subscribers = self._of(given["BudgetName"])[index][1]
        if given["Subscriber"] in subscribers:
            raise Fault("DuplicateRecordException", f"{given['Subscriber']['Address']} is subscribed already")
        subscribers.append(given["Subscriber"])
        return {}

    def delete_subscriber(self, given: Members) -> Members:
        index = self._index(given["BudgetName"], given["Notification"])
        subscribers = self._of(given["BudgetName"])[index][1]
        if given["Subscriber"] not in subscribers:
            raise Fault("NotFoundException", f"{given['Subscriber']['Address']} is not subscribed")
        subscribers.remove(given["Subscriber"])
        return {}

    def list_tags_for_resource(self, given: Members) -> Members:
        return {"ResourceTags": [{"Key": key, "Value": value} for key, value in self._tagged(given).items()]}

    def tag_resource(self, given: Members) -> Members:
        self._tagged(given).update({tag["Key"]: tag["Value"] for tag in given["ResourceTags"]})
        return {}

    def untag_resource(self, given: Members) -> Members:
        for key in given["ResourceTagKeys"]:
            self._tagged(given).pop(key, None)
        return {}

    def _budget(self, name: str) -> Members:
        if name not in self._budgets:
            raise Fault("NotFoundException", f"Unable to get budget: {name} - the budget doesn't exist.")
        return self._budgets[name]

    def _of(self, name: str) -> list[tuple[Members, list[Members]]]:
        self._budget(name)
        return self._notifications[name]

    def _index(self, name: str, notification: Members) -> int:
        for index, (entry, _) in enumerate(self._of(name)):
            if entry == _normal(notification):
                return index
        raise Fault("NotFoundException", f"Unable to get the notification of {name}: it does not exist.")

    def _tagged(self, given: Members) -> dict[str, str]:
        if given["ResourceARN"] not in self._tags:
            raise Fault("NotFoundException", f"{given['ResourceARN']} does not exist")
        return self._tags[given["ResourceARN"]]


def _arn(name: str) -> str:
    return f"arn:aws:budgets::{ACCOUNT}:budget/{name}"


def _whole(budget: Members) -> Members:
    """Return a budget as the service gives it back, with what it fills in."""
    if not budget.get("BudgetLimit") and not budget.get("PlannedBudgetLimits") and not budget.get("AutoAdjustData"):
        raise Fault("InvalidParameterException", "the budget has no limit")
    if "CostFilters" in budget and "FilterExpression" in budget:
        raise Fault("InvalidParameterException", "a budget has cost filters or a filter expression, not both")
    today = now()
    first = datetime(today.year, today.month, 1, tzinfo=UTC)
    return {
        "CostTypes": COST_TYPES,
        "CalculatedSpend": NONE_SPENT,
        **budget,
        "TimePeriod": {"Start": first, "End": END, **budget.get("TimePeriod", {})},
        "LastUpdatedTime": today,
    }


def _normal(notification: Members) -> Members:
    """Return what makes a notification the same: not its alarm's state; the kind of threshold has a default."""
    kept = {key: value for key, value in notification.items() if key != "NotificationState"}
    return {"ThresholdType": "PERCENTAGE", **kept, "Threshold": float(notification["Threshold"])}
