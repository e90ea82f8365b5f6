"""EKS: add-ons, and who may do what: access to the cluster, and pods' access to AWS."""

from __future__ import annotations

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_plugin.rows_eks import applied, eks_tags, moment

_SOURCE = "internal/service/eks/"


def _addon(work: Work) -> Values:
    cluster, _, name = work.id.partition(":")
    return {"clusterName": cluster, "addonName": name}


def _create_addon(work: Work) -> str:
    conflicts = work.value("resolveConflictsOnCreate")
    resolve = {"resolveConflicts": conflicts} if conflicts else {}
    work.reached.add("resolveConflictsOnUpdate")
    params = work.all_but("resolveConflictsOnCreate", "resolveConflictsOnUpdate")
    work.call("create_addon", **params, **resolve, **work.tags)
    return f"{work.value('clusterName')}:{work.value('addonName')}"


def _read_addon(work: Work) -> Values:
    found = dict(work.call("describe_addon", **_addon(work))["addon"])
    given = []
    for arn in found.get("podIdentityAssociations", []):
        where = {"clusterName": found["clusterName"], "associationId": arn.rsplit("/", 1)[-1]}
        told = work.call("describe_pod_identity_association", **where)["association"]
        given.append({"serviceAccount": told["serviceAccount"], "roleArn": told["roleArn"]})
    return {**found, "podIdentityAssociations": given}


def _update_addon(work: Work) -> None:
    work.reached.update(("resolveConflictsOnCreate", "resolveConflictsOnUpdate"))
    names = ("addonVersion", "configurationValues", "podIdentityAssociations")
    changed = [name for name in names if work.touched(name)]
    if not changed:
        return  # how conflicts are resolved steers the next change and is none itself
    conflicts = work.new.get("resolveConflictsOnUpdate")
    resolve = {"resolveConflicts": conflicts} if conflicts else {}
    applied(work, "update_addon", _addon(work), **work.params(*changed), **resolve)


def _delete_addon(work: Work) -> None:
    preserve = {"preserve": True} if work.old.get("preserve") else {}
    work.call("delete_addon", **_addon(work), **preserve)
    work.until_gone(lambda: _read_addon(work))


ADDON = Row(
    token="aws:eks/addon:Addon",
    service="eks",
    source=_SOURCE + "addon.go",
    camel=True,
    fields={
        "clusterName": F(new=True, required=True),
        "addonName": F(new=True, required=True),
        "addonVersion": F(computed=True),
        "configurationValues": F(computed=True, text=True),
        "podIdentityAssociations": F(
            many=True, unordered=True, sub={"serviceAccount": F(required=True), "roleArn": F(required=True)}
        ),
        "resolveConflictsOnCreate": F(api="resolveConflicts", once=True),
        "resolveConflictsOnUpdate": F(api="resolveConflicts", once=True),
        "preserve": F(local=True),
    },
    computed={"arn": "addonArn", "createdAt": moment("createdAt"), "modifiedAt": moment("modifiedAt")},
    create=_create_addon,
    wait=lambda work: work.until(
        lambda: str(work.call("describe_addon", **_addon(work))["addon"]["status"]), ("ACTIVE",), ("CREATE_FAILED",)
    ),
    read=_read_addon,
    update=_update_addon,
    delete=_delete_addon,
    tagging=eks_tags("arn"),
)


def _entry(work: Work) -> Values:
    cluster, _, principal = work.id.partition(":")
    return {"clusterName": cluster, "principalArn": principal}


def _create_entry(work: Work) -> str:
    work.call("create_access_entry", **work.all_but(), **work.tags)
    return f"{work.value('clusterName')}:{work.value('principalArn')}"


ACCESS_ENTRY = Row(
    token="aws:eks/accessEntry:AccessEntry",
    service="eks",
    source=_SOURCE + "access_entry.go",
    camel=True,
    fields={
        "clusterName": F(new=True, required=True),
        "principalArn": F(new=True, required=True),
        "kubernetesGroups": F(computed=True, unordered=True),
        "type": F(new=True, default="STANDARD"),
        "userName": F(api="username", computed=True),
    },
    computed={
        "accessEntryArn": "accessEntryArn",
        "createdAt": moment("createdAt"),
        "modifiedAt": moment("modifiedAt"),
    },
    create=_create_entry,
    read=lambda work: work.call("describe_access_entry", **_entry(work))["accessEntry"],
    update=lambda work: work.call("update_access_entry", **_entry(work), **work.params("kubernetesGroups", "userName")),
    delete=lambda work: work.call("delete_access_entry", **_entry(work)),
    tagging=eks_tags("accessEntryArn"),
)


def _association(work: Work) -> Values:
    cluster, principal, policy = work.id.split("#", 2)
    return {"clusterName": cluster, "principalArn": principal, "policyArn": policy}


def _associate(work: Work) -> str:
    work.call("associate_access_policy", **work.all_but())
    return "#".join(str(work.value(name)) for name in ("clusterName", "principalArn", "policyArn"))


def _read_association(work: Work) -> Values | None:
    where, page = _association(work), Values()
    while True:
        found = work.call(
            "list_associated_access_policies",
            clusterName=where["clusterName"],
            principalArn=where["principalArn"],
            **page,
        )
        for one in found["associatedAccessPolicies"]:
            if one["policyArn"] == where["policyArn"]:
                return {**where, **one}
        if not found.get("nextToken"):
            return None
        page = {"nextToken": found["nextToken"]}


ACCESS_POLICY_ASSOCIATION = Row(
    token="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    service="eks",
    source=_SOURCE + "access_policy_association.go",
    camel=True,
    fields={
        "clusterName": F(new=True, required=True),
        "principalArn": F(new=True, required=True),
        "policyArn": F(new=True, required=True),
        "accessScope": F(new=True, required=True, sub={"type": F(required=True), "namespaces": F(unordered=True)}),
    },
    computed={"associatedAt": moment("associatedAt"), "modifiedAt": moment("modifiedAt")},
    create=_associate,
    read=_read_association,
    delete=lambda work: work.call("disassociate_access_policy", **_association(work)),
)


def _identity(work: Work) -> Values:
    return {"clusterName": work.value("clusterName"), "associationId": work.id}


POD_IDENTITY_ASSOCIATION = Row(
    token="aws:eks/podIdentityAssociation:PodIdentityAssociation",
    service="eks",
    source=_SOURCE + "pod_identity_association.go",
    camel=True,
    fields={
        "clusterName": F(new=True, required=True),
        "namespace": F(new=True, required=True),
        "serviceAccount": F(new=True, required=True),
        "roleArn": F(required=True),
        "targetRoleArn": F(),
        "disableSessionTags": F(default=False),
    },
    computed={"associationArn": "associationArn", "associationId": "associationId", "externalId": "externalId"},
    create=lambda work: str(
        work.call("create_pod_identity_association", **work.all_but(), **work.tags)["association"]["associationId"]
    ),
    read=lambda work: work.call("describe_pod_identity_association", **_identity(work))["association"],
    update=lambda work: work.call(
        "update_pod_identity_association",
        **_identity(work),
        **work.params("roleArn", "targetRoleArn", "disableSessionTags"),
    ),
    delete=lambda work: work.call("delete_pod_identity_association", **_identity(work)),
    tagging=eks_tags("associationArn"),
)

ROWS = (ADDON, ACCESS_ENTRY, ACCESS_POLICY_ASSOCIATION, POD_IDENTITY_ASSOCIATION)
