"""Pod identity associations: one role a service account, a role that Pod Identity may take on."""

from __future__ import annotations

from tests.standins.aws_server.eks.state import ClusterState, EksState, Members, Resource, chosen, identifier, page
from tests.standins.aws_server.faults import in_use, invalid_parameter, invalid_request, not_found
from tests.standins.aws_server.wire import now

SUMMARY = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")


class Identities:
    """The part of the service that is about pod identities."""

    state: EksState

    def create_pod_identity_association(self, given: Members) -> Members:
        cluster = self.state.usable(given["clusterName"])
        namespace, account = given["namespace"], given["serviceAccount"]
        for held in cluster.identities.values():
            if (held.view["namespace"], held.view["serviceAccount"]) == (namespace, account):
                raise in_use(
                    f"Association already exists: {held.view['associationId']}", clusterName=given["clusterName"]
                )
        self._assumable(given["roleArn"])
        name = identifier("a-", 17)
        made = Resource(
            {
                "clusterName": given["clusterName"],
                "namespace": namespace,
                "serviceAccount": account,
                "roleArn": given["roleArn"],
                "associationArn": self.state.arn("podidentityassociation", given["clusterName"], name),
                "associationId": name,
                "tags": dict(given.get("tags", {})),
                "createdAt": now(),
                "modifiedAt": now(),
                "disableSessionTags": given.get("disableSessionTags", False),
                "ownerArn": given.get("_owner"),
                **chosen(given, ("targetRoleArn", "policy")),
            }
        )
        cluster.identities[name] = made
        return {"association": dict(made.view)}

    def _assumable(self, role: str) -> None:
        if not self.state.world.trusts(role, "pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"):
            raise invalid_parameter(
                f"no role {role} whose trust policy lets pods.eks.amazonaws.com do sts:AssumeRole and sts:TagSession"
            )

    def _identity(self, given: Members) -> tuple[ClusterState, Resource]:
        cluster = self.state.cluster(given["clusterName"])
        name = given["associationId"]
        if name not in cluster.identities:
            raise not_found(f"No association found with id: {name}", clusterName=given["clusterName"])
        return cluster, cluster.identities[name]

    def describe_pod_identity_association(self, given: Members) -> Members:
        return {"association": self._identity(given)[1].view}

    def list_pod_identity_associations(self, given: Members) -> Members:
        cluster = self.state.cluster(given["clusterName"])
        found = [
            {key: held.view[key] for key in SUMMARY}
            for _, held in sorted(cluster.identities.items())
            if given.get("namespace", held.view["namespace"]) == held.view["namespace"]
            and given.get("serviceAccount", held.view["serviceAccount"]) == held.view["serviceAccount"]
        ]
        return page(found, given, "associations")

    def update_pod_identity_association(self, given: Members) -> Members:
        _, held = self._identity(given)
        _unowned(held)
        if "roleArn" in given:
            self._assumable(given["roleArn"])
        changed = chosen(given, ("roleArn", "disableSessionTags", "targetRoleArn", "policy"))
        held.view.update(changed, modifiedAt=now())
        return {"association": dict(held.view)}

    def delete_pod_identity_association(self, given: Members) -> Members:
        cluster, held = self._identity(given)
        _unowned(held)
        cluster.identities.pop(given["associationId"])
        return {"association": dict(held.view)}


def _unowned(held: Resource) -> None:
    if held.view["ownerArn"]:
        raise invalid_request(f"{held.view['associationId']} belongs to {held.view['ownerArn']}: change that instead")
