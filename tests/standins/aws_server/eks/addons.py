"""Add-ons: known by name, in a version that exists for the cluster's Kubernetes, ACTIVE only with nodes to run on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.standins.aws_server.eks.clusters import VERSIONS
from tests.standins.aws_server.eks.state import ClusterState, EksState, Members, Resource, chosen, identifier, page
from tests.standins.aws_server.faults import in_use, invalid_parameter, not_found
from tests.standins.aws_server.wire import now

CATALOGUE: dict[str, Members] = json.loads((Path(__file__).parent / "addons.json").read_text())["addons"]
FORM = re.compile(r"^v\d+\.\d+\.\d+-eksbuild\.\d+$")
CHANGEABLE = ("addonVersion", "serviceAccountRoleArn", "configurationValues")


class Addons:
    """The part of the service that is about add-ons."""

    state: EksState

    def create_addon(self, given: Members) -> Members:
        cluster = self.state.usable(given["clusterName"])
        name = given["addonName"]
        if name in cluster.addons:
            raise in_use(f"Addon already exists: {name}", clusterName=given["clusterName"], addonName=name)
        if name not in CATALOGUE:
            raise invalid_parameter(f"Addon {name} not found; there are {', '.join(sorted(CATALOGUE))}", addonName=name)
        version = given.get("addonVersion") or CATALOGUE[name]["versions"][0]
        _check(given, name, version)
        resource = Resource(
            {
                "addonName": name,
                "clusterName": given["clusterName"],
                "addonVersion": version,
                "health": {"issues": []},
                "addonArn": self.state.arn("addon", given["clusterName"], name, identifier(length=12)),
                "createdAt": now(),
                "modifiedAt": now(),
                "tags": dict(given.get("tags", {})),
                "podIdentityAssociations": [],
                "owner": "aws",
                "publisher": "eks",
                "namespaceConfig": {"namespace": given.get("namespaceConfig", {}).get("namespace", "kube-system")},
                **chosen(given, ("serviceAccountRoleArn", "configurationValues")),
            }
        )
        self._identify(cluster, resource, given.get("podIdentityAssociations", []))
        cluster.addons[name] = resource
        resource.becoming("CREATING", "ACTIVE", self.state.settle_s, self.recheck_addons(cluster))
        return {"addon": dict(resource.view)}

    def create_pod_identity_association(self, given: Members) -> Members:
        raise NotImplementedError

    def _identify(self, cluster: ClusterState, addon: Resource, wanted: list[Members]) -> None:
        """Replace the pod identities that belong to an add-on."""
        for arn in addon.view["podIdentityAssociations"]:
            cluster.identities.pop(arn.rpartition("/")[2])
        addon.view["podIdentityAssociations"] = []
        for entry in wanted:
            made = self.create_pod_identity_association(
                {
                    "clusterName": addon.view["clusterName"],
                    "namespace": addon.view["namespaceConfig"]["namespace"],
                    "_owner": addon.view["addonArn"],
                    **entry,
                }
            )["association"]
            addon.view["podIdentityAssociations"].append(made["associationArn"])

    def recheck_addons(self, cluster: ClusterState) -> Callable[[], None]:
        """Return what says of every add-on whether its pods run anywhere."""

        def check() -> None:
            nodes = sum(
                group.view["scalingConfig"]["desiredSize"]
                for group in cluster.node_groups.values()
                if group.view["status"] == "ACTIVE"
            )
            for name, addon in cluster.addons.items():
                if CATALOGUE[name]["needs_nodes"] and addon.view["status"] in ("ACTIVE", "DEGRADED"):
                    issue = {"code": "InsufficientNumberOfReplicas", "message": "no node to run on", "resourceIds": []}
                    addon.view["status"] = "ACTIVE" if nodes else "DEGRADED"
                    addon.view["health"] = {"issues": [] if nodes else [issue]}

        return check

    def _addon(self, given: Members) -> tuple[ClusterState, Resource]:
        cluster = self.state.cluster(given["clusterName"])
        name = given["addonName"]
        if name not in cluster.addons:
            raise not_found(f"No addon: {name} found in cluster: {given['clusterName']}", addonName=name)
        return cluster, cluster.addons[name]

    def describe_addon(self, given: Members) -> Members:
        return {"addon": self._addon(given)[1].view}

    def list_addons(self, given: Members) -> Members:
        return page(sorted(self.state.cluster(given["clusterName"]).addons), given, "addons")

    def update_addon(self, given: Members) -> Members:
        cluster, addon = self._addon(given)
        name = given["addonName"]
        _check(given, name, str(given.get("addonVersion") or addon.view["addonVersion"]))
        params = {key[0].upper() + key[1:]: given[key] for key in CHANGEABLE if key in given}
        if addon.view["status"] == "DEGRADED":
            addon.view["status"] = "ACTIVE"  # can be repaired by a change
        update = self.state.update(cluster, f"addon/{name}", "AddonUpdate", params, addon)
        if "podIdentityAssociations" in given:
            self._identify(cluster, addon, given["podIdentityAssociations"])
        addon.view.update(chosen(given, CHANGEABLE))
        return {"update": update}

    def delete_addon(self, given: Members) -> Members:
        cluster, addon = self._addon(given)
        if addon.view["status"] in ("CREATING", "UPDATING", "DELETING"):
            raise in_use(f"Addon {given['addonName']} is {addon.view['status']}", addonName=given["addonName"])

        def gone() -> None:
            self._identify(cluster, addon, [])
            cluster.addons.pop(given["addonName"])

        addon.becoming("DELETING", "DELETING", self.state.settle_s, gone)
        return {"addon": dict(addon.view)}

    def describe_addon_versions(self, given: Members) -> Members:
        wanted, version = given.get("addonName"), given.get("kubernetesVersion")
        clusters = [version] if version else list(VERSIONS)
        found: list[Members] = [
            {
                "addonName": name,
                "owner": "aws",
                "publisher": "eks",
                "type": entry["type"],
                "addonVersions": [
                    {
                        "addonVersion": text,
                        "architecture": ["amd64", "arm64"],
                        "compatibilities": [{"clusterVersion": on, "defaultVersion": not index} for on in clusters],
                    }
                    for index, text in enumerate(entry["versions"])
                ],
            }
            for name, entry in sorted(CATALOGUE.items())
            if wanted in (None, name) and (version is None or version in VERSIONS)
        ]
        if wanted and wanted not in CATALOGUE:
            raise not_found(f"Addon {wanted} not found")
        return page(found, given, "addons")


def _check(given: Members, name: str, version: str) -> None:
    if not FORM.match(version) or version.rpartition(".")[0].rpartition(".")[0] not in _lines(name):
        raise invalid_parameter(
            f"Addon version is not supported: {name} {version}; there are {', '.join(CATALOGUE[name]['versions'])}",
            addonName=name,
        )
    if "configurationValues" in given:
        _configured(name, given["configurationValues"])


def _lines(name: str) -> set[str]:
    """Return the minor versions that the catalogue has, each as `v1.20`."""
    return {text.rpartition(".")[0].rpartition(".")[0] for text in CATALOGUE[name]["versions"]}


def _configured(name: str, text: str) -> None:
    """Check configuration values against what the catalogue says of their types."""
    try:
        values: Any = json.loads(text or "{}")
    except ValueError as error:
        raise invalid_parameter(f"ConfigurationValue provided is no JSON: {error}", addonName=name) from error
    for key, expected in CATALOGUE[name].get("configuration", {}).items():
        if key in values and type(values[key]).__name__ != expected:
            raise invalid_parameter(
                f"ConfigurationValue provided is not supported: {key} must be {expected}, is {values[key]!r}",
                addonName=name,
            )
