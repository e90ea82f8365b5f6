"""Clusters: made, described, changed one thing at a time, upgraded one minor version at a time, deleted when empty."""

from __future__ import annotations

import base64
from typing import Any

from tests.standins.aws_server.eks.state import ClusterState, EksState, Members, Resource, identifier, issuer, page
from tests.standins.aws_server.faults import in_use, invalid_parameter, invalid_request
from tests.standins.aws_server.wire import now

STANDARD = ("1.36", "1.35", "1.34")
EXTENDED = ("1.33", "1.32", "1.31")
VERSIONS = tuple(sorted((*STANDARD, *EXTENDED)))
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""Authentication modes in the only order in which they can change."""
# kind of update, and the members of UpdateClusterConfig that make it
KINDS = {
    "resourcesVpcConfig": "VpcConfigUpdate",
    "logging": "LoggingUpdate",
    "accessConfig": "AccessConfigUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
    "remoteNetworkConfig": "RemoteNetworkConfigUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
    "controlPlaneScalingConfig": "ControlPlaneScalingConfigUpdate",
}
ECHOED = ("zonalShiftConfig", "remoteNetworkConfig", "computeConfig", "storageConfig", "controlPlaneScalingConfig")
NODE_POLICY = "AmazonEKSClusterPolicy"


class Clusters:
    """The part of the service that is about clusters."""

    state: EksState

    def create_cluster(self, given: Members) -> Members:
        name = given["name"]
        if name in self.state.clusters:
            raise in_use(f"Cluster already exists with name: {name}", clusterName=name)
        version = given.get("version", STANDARD[0])
        if version not in VERSIONS:
            raise invalid_parameter(f"unsupported Kubernetes version {version}; supported: {', '.join(VERSIONS)}")
        if not self.state.world.trusts(given["roleArn"], "eks.amazonaws.com", "sts:AssumeRole"):
            raise invalid_parameter(
                f"Role with arn: {given['roleArn']}, could not be assumed because it does not exist or "
                "the trusted entity is not correct",
                clusterName=name,
            )
        for entry in given.get("encryptionConfig", []):
            if entry.get("resources") != ["secrets"] or not self.state.world.key_exists(entry["provider"]["keyArn"]):
                raise invalid_parameter(
                    f"encryptionConfig {entry}: resources must be [secrets], the key an enabled one"
                )
        network = self._network(name, given["resourcesVpcConfig"])
        resource = Resource(self._cluster_view(given, version, network))
        made = ClusterState(resource, self.state.caller, self_managed=given.get("bootstrapSelfManagedAddons", True))
        resource.becoming("CREATING", "ACTIVE", self.state.settle_s)
        resource.view.pop("modifiedAt")
        self._logs(name, resource.view["logging"])
        self.state.clusters[name] = made
        if given.get("accessConfig", {}).get("bootstrapClusterCreatorAdminPermissions", True):
            self.grant_creator(made)
        return {"cluster": dict(resource.view)}

    def grant_creator(self, cluster: ClusterState) -> None:
        raise NotImplementedError

    def _cluster_view(self, given: Members, version: str, network: Members) -> Members:
        name = given["name"]
        endpoint = self.state.endpoint
        address = endpoint.url or f"https://{identifier(length=32).upper()}.gr7.{self.state.region}.eks.amazonaws.com"
        authority = endpoint.certificate or base64.b64encode(f"certificate of {name}".encode()).decode()
        access = {"authenticationMode": "CONFIG_MAP", **given.get("accessConfig", {})}
        access.pop("bootstrapClusterCreatorAdminPermissions", None)  # the service takes it and does not give it back
        addresses = {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4", "elasticLoadBalancing": {"enabled": False}}
        return {
            "name": name,
            "arn": self.state.arn("cluster", name),
            "createdAt": now(),
            "version": version,
            "endpoint": address,
            "roleArn": given["roleArn"],
            "resourcesVpcConfig": network,
            "kubernetesNetworkConfig": {**addresses, **given.get("kubernetesNetworkConfig", {})},
            "logging": _logging(given.get("logging", {})),
            "identity": {"oidc": {"issuer": issuer(self.state.region, name)}},
            "certificateAuthority": {"data": authority},
            "platformVersion": "eks.1",
            "tags": dict(given.get("tags", {})),
            "encryptionConfig": given.get("encryptionConfig", []),
            "health": {"issues": []},
            "accessConfig": access,
            "upgradePolicy": {"supportType": "EXTENDED", **given.get("upgradePolicy", {})},
            "deletionProtection": given.get("deletionProtection", False),
            **{key: given[key] for key in ECHOED if key in given},
        }

    def _network(self, cluster: str, given: Members) -> Members:
        subnets = self.state.world.subnets(given.get("subnetIds", []))
        if not subnets:
            raise invalid_parameter(f"The subnet ID(s) {given.get('subnetIds')} do not exist", clusterName=cluster)
        if len({subnet["AvailabilityZone"] for subnet in subnets}) < 2:
            raise invalid_parameter("Subnets specified must be in at least two different AZs", clusterName=cluster)
        vpcs = {subnet["VpcId"] for subnet in subnets}
        if len(vpcs) > 1:
            raise invalid_parameter(f"Subnets belong to several VPCs: {sorted(vpcs)}", clusterName=cluster)
        network = {
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "securityGroupIds": [],
            "controlPlaneEgressMode": "AWS_MANAGED",
            **given,
        }
        _reachable(network)
        vpc = vpcs.pop()
        group = self.state.world.cluster_group(cluster, vpc)
        return {**network, "vpcId": vpc, "clusterSecurityGroupId": group}

    def _logs(self, cluster: str, logging: Members) -> None:
        if any(entry["enabled"] for entry in logging["clusterLogging"]):
            self.state.world.ensure_log_group(f"/aws/eks/{cluster}/cluster")

    def describe_cluster(self, given: Members) -> Members:
        return {"cluster": self.state.cluster(given["name"]).view}

    def list_clusters(self, given: Members) -> Members:
        return page(sorted(self.state.clusters), given, "clusters")

    def update_cluster_config(self, given: Members) -> Members:
        cluster = self.state.cluster(given["name"])
        asked = [key for key in given if key not in ("name", "clientRequestToken")]
        unknown = [key for key in asked if key not in KINDS]
        if len(asked) != 1 or unknown:
            raise invalid_parameter(
                f"one kind of change a call, one of {', '.join(KINDS)}; not {asked}", clusterName=given["name"]
            )
        key = asked[0]
        changed = self._changed(cluster, key, given[key])
        if changed == cluster.view.get(key):
            raise invalid_parameter(
                f"No changes needed for {key}: the cluster is as asked for", clusterName=given["name"]
            )
        update = self.state.update(cluster, "", KINDS[key], _params(key, given[key]), cluster.resource)
        cluster.view[key] = changed
        self._logs(given["name"], cluster.view["logging"])
        return {"update": update}

    def _changed(self, cluster: ClusterState, key: str, value: Any) -> Any:
        before = cluster.view.get(key)
        if not isinstance(value, dict):
            return value
        if key == "logging":
            return _logging(value, before)
        if key == "accessConfig":
            mode = value.get("authenticationMode", MODES[0])
            if before and MODES.index(mode) < MODES.index(before["authenticationMode"]):
                raise invalid_parameter(f"authenticationMode cannot go from {before['authenticationMode']} to {mode}")
        merged = {**(before or {}), **value}
        if key == "resourcesVpcConfig":
            self._same_zones(before or {}, merged)
            _reachable(merged)
        return merged

    def _same_zones(self, before: Members, after: Members) -> None:
        """A control plane may move to other subnets, of the zones that it was made in."""
        was, will = (
            {subnet["AvailabilityZone"] for subnet in self.state.world.subnets(network["subnetIds"]) or ()}
            for network in (before, after)
        )
        if was != will:
            raise invalid_parameter(
                f"Provided subnets belong to the AZs {sorted(will)}. But they should belong to the exact set of AZs "
                f"{sorted(was)} in which subnets were provided during cluster creation"
            )

    def update_cluster_version(self, given: Members) -> Members:
        cluster = self.state.cluster(given["name"])
        before, after = cluster.view["version"], given["version"]
        if after not in VERSIONS or minor(after) != minor(before) + 1:
            raise invalid_parameter(
                f"Unsupported Kubernetes minor version update from {before} to {after}", clusterName=given["name"]
            )
        update = self.state.update(
            cluster, "", "VersionUpdate", {"Version": after, "PlatformVersion": "eks.1"}, cluster.resource
        )
        cluster.view["version"] = after
        return {"update": update}

    def delete_cluster(self, given: Members) -> Members:
        name = given["name"]
        cluster = self.state.cluster(name)
        if cluster.view["deletionProtection"]:
            raise invalid_request(
                f"Cluster {name} has deletion protection enabled and cannot be deleted", clusterName=name
            )
        if cluster.node_groups:
            raise in_use(f"Cluster has nodegroups attached: {', '.join(cluster.node_groups)}", clusterName=name)
        if cluster.view["status"] in ("CREATING", "UPDATING", "DELETING"):
            raise in_use(f"Cluster {name} is {cluster.view['status']}", clusterName=name)
        role, group = cluster.view["roleArn"], cluster.view["resourcesVpcConfig"]["clusterSecurityGroupId"]

        def gone() -> None:
            # without the policy on its role EKS may not remove what it made: so are security groups left behind
            if NODE_POLICY in self.state.world.attached(role):
                self.state.world.remove_group(group)
            self.state.clusters.pop(name)

        cluster.resource.becoming("DELETING", "DELETING", self.state.settle_s, gone)
        cluster.view.pop("modifiedAt")
        return {"cluster": dict(cluster.view)}

    def describe_cluster_versions(self, given: Members) -> Members:
        wanted = given.get("clusterVersions") or VERSIONS
        found = [
            {
                "clusterVersion": version,
                "clusterType": "eks",
                "defaultVersion": version == STANDARD[0],
                "status": "STANDARD_SUPPORT" if version in STANDARD else "EXTENDED_SUPPORT",
            }
            for version in reversed(VERSIONS)
            if version in wanted
        ]
        return {"clusterVersions": found}


def minor(version: str) -> int:
    return int(version.partition(".")[2])


def _reachable(network: Members) -> None:
    """Refuse an endpoint that nobody could reach; list the world where no ranges are named, as the service does."""
    if not network["endpointPublicAccess"] and not network["endpointPrivateAccess"]:
        raise invalid_parameter("Private and public endpoint access cannot both be disabled")
    network["publicAccessCidrs"] = (
        (network.get("publicAccessCidrs") or ["0.0.0.0/0"]) if network["endpointPublicAccess"] else []
    )


def _logging(given: Members, before: Members | None = None) -> Members:
    enabled = {
        kind for entry in (before or {}).get("clusterLogging", []) if entry["enabled"] for kind in entry["types"]
    }
    for entry in given.get("clusterLogging", []):
        enabled = enabled | set(entry["types"]) if entry.get("enabled") else enabled - set(entry["types"])
    split = (([kind for kind in LOG_TYPES if (kind in enabled) is on], on) for on in (True, False))
    return {"clusterLogging": [{"types": types, "enabled": on} for types, on in split if types]}


def _params(key: str, value: Any) -> Members:
    names = {
        "endpointPublicAccess": "EndpointPublicAccess",
        "endpointPrivateAccess": "EndpointPrivateAccess",
        "publicAccessCidrs": "PublicAccessCidrs",
        "subnetIds": "Subnets",
        "securityGroupIds": "SecurityGroups",
        "authenticationMode": "AuthenticationMode",
        "supportType": "UpgradePolicy",
    }
    if key == "logging":
        return {"ClusterLogging": value}
    if not isinstance(value, dict):
        return {"DeletionProtection": value}
    return {names[name]: item for name, item in value.items() if name in names}
