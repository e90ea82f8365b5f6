"""EKS: the control plane and its groups of nodes. EKS takes one change at a time; each is waited for."""

from __future__ import annotations

import json
from typing import Any

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Tagging, Work
from tests.standins.aws_plugin.tagging import by_arn

_SOURCE = "internal/service/eks/"
_FAILED = ("FAILED", "CREATE_FAILED", "DELETE_FAILED", "Failed", "Cancelled")


def eks_tags(arn: str) -> Tagging:
    """Tags of EKS, by the ARN that the state keeps under a name."""
    return by_arn(
        lambda work: str(work.old[arn]),
        given="tags",
        resource="resourceArn",
        tags="tags",
        keys="tagKeys",
        listed=lambda _, found: found.get("tags") or {},
        plain=True,
    )


def moment(name: str) -> Any:
    """Return what tells a time in an answer as text."""
    return lambda _, found: None if found.get(name) is None else str(found[name])


def applied(work: Work, operation: str, where: Values, **change: Any) -> None:
    """Ask for a change and wait until EKS has made it."""
    update = work.call(operation, **where, **change)["update"]

    def status() -> str:
        told = work.call("describe_update", updateId=update["id"], **_of(where))["update"]
        if told["status"] in _FAILED:
            return f"{told['status']}: {json.dumps(told.get('errors', []))}"
        return str(told["status"])

    work.until(status, ("Successful",))


def _of(where: Values) -> Values:
    """Return where an update is, as DescribeUpdate asks for it."""
    names = {"name": "name", "clusterName": "name", "nodegroupName": "nodegroupName", "addonName": "addonName"}
    return {names[key]: value for key, value in where.items() if key in names}


def _logging(types: list[str]) -> Values:
    return {"clusterLogging": [{"types": list(types), "enabled": True}]}


def _logged(logging: Values) -> list[str] | None:
    return [kind for one in logging.get("clusterLogging", []) if one.get("enabled") for kind in one["types"]] or None


def _read_cluster(work: Work) -> Values | None:
    return dict(work.call("describe_cluster", name=work.id)["cluster"])


def _update_cluster(work: Work) -> None:
    where = {"name": work.id}
    if work.touched("version"):
        applied(work, "update_cluster_version", where, **work.params("version"))
    for name in ("accessConfig", "upgradePolicy", "deletionProtection", "zonalShiftConfig"):
        if work.touched(name):
            change = work.params(name)
            change.get("accessConfig", {}).pop("bootstrapClusterCreatorAdminPermissions", None)
            applied(work, "update_cluster_config", where, **change)
    if work.touched("enabledClusterLogTypes"):
        wanted = set(work.new.get("enabledClusterLogTypes") or ())
        gone = set(work.old.get("enabledClusterLogTypes") or ()) - wanted
        parts = [{"types": sorted(types), "enabled": on} for types, on in ((wanted, True), (gone, False)) if types]
        applied(work, "update_cluster_config", where, logging={"clusterLogging": parts})
    if work.touched("vpcConfig"):
        _update_network(work, where)


def _update_network(work: Work, where: Values) -> None:
    """Change the ways in and the subnets, of which EKS takes one kind a call."""
    old, new = work.old["vpcConfig"], work.params("vpcConfig")["resourcesVpcConfig"]
    access = ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs")
    for kind in (access, ("subnetIds", "securityGroupIds")):
        if any(key in new and _differs(old.get(key), new[key]) for key in kind):
            part = {key: new[key] for key in kind if key in new}
            applied(work, "update_cluster_config", where, resourcesVpcConfig=part)


def _differs(old: Any, new: Any) -> bool:
    return sorted(old or []) != sorted(new) if isinstance(new, list) else bool(old) != bool(new)


def _delete_cluster(work: Work) -> None:
    work.call("delete_cluster", name=work.id)
    work.until_gone(lambda: _still(work, _read_cluster(work)))


def _still(work: Work, found: Values | None) -> bool:
    """Whether a thing is there; that it could not be deleted ends the waiting."""
    if found and found.get("status") in _FAILED:
        work.until(lambda: str(found["status"]), (), _FAILED)
    return bool(found)


def _first(items: list[Any]) -> Any:
    return items[0] if items else None


_VPC_CONFIG = {
    "subnetIds": F(required=True, unordered=True),
    "securityGroupIds": F(unordered=True),
    "endpointPrivateAccess": F(default=False),
    "endpointPublicAccess": F(default=True),
    "publicAccessCidrs": F(computed=True, unordered=True),
    "clusterSecurityGroupId": F(output=True),
    "vpcId": F(output=True),
}
_ENCRYPTION = {"provider": F(required=True, sub={"keyArn": F(required=True)}), "resources": F(unordered=True)}

