"""IAM: roles, what they may, and who proves identities. Global: nothing of it lives in a region."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Tagging, Work
from tests.standins.aws_plugin.tagging import from_pairs, pairs

_SOURCE = "internal/service/iam/"


def _tags(kind: str, param: str) -> Tagging:
    def change(work: Work, added: Mapping[str, str], removed: Collection[str]) -> None:
        if removed:
            work.call(f"untag_{kind}", **{param: work.id, "TagKeys": sorted(removed)})
        if added:
            work.call(f"tag_{kind}", **{param: work.id, "Tags": pairs(added)})

    return Tagging(
        given=lambda tags: {"Tags": pairs(tags)}, read=lambda _, found: from_pairs(found.get("Tags")), change=change
    )


def _read_role(work: Work) -> Values:
    role: Values = work.call("get_role", RoleName=work.id)["Role"]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return {**role, "PermissionsBoundary": boundary, "CreateDate": str(role["CreateDate"])}


def _update_role(work: Work) -> None:
    if work.touched("assumeRolePolicy"):
        work.call("update_assume_role_policy", RoleName=work.id, PolicyDocument=work.value("assumeRolePolicy"))
    if work.touched("description", "maxSessionDuration"):
        told = {"Description": work.new.get("description", "")}
        work.call("update_role", RoleName=work.id, **{**told, **work.params("maxSessionDuration")})
    if work.touched("permissionsBoundary") and work.new.get("permissionsBoundary"):
        work.call("put_role_permissions_boundary", RoleName=work.id, **work.params("permissionsBoundary"))
    elif work.touched("permissionsBoundary"):
        work.call("delete_role_permissions_boundary", RoleName=work.id)


def _delete_role(work: Work) -> None:
    for profile in work.call("list_instance_profiles_for_role", RoleName=work.id)["InstanceProfiles"]:
        name = profile["InstanceProfileName"]
        work.call("remove_role_from_instance_profile", InstanceProfileName=name, RoleName=work.id)
    if work.old.get("forceDetachPolicies"):
        for policy in work.call("list_attached_role_policies", RoleName=work.id)["AttachedPolicies"]:
            work.call("detach_role_policy", RoleName=work.id, PolicyArn=policy["PolicyArn"])
        for name in work.call("list_role_policies", RoleName=work.id)["PolicyNames"]:
            work.call("delete_role_policy", RoleName=work.id, PolicyName=name)
    work.call("delete_role", RoleName=work.id)


ROLE = Row(
    token="aws:iam/role:Role",
    service="iam",
    source=_SOURCE + "role.go",
    fields={
        "name": F(api="RoleName", new=True),
        "assumeRolePolicy": F(api="AssumeRolePolicyDocument", text=True, required=True),
        "description": F(),
        "path": F(new=True, default="/"),
        "maxSessionDuration": F(default=3600),
        "permissionsBoundary": F(),
        "forceDetachPolicies": F(local=True, default=False),
    },
    computed={"arn": "Arn", "uniqueId": "RoleId", "createDate": "CreateDate"},
    create=lambda work: str(work.call("create_role", **work.all_but(), **work.tags)["Role"]["RoleName"]),
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    tagging=_tags("role", "RoleName"),
    name_field="name",
    regional=False,
)


def _put_policy(work: Work) -> str:
    work.call("put_role_policy", **work.all_but())
    return f"{work.value('role')}:{work.value('name')}"


def _named(work: Work) -> Values:
    role, _, name = work.id.partition(":")
    return {"RoleName": role, "PolicyName": name}


ROLE_POLICY = Row(
    token="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    source=_SOURCE + "role_policy.go",
    fields={
        "role": F(api="RoleName", new=True, required=True),
        "name": F(api="PolicyName", new=True),
        "policy": F(api="PolicyDocument", text=True, required=True),
    },
    create=_put_policy,
    read=lambda work: work.call("get_role_policy", **_named(work)),
    update=_put_policy,
    delete=lambda work: work.call("delete_role_policy", **_named(work)),
    name_field="name",
    regional=False,
)


def _read_attachment(work: Work) -> Values | None:
    role, policy, marker = work.value("role"), work.value("policyArn"), Values()
    while True:
        page = work.call("list_attached_role_policies", RoleName=role, **marker)
        if any(one["PolicyArn"] == policy for one in page["AttachedPolicies"]):
            return {"RoleName": role, "PolicyArn": policy}
        if not page.get("IsTruncated"):
            return None
        marker = {"Marker": page["Marker"]}


ROLE_POLICY_ATTACHMENT = Row(
    token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    source=_SOURCE + "role_policy_attachment.go",
    fields={"role": F(api="RoleName", new=True, required=True), "policyArn": F(new=True, required=True)},
    create=lambda work: (
        (work.call("attach_role_policy", **work.all_but()) and "") or f"{work.value('role')}/{work.value('policyArn')}"
    ),
    read=_read_attachment,
    delete=lambda work: work.call("detach_role_policy", RoleName=work.value("role"), PolicyArn=work.value("policyArn")),
    # provider/resources.go: created before the old one is deleted, it would be deleted with it
    leaf=True,
    regional=False,
)


def _without_scheme(url: Any) -> str:
    return str(url).removeprefix("https://")


def _update_oidc(work: Work) -> None:
    if work.touched("thumbprintLists"):
        params = work.params("thumbprintLists")
        work.call("update_open_id_connect_provider_thumbprint", OpenIDConnectProviderArn=work.id, **params)
    if work.touched("clientIdLists"):
        before, after = set(work.old.get("clientIdLists", ())), set(work.value("clientIdLists"))
        for client in sorted(after - before):
            work.call("add_client_id_to_open_id_connect_provider", OpenIDConnectProviderArn=work.id, ClientID=client)
        for client in sorted(before - after):
            work.call(
                "remove_client_id_from_open_id_connect_provider", OpenIDConnectProviderArn=work.id, ClientID=client
            )


OPEN_ID_CONNECT_PROVIDER = Row(
    token="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    service="iam",
    source=_SOURCE + "openid_connect_provider.go",
    fields={
        "url": F(new=True, required=True, form=_without_scheme),
        "clientIdLists": F(api="ClientIDList", required=True, unordered=True),
        "thumbprintLists": F(api="ThumbprintList", computed=True),
    },
    computed={"arn": lambda work, _: work.id},
    create=lambda work: str(
        work.call("create_open_id_connect_provider", **work.all_but(), **work.tags)["OpenIDConnectProviderArn"]
    ),
    read=lambda work: work.call("get_open_id_connect_provider", OpenIDConnectProviderArn=work.id),
    update=_update_oidc,
    delete=lambda work: work.call("delete_open_id_connect_provider", OpenIDConnectProviderArn=work.id),
    tagging=_tags("open_id_connect_provider", "OpenIDConnectProviderArn"),
    regional=False,
)


ROWS = (ROLE, ROLE_POLICY, ROLE_POLICY_ATTACHMENT, OPEN_ID_CONNECT_PROVIDER)
