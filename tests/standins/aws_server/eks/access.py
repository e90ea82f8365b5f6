"""Who may enter a cluster: access entries, and the access policies that are associated with them."""

from __future__ import annotations

import re

from tests.standins.aws_server.eks.clusters import MODES
from tests.standins.aws_server.eks.state import ClusterState, EksState, Members, Resource, chosen, page
from tests.standins.aws_server.faults import in_use, invalid_parameter, invalid_request, not_found
from tests.standins.aws_server.wire import now
from tests.standins.aws_server.world import ACCOUNT

POLICY = "arn:aws:eks::aws:cluster-access-policy/"
ADMIN = f"{POLICY}AmazonEKSClusterAdminPolicy"
POLICIES = tuple(
    f"AmazonEKS{name}Policy"
    for name in (
        "Admin",
        "ClusterAdmin",
        "AdminView",
        "Edit",
        "View",
        "SecretReader",
        "AutoNode",
        "Hybrid",
        "ClusterInsights",
    )
)
TYPES = ("STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX")
RESERVED = re.compile(r"^(system|eks|aws|amazon|iam):")


class Access:
    """The part of the service that is about access entries."""

    state: EksState

    def create_access_entry(self, given: Members) -> Members:
        cluster = self._entries(given["clusterName"])
        principal, kind = given["principalArn"], given.get("type", "STANDARD")
        if principal in cluster.entries:
            raise in_use(f"The specified access entry resource is already in use on this cluster: {principal}")
        if not self.state.world.principal(principal):
            raise invalid_parameter(f"The specified principalArn is invalid: invalid principal {principal}")
        if kind not in TYPES:
            raise invalid_parameter(f"type {kind!r} is none of {', '.join(TYPES)}")
        if kind != "STANDARD" and (given.get("kubernetesGroups") or given.get("username")):
            raise invalid_parameter(f"groups and username cannot be set on an entry of type {kind}")
        _allowed(given)
        entry = self._entry(cluster, given, kind)
        return {"accessEntry": dict(entry.view)}

    def _entry(self, cluster: ClusterState, given: Members, kind: str) -> Resource:
        principal = given["principalArn"]
        groups = ["system:nodes"] if kind == "EC2_LINUX" else given.get("kubernetesGroups", [])
        name = cluster.view["name"]
        _, _, tail = principal.partition(f"::{ACCOUNT}:")
        made = Resource(
            {
                "clusterName": name,
                "principalArn": principal,
                "kubernetesGroups": groups,
                "accessEntryArn": self.state.arn(
                    "access-entry", name, tail.partition("/")[0], ACCOUNT, principal.rpartition("/")[2]
                ),
                "createdAt": now(),
                "modifiedAt": now(),
                "tags": dict(given.get("tags", {})),
                "username": given.get("username") or username(principal, kind),
                "type": kind,
            }
        )
        cluster.entries[principal] = made
        return made

    def _entries(self, name: str) -> ClusterState:
        cluster = self.state.usable(name)
        if cluster.view["accessConfig"]["authenticationMode"] == MODES[0]:
            raise invalid_request("The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]")
        return cluster

    def _entry_of(self, given: Members) -> tuple[ClusterState, Resource]:
        cluster = self.state.cluster(given["clusterName"])
        principal = given["principalArn"]
        if principal not in cluster.entries:
            raise not_found(
                f"The specified principalArn could not be found: {principal}", clusterName=given["clusterName"]
            )
        return cluster, cluster.entries[principal]

    def grant_creator(self, cluster: ClusterState) -> None:
        """Make whoever created the cluster its administrator."""
        self._entry(cluster, {"principalArn": cluster.creator}, "STANDARD")
        self._associate(cluster, cluster.creator, ADMIN, {"type": "cluster", "namespaces": []})

    def admit_nodes(self, cluster: ClusterState, role: str) -> None:
        """Let the nodes of a managed group join."""
        if cluster.view["accessConfig"]["authenticationMode"] != MODES[0] and role not in cluster.entries:
            self._entry(cluster, {"principalArn": role}, "EC2_LINUX")

    def dismiss_nodes(self, cluster: ClusterState, role: str) -> None:
        """Undo it when the last group with that role is gone."""
        if role in cluster.entries and cluster.entries[role].view["type"] == "EC2_LINUX":
            cluster.entries.pop(role)

    def describe_access_entry(self, given: Members) -> Members:
        return {"accessEntry": self._entry_of(given)[1].view}

    def list_access_entries(self, given: Members) -> Members:
        cluster = self.state.cluster(given["clusterName"])
        wanted = given.get("associatedPolicyArn")
        found = [arn for arn in sorted(cluster.entries) if not wanted or wanted in cluster.policies.get(arn, {})]
        return page(found, given, "accessEntries")

    def update_access_entry(self, given: Members) -> Members:
        _, entry = self._entry_of(given)
        if entry.view["type"] != "STANDARD":
            raise invalid_request(f"an access entry of type {entry.view['type']} cannot be updated")
        _allowed(given)
        changed = chosen(given, ("kubernetesGroups", "username"))
        entry.view.update(changed, modifiedAt=now())
        return {"accessEntry": dict(entry.view)}

    def delete_access_entry(self, given: Members) -> Members:
        cluster, _ = self._entry_of(given)
        cluster.entries.pop(given["principalArn"])
        cluster.policies.pop(given["principalArn"], None)
        return {}

    def associate_access_policy(self, given: Members) -> Members:
        cluster, entry = self._entry_of(given)
        policy, scope = given["policyArn"], given["accessScope"]
        if policy.removeprefix(POLICY) not in POLICIES:
            raise invalid_parameter(
                f"The policyArn parameter format is not valid, or there is no such policy: {policy}"
            )
        if entry.view["type"] != "STANDARD":
            raise invalid_request(f"policies cannot be associated with an entry of type {entry.view['type']}")
        if (scope["type"] == "namespace") != bool(scope.get("namespaces")):
            raise invalid_parameter("namespaces go with scope type namespace, and only with it")
        made = self._associate(cluster, given["principalArn"], policy, scope)
        return {
            "clusterName": given["clusterName"],
            "principalArn": given["principalArn"],
            "associatedAccessPolicy": made,
        }

    def _associate(self, cluster: ClusterState, principal: str, policy: str, scope: Members) -> Members:
        held = cluster.policies.setdefault(principal, {})
        since = held.get(policy, {"associatedAt": now()})["associatedAt"]
        whole = {"namespaces": [], **scope}
        held[policy] = {"policyArn": policy, "accessScope": whole, "associatedAt": since, "modifiedAt": now()}
        return held[policy]

    def disassociate_access_policy(self, given: Members) -> Members:
        cluster, _ = self._entry_of(given)
        if given["policyArn"] not in cluster.policies.get(given["principalArn"], {}):
            raise not_found(f"{given['policyArn']} is not associated with {given['principalArn']}")
        cluster.policies[given["principalArn"]].pop(given["policyArn"])
        return {}

    def list_associated_access_policies(self, given: Members) -> Members:
        cluster, _ = self._entry_of(given)
        held = cluster.policies.get(given["principalArn"], {})
        names = {"clusterName": given["clusterName"], "principalArn": given["principalArn"]}
        return {**names, **page([held[policy] for policy in sorted(held)], given, "associatedAccessPolicies")}

    def list_access_policies(self, given: Members) -> Members:
        return page([{"name": name, "arn": f"{POLICY}{name}"} for name in POLICIES], given, "accessPolicies")


def username(principal: str, kind: str) -> str:
    """Return the user that the API server sees when the entry names none."""
    if kind == "EC2_LINUX":
        return "system:node:{{EC2PrivateDNSName}}"
    if ":role/" in principal:
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/{principal.rpartition('/')[2]}/{{{{SessionName}}}}"
    return principal


def _allowed(given: Members) -> None:
    for name in [*given.get("kubernetesGroups", []), given.get("username", "")]:
        if RESERVED.match(name):
            raise invalid_parameter(f"{name!r} begins with what is reserved: system:, eks:, aws:, amazon: or iam:")
