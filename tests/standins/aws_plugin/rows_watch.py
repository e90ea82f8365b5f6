"""What watches: log groups, topics and budgets."""

from __future__ import annotations

import json
from typing import Any

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_plugin.tagging import by_arn, from_pairs, own_id


def _create_log_group(work: Work) -> str:
    work.call("create_log_group", **work.params("name", "kmsKeyId"), **work.tags)
    work.id = str(work.value("name"))
    _retain(work)
    return work.id


def _retain(work: Work) -> None:
    days = work.params("retentionInDays")
    if days.get("retentionInDays"):
        work.call("put_retention_policy", logGroupName=work.id, **days)
    elif work.changed:
        work.call("delete_retention_policy", logGroupName=work.id)


def _update_log_group(work: Work) -> None:
    if work.touched("retentionInDays"):
        _retain(work)
    if work.touched("kmsKeyId") and work.new.get("kmsKeyId"):
        work.call("associate_kms_key", logGroupName=work.id, **work.params("kmsKeyId"))
    elif work.touched("kmsKeyId"):
        work.call("disassociate_kms_key", logGroupName=work.id)


def _read_log_group(work: Work) -> Values | None:
    page: Values = {}
    while True:
        found = work.call("describe_log_groups", logGroupNamePrefix=work.id, **page)
        for group in found["logGroups"]:
            if group["logGroupName"] == work.id:
                return {**group, "arn": str(group["arn"]).removesuffix(":*")}
        if not found.get("nextToken"):
            return None
        page = {"nextToken": found["nextToken"]}


def _delete_log_group(work: Work) -> None:
    if not work.old.get("skipDestroy"):
        work.call("delete_log_group", logGroupName=work.id)


LOG_GROUP = Row(
    token="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    source="internal/service/logs/group.go",
    camel=True,
    fields={
        "name": F(api="logGroupName", new=True),
        "kmsKeyId": F(),
        "retentionInDays": F(default=0),
        "skipDestroy": F(local=True, default=False),
    },
    computed={"arn": "arn"},
    create=_create_log_group,
    read=_read_log_group,
    update=_update_log_group,
    delete=_delete_log_group,
    tagging=by_arn(
        lambda work: str(work.old["arn"]),
        given="tags",
        resource="resourceArn",
        tags="tags",
        keys="tagKeys",
        listed=lambda work, found: work.call("list_tags_for_resource", resourceArn=found["arn"]).get("tags") or {},
        plain=True,
    ),
    name_field="name",
)

_SNS = "internal/service/sns/"
_TOPIC = {
    "displayName": F(api="Attributes.DisplayName"),
    "kmsMasterKeyId": F(api="Attributes.KmsMasterKeyId"),
}


def _set_topic(work: Work) -> None:
    for name, field in _TOPIC.items():
        if work.touched(name):
            value = work.params(name).get("Attributes", {})
            key = field.api.removeprefix("Attributes.")
            work.call("set_topic_attributes", TopicArn=work.id, AttributeName=key, AttributeValue=value.get(key, ""))


TOPIC = Row(
    token="aws:sns/topic:Topic",
    service="sns",
    source=_SNS + "topic.go",
    fields={"name": F(new=True), **_TOPIC},
    computed={"arn": "Attributes.TopicArn", "owner": "Attributes.Owner"},
    create=lambda work: str(work.call("create_topic", **work.all_but(), **work.tags)["TopicArn"]),
    read=lambda work: {
        **work.call("get_topic_attributes", TopicArn=work.id),
        "Name": work.id.rsplit(":", 1)[-1],
    },
    update=_set_topic,
    delete=lambda work: work.call("delete_topic", TopicArn=work.id),
    tagging=by_arn(
        own_id,
        given="Tags",
        resource="ResourceArn",
        tags="Tags",
        keys="TagKeys",
        listed=lambda work, _: from_pairs(work.call("list_tags_for_resource", ResourceArn=work.id).get("Tags")),
    ),
    name_field="name",
)


def _put_policy(work: Work, policy: Any = None) -> str:
    document = policy or work.value("policy")
    topic = str(work.value("arn"))
    work.call("set_topic_attributes", TopicArn=topic, AttributeName="Policy", AttributeValue=document)
    return topic


def _reset_policy(work: Work) -> None:
    """A topic is never without a policy: what comes back lets its owner use it (topic_policy.go)."""
    actions = ("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic")
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in (*actions, "Subscribe", "ListSubscriptionsByTopic", "Publish")],
        "Resource": work.id,
        "Condition": {"StringEquals": {"AWS:SourceOwner": work.account}},
    }
    _put_policy(work, json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}))


TOPIC_POLICY = Row(
    token="aws:sns/topicPolicy:TopicPolicy",
    service="sns",
    source=_SNS + "topic_policy.go",
    fields={
        "arn": F(api="Attributes.TopicArn", new=True, required=True),
        "policy": F(api="Attributes.Policy", required=True, text=True),
    },
    computed={"owner": "Attributes.Owner"},
    create=_put_policy,
    read=lambda work: work.call("get_topic_attributes", TopicArn=work.id),
    update=_put_policy,
    delete=_reset_policy,
)


def _subscribe(work: Work) -> str:
    # the address confirms later; AWS gives the ARN at once where it is asked to
    return str(work.call("subscribe", **work.all_but(), ReturnSubscriptionArn=True)["SubscriptionArn"])


TOPIC_SUBSCRIPTION = Row(
    token="aws:sns/topicSubscription:TopicSubscription",
    service="sns",
    source=_SNS + "topic_subscription.go",
    fields={
        "topic": F(api="TopicArn", new=True, required=True),
        "protocol": F(new=True, required=True),
        "endpoint": F(new=True, required=True),
    },
    computed={
        "arn": lambda work, _: work.id,
        "ownerId": "Owner",
        "pendingConfirmation": lambda _, found: found.get("PendingConfirmation") == "true",
    },
    create=_subscribe,
    read=lambda work: work.call("get_subscription_attributes", SubscriptionArn=work.id)["Attributes"],
    delete=lambda work: work.call("unsubscribe", SubscriptionArn=work.id),
)

ROWS = (LOG_GROUP, TOPIC, TOPIC_POLICY, TOPIC_SUBSCRIPTION)