CLUSTER = Row(
    token="aws:eks/cluster:Cluster",
    service="eks",
    source=_SOURCE + "cluster.go",
    camel=True,
    fields={
        "name": F(new=True),
        "roleArn": F(new=True, required=True),
        "version": F(computed=True),
        "vpcConfig": F(api="resourcesVpcConfig", required=True, sub=_VPC_CONFIG),
        "accessConfig": F(
            computed=True,
            sub={
                "authenticationMode": F(computed=True),
                "bootstrapClusterCreatorAdminPermissions": F(new=True, default=True, once=True),
            },
        ),
        "encryptionConfig": F(new=True, sub=_ENCRYPTION, to=lambda value: [value], back=_first),
        "kubernetesNetworkConfig": F(
            computed=True,
            sub={"serviceIpv4Cidr": F(new=True, computed=True), "ipFamily": F(new=True, computed=True)},
        ),
        "enabledClusterLogTypes": F(api="logging", unordered=True, to=_logging, back=_logged),
        "upgradePolicy": F(computed=True, sub={"supportType": F(computed=True)}),
        "zonalShiftConfig": F(sub={"enabled": F()}),
        "bootstrapSelfManagedAddons": F(new=True, default=True, once=True),
        "deletionProtection": F(computed=True),
    },
    computed={
        "arn": "arn",
        "endpoint": "endpoint",
        "certificateAuthority": "certificateAuthority",
        "platformVersion": "platformVersion",
        "status": "status",
        "createdAt": moment("createdAt"),
        "identities": lambda _, found: [{"oidcs": [found["identity"]["oidc"]]}] if found.get("identity") else [],
    },
    create=lambda work: str(work.call("create_cluster", **work.all_but(), **work.tags)["cluster"]["name"]),
    wait=lambda work: work.until(lambda: str((_read_cluster(work) or {})["status"]), ("ACTIVE",), _FAILED),
    read=_read_cluster,
    update=_update_cluster,
    delete=_delete_cluster,
    tagging=eks_tags("arn"),
    name_field="name",
)


def _group(work: Work) -> Values:
    cluster, _, name = work.id.partition(":")
    return {"clusterName": cluster, "nodegroupName": name}


def _read_group(work: Work) -> Values | None:
    return dict(work.call("describe_nodegroup", **_group(work))["nodegroup"])


def _create_group(work: Work) -> str:
    work.call("create_nodegroup", **work.all_but(), **work.tags)
    return f"{work.value('clusterName')}:{work.value('nodeGroupName')}"


def _update_group(work: Work) -> None:
    where = _group(work)
    config: Values = {}
    if work.touched("labels"):
        before, after = work.old.get("labels") or {}, work.new.get("labels") or {}
        changes = {
            "addOrUpdateLabels": {key: value for key, value in after.items() if before.get(key) != value},
            "removeLabels": sorted({*before} - {*after}),
        }
        config["labels"] = {key: value for key, value in changes.items() if value}
    if work.touched("taints"):
        before, after = work.old.get("taints") or [], work.new.get("taints") or []
        kept = {(taint["key"], taint["effect"]) for taint in after}
        gone = [taint for taint in before if (taint["key"], taint["effect"]) not in kept]
        added = [taint for taint in after if taint not in before]
        changes = {"addOrUpdateTaints": added, "removeTaints": gone}
        config["taints"] = {key: value for key, value in changes.items() if value}
    config |= work.params(
        *(name for name in ("scalingConfig", "updateConfig", "nodeRepairConfig") if work.touched(name))
    )
    if config:
        applied(work, "update_nodegroup_config", where, **config)
    if work.touched("version", "launchTemplate"):
        forced = {"force": True} if work.new.get("forceUpdateVersion") else {}
        names = [name for name in ("version", "launchTemplate") if work.touched(name)]
        change = work.params(*names)
        applied(work, "update_nodegroup_version", where, **change, **forced)


def _delete_group(work: Work) -> None:
    work.call("delete_nodegroup", **_group(work))
    work.until_gone(lambda: _still(work, _read_group(work)))


NODE_GROUP = Row(
    token="aws:eks/nodeGroup:NodeGroup",
    service="eks",
    source=_SOURCE + "node_group.go",
    camel=True,
    fields={
        "clusterName": F(new=True, required=True),
        "nodeGroupName": F(api="nodegroupName", new=True),
        "nodeRoleArn": F(api="nodeRole", new=True, required=True),
        "subnetIds": F(api="subnets", new=True, required=True, unordered=True),
        "capacityType": F(new=True, computed=True),
        "amiType": F(new=True, computed=True),
        "instanceTypes": F(new=True, computed=True),
        "diskSize": F(new=True, computed=True),
        "labels": F(),
        "taints": F(many=True, unordered=True, sub={"key": F(), "value": F(), "effect": F()}),
        "launchTemplate": F(
            sub={
                "id": F(new=True, computed=True),
                "name": F(new=True, computed=True),
                "version": F(required=True, to=str),
            }
        ),
        "scalingConfig": F(required=True, sub={"minSize": F(), "maxSize": F(), "desiredSize": F()}),
        "updateConfig": F(
            computed=True,
            sub={"maxUnavailable": F(), "maxUnavailablePercentage": F(), "updateStrategy": F(computed=True)},
        ),
        "nodeRepairConfig": F(computed=True, sub={"enabled": F()}),
        "version": F(computed=True),
        "forceUpdateVersion": F(local=True),
    },
    computed={
        "releaseVersion": "releaseVersion",
        "arn": "nodegroupArn",
        "status": "status",
        "resources": lambda _, found: [{"autoscalingGroups": found.get("resources", {}).get("autoScalingGroups", [])}],
    },
    create=_create_group,
    wait=lambda work: work.until(lambda: str((_read_group(work) or {})["status"]), ("ACTIVE",), _FAILED),
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    tagging=eks_tags("arn"),
    name_field="nodeGroupName",
)

ROWS = (CLUSTER, NODE_GROUP)
