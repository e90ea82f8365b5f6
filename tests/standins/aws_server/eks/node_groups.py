"""Managed node groups, checked as EKS checks them, each with an Auto Scaling group that really exists."""

from __future__ import annotations

from typing import Any

from tests.standins.aws_server.eks import capacity
from tests.standins.aws_server.eks.clusters import VERSIONS, minor
from tests.standins.aws_server.eks.state import ClusterState, EksState, Members, Resource, chosen, identifier, page
from tests.standins.aws_server.faults import in_use, invalid_parameter, invalid_request, not_found
from tests.standins.aws_server.wire import now

ECHOED = ("capacityType", "remoteAccess", "nodeRole", "subnets", "labels", "nodeRepairConfig", "warmPoolConfig")
MOST_TAINTS = 50
OLDEST_SKEW = 3
NETWORK_ADDON = "vpc-cni"


class NodeGroups:
    """The part of the service that is about node groups."""

    state: EksState

    def create_nodegroup(self, given: Members) -> Members:
        cluster = self.state.usable(given["clusterName"])
        name = given["nodegroupName"]
        if name in cluster.node_groups:
            raise in_use(
                f"NodeGroup already exists with name {name} and cluster name {given['clusterName']}", nodegroupName=name
            )
        self._check(cluster, given)
        template = capacity.template(self.state.world, given)
        resource = Resource(self._group_view(cluster, given, template))
        group = capacity.start(self.state.world, resource.view, (template or {}).get("data", {}), _own(cluster))
        resource.view["resources"] = {"autoScalingGroups": [{"name": group}]}
        cluster.node_groups[name] = resource
        self.admit_nodes(cluster, given["nodeRole"])
        if resource.view["scalingConfig"]["desiredSize"] and not self._networked(cluster):
            resource.becoming("CREATING", "CREATE_FAILED", self.state.settle_s, lambda: _unjoined(resource, group))
        else:
            resource.becoming("CREATING", "ACTIVE", self.state.settle_s, self.recheck_addons(cluster))
        return {"nodegroup": dict(resource.view)}

    def admit_nodes(self, cluster: ClusterState, role: str) -> None:
        raise NotImplementedError

    def dismiss_nodes(self, cluster: ClusterState, role: str) -> None:
        raise NotImplementedError

    def recheck_addons(self, cluster: ClusterState) -> Any:
        raise NotImplementedError

    def _networked(self, cluster: ClusterState) -> bool:
        addon = cluster.addons.get(NETWORK_ADDON)
        return cluster.self_managed or (addon is not None and addon.view["status"] == "ACTIVE")

    def _check(self, cluster: ClusterState, given: Members) -> None:
        world, name = self.state.world, given["nodegroupName"]
        if not world.trusts(given["nodeRole"], "ec2.amazonaws.com", "sts:AssumeRole"):
            raise invalid_parameter(
                f"The role {given['nodeRole']} does not exist or EC2 cannot assume it", nodegroupName=name
            )
        subnets = world.subnets(given["subnets"])
        if not subnets or {entry["VpcId"] for entry in subnets} != {cluster.view["resourcesVpcConfig"]["vpcId"]}:
            raise invalid_parameter(f"Subnets {given['subnets']} do not exist in the cluster's VPC", nodegroupName=name)
        if len(given.get("taints", [])) > MOST_TAINTS:
            raise invalid_parameter(f"More than {MOST_TAINTS} taints", nodegroupName=name)
        _sizes(given.get("scalingConfig", {}))
        self._check_version(cluster, given.get("version"))

    def _check_version(self, cluster: ClusterState, version: str | None) -> None:
        ours = cluster.view["version"]
        if version and (version not in VERSIONS or not 0 <= minor(ours) - minor(version) <= OLDEST_SKEW):
            raise invalid_parameter(
                f"Requested Nodegroup version {version} is not supported with cluster version {ours}"
            )

    def _group_view(self, cluster: ClusterState, given: Members, template: Members | None) -> Members:
        version: str = given.get("version") or cluster.view["version"]
        name = given["nodegroupName"]
        data = (template or {}).get("data", {})
        types = given.get("instanceTypes") or (None if data.get("InstanceType") else ["t3.medium"])
        return {
            "nodegroupName": name,
            "nodegroupArn": self.state.arn("nodegroup", given["clusterName"], name, identifier(length=12)),
            "clusterName": given["clusterName"],
            "version": version,
            "releaseVersion": given.get("releaseVersion", _release(version)),
            "createdAt": now(),
            "modifiedAt": now(),
            "capacityType": "ON_DEMAND",
            "scalingConfig": {"minSize": 1, "maxSize": 2, "desiredSize": 2, **given.get("scalingConfig", {})},
            "instanceTypes": types,
            "amiType": "CUSTOM" if data.get("ImageId") else given.get("amiType", "AL2023_x86_64_STANDARD"),
            "labels": {},
            "taints": given.get("taints", []),
            "diskSize": None if template else given.get("diskSize", 20),
            "health": {"issues": []},
            "updateConfig": given.get("updateConfig") or {"maxUnavailable": 1},
            "launchTemplate": {key: template[key] for key in ("id", "name", "version")} if template else None,
            "tags": dict(given.get("tags", {})),
            **chosen(given, ECHOED),
        }

    def node_group(self, given: Members) -> tuple[ClusterState, Resource]:
        """Return the cluster and the node group that a call names."""
        cluster = self.state.cluster(given["clusterName"])
        name = given["nodegroupName"]
        if name not in cluster.node_groups:
            raise not_found(
                f"No node group found for name: {name}.", clusterName=given["clusterName"], nodegroupName=name
            )
        return cluster, cluster.node_groups[name]

    def describe_nodegroup(self, given: Members) -> Members:
        return {"nodegroup": self.node_group(given)[1].view}

    def list_nodegroups(self, given: Members) -> Members:
        return page(sorted(self.state.cluster(given["clusterName"]).node_groups), given, "nodegroups")

    def update_nodegroup_config(self, given: Members) -> Members:
        cluster, group = self.node_group(given)
        view = group.view
        scaling = {**view["scalingConfig"], **given.get("scalingConfig", {})}
        _sizes(scaling)
        labels = {**view["labels"], **given.get("labels", {}).get("addOrUpdateLabels", {})}
        for key in given.get("labels", {}).get("removeLabels", []):
            labels.pop(key, None)
        taints = _tainted(view["taints"], given.get("taints", {}))
        if len(taints) > MOST_TAINTS:
            raise invalid_parameter(f"More than {MOST_TAINTS} taints", nodegroupName=given["nodegroupName"])
        params = {"MinSize": scaling["minSize"], "MaxSize": scaling["maxSize"], "DesiredSize": scaling["desiredSize"]}
        update = self.state.update(cluster, f"nodegroup/{given['nodegroupName']}", "ConfigUpdate", params, group)
        changed = chosen(given, ("updateConfig", "nodeRepairConfig", "warmPoolConfig"))
        view.update({"scalingConfig": scaling, "labels": labels, "taints": taints, **changed})
        capacity.resize(self.state.world, view)
        return {"update": update}

    def update_nodegroup_version(self, given: Members) -> Members:
        cluster, group = self.node_group(given)
        view = group.view
        self._check_version(cluster, given.get("version"))
        template = None
        if "launchTemplate" in given:
            before = view["launchTemplate"] or {}
            template = self.state.world.launch_template(given["launchTemplate"])
            if template is None or template["id"] != before.get("id"):
                raise invalid_request(
                    f"Only another version of launch template {before.get('id')} can be used",
                    nodegroupName=view["nodegroupName"],
                )
        version = given.get("version") or (view["version"] if template else cluster.view["version"])
        params = {"Version": version, "LaunchTemplateVersion": (template or {}).get("version", "")}
        update = self.state.update(cluster, f"nodegroup/{view['nodegroupName']}", "VersionUpdate", params, group)
        view.update(version=version, releaseVersion=given.get("releaseVersion", _release(version)))
        if template:
            view["launchTemplate"] = {key: template[key] for key in ("id", "name", "version")}
            capacity.replace_template(self.state.world, view, template["data"], _own(cluster))
        return {"update": update}

    def delete_nodegroup(self, given: Members) -> Members:
        cluster, group = self.node_group(given)
        if group.view["status"] in ("CREATING", "UPDATING", "DELETING"):
            raise in_use(
                f"Nodegroup {given['nodegroupName']} is {group.view['status']}", nodegroupName=given["nodegroupName"]
            )
        name, role = given["nodegroupName"], group.view["nodeRole"]

        def gone() -> None:
            capacity.stop(self.state.world, group.view)
            cluster.node_groups.pop(name)
            if all(other.view["nodeRole"] != role for other in cluster.node_groups.values()):
                self.dismiss_nodes(cluster, role)

        group.becoming("DELETING", "DELETING", self.state.settle_s, gone)
        return {"nodegroup": dict(group.view)}


def _own(cluster: ClusterState) -> str:
    """Return the security group that the cluster gives its nodes."""
    return str(cluster.view["resourcesVpcConfig"]["clusterSecurityGroupId"])


def _sizes(scaling: Members) -> None:
    least, most = scaling.get("minSize", 1), scaling.get("maxSize", 2)
    desired = scaling.get("desiredSize", 2)
    if not least <= desired <= most:
        raise invalid_parameter(f"desired capacity {desired} must be between minimum {least} and maximum {most}")


def _tainted(before: list[Members], change: Members) -> list[Members]:
    def key(taint: Members) -> tuple[Any, Any]:
        return taint.get("key"), taint.get("effect")

    taints = {key(taint): taint for taint in before}
    taints.update({key(taint): taint for taint in change.get("addOrUpdateTaints", [])})
    for taint in change.get("removeTaints", []):
        taints.pop(key(taint), None)
    return list(taints.values())


def _release(version: str) -> str:
    return f"{version}.0-20261101"


def _unjoined(group: Resource, scaling_group: str) -> None:
    group.view["health"]["issues"].append(
        {
            "code": "NodeCreationFailure",
            "message": "Instances failed to join the kubernetes cluster",
            "resourceIds": [scaling_group],
        }
    )
