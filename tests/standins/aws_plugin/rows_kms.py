"""KMS: keys and their other names. A deleted key is one whose deletion is scheduled."""

from __future__ import annotations

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_plugin.tagging import by_arn, from_pairs, own_id

_SOURCE = "internal/service/kms/"


def _create_key(work: Work) -> str:
    params = work.params(
        "description", "keyUsage", "customerMasterKeySpec", "multiRegion", "policy", "bypassPolicyLockoutSafetyCheck"
    )
    work.id = work.call("create_key", **params, **work.tags)["KeyMetadata"]["KeyId"]
    _set_rotation(work)
    if work.value("isEnabled") is False:
        work.call("disable_key", KeyId=work.id)
    return work.id


def _set_rotation(work: Work) -> None:
    if work.value("enableKeyRotation"):
        work.call("enable_key_rotation", KeyId=work.id)
    elif work.changed:
        work.call("disable_key_rotation", KeyId=work.id)


def _update_key(work: Work) -> None:
    if work.touched("isEnabled") and work.value("isEnabled"):
        work.call("enable_key", KeyId=work.id)  # first: a disabled key takes no other change
    if work.touched("enableKeyRotation"):
        _set_rotation(work)
    if work.touched("description"):
        work.call("update_key_description", KeyId=work.id, Description=work.new.get("description", ""))
    if work.touched("policy"):
        work.call("put_key_policy", KeyId=work.id, PolicyName="default", **work.params("policy"))
    if work.touched("isEnabled") and not work.value("isEnabled"):
        work.call("disable_key", KeyId=work.id)


def _read_key(work: Work) -> Values | None:
    key: Values = work.call("describe_key", KeyId=work.id)["KeyMetadata"]
    if key.get("KeyState") in ("PendingDeletion", "PendingReplicaDeletion"):
        return None
    rotation = work.call("get_key_rotation_status", KeyId=work.id)
    policy = work.call("get_key_policy", KeyId=work.id, PolicyName="default")["Policy"]
    return {
        **key,
        "EnableKeyRotation": rotation["KeyRotationEnabled"],
        "Policy": policy,
        "IsEnabled": key.get("Enabled"),
    }


def _key_tags(work: Work, _: Values) -> dict[str, str]:
    return from_pairs(work.call("list_resource_tags", KeyId=work.id).get("Tags"), "TagKey", "TagValue")


def _delete_key(work: Work) -> None:
    if _read_key(work) is not None:
        days = work.old.get("deletionWindowInDays")
        window = {"PendingWindowInDays": days} if days else {}
        work.call("schedule_key_deletion", KeyId=work.id, **window)


KEY = Row(
    token="aws:kms/key:Key",
    service="kms",
    source=_SOURCE + "key.go",
    fields={
        "description": F(computed=True),
        "keyUsage": F(new=True, default="ENCRYPT_DECRYPT"),
        "customerMasterKeySpec": F(api="KeySpec", new=True, default="SYMMETRIC_DEFAULT"),
        "multiRegion": F(new=True, computed=True),
        "policy": F(text=True, computed=True),
        "bypassPolicyLockoutSafetyCheck": F(default=False, once=True),
        "isEnabled": F(default=True),
        "enableKeyRotation": F(default=False),
        "deletionWindowInDays": F(local=True),
    },
    computed={"arn": "Arn", "keyId": "KeyId"},
    create=_create_key,
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    tagging=by_arn(
        own_id,
        given="Tags",
        resource="KeyId",
        tags="Tags",
        keys="TagKeys",
        listed=_key_tags,
        key="TagKey",
        value="TagValue",
    ),
)


def _read_alias(work: Work) -> Values | None:
    marker: Values = {}
    while True:
        page = work.call("list_aliases", **marker)
        for alias in page["Aliases"]:
            if alias["AliasName"] == work.id:
                return {**alias, "TargetKeyId": _as_given(work, alias["TargetKeyId"])}
        if not page.get("Truncated"):
            return None
        marker = {"Marker": page["NextMarker"]}


def _as_given(work: Work, key: str) -> str:
    """Return the target as the program names it: by id or by ARN (suppressEquivalentKeyARNOrID)."""
    given = str(work.value("targetKeyId") or "")
    return given if given.endswith(f"/{key}") else key


def _create_alias(work: Work) -> str:
    work.call("create_alias", **work.all_but())
    return str(work.value("name"))


ALIAS = Row(
    token="aws:kms/alias:Alias",
    service="kms",
    source=_SOURCE + "alias.go",
    fields={"name": F(api="AliasName", new=True), "targetKeyId": F(required=True)},
    computed={
        "arn": "AliasArn",
        "targetKeyArn": lambda work, found: work.arn("kms", f"key/{found['TargetKeyId'].rsplit('/', 1)[-1]}"),
    },
    create=_create_alias,
    read=_read_alias,
    update=lambda work: work.call("update_alias", AliasName=work.id, **work.params("targetKeyId")),
    delete=lambda work: work.call("delete_alias", AliasName=work.id),
    name_field="name",
    names_itself=False,
)


ROWS = (KEY, ALIAS)
