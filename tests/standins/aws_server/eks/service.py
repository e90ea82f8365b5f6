"""The whole service, put together: updates and tags are of all its resources."""

from __future__ import annotations

from collections.abc import Iterator

from tests.standins.aws_server.eks.access import Access
from tests.standins.aws_server.eks.addons import Addons
from tests.standins.aws_server.eks.clusters import Clusters
from tests.standins.aws_server.eks.identities import Identities
from tests.standins.aws_server.eks.node_groups import NodeGroups
from tests.standins.aws_server.eks.state import EksState, Members, Resource, page
from tests.standins.aws_server.faults import Fault, not_found

MOST_TAGS = 50


# the order matters: what one part leaves open, a part before it supplies
class EksService(Access, Identities, Addons, Clusters, NodeGroups):
    """EKS of one region; an operation of the model is a method of the same name, in Python's spelling."""

    def __init__(self, state: EksState) -> None:
        self.state = state

    def describe_update(self, given: Members) -> Members:
        cluster = self.state.cluster(given["name"])
        for of, update in cluster.updates:
            if update.view["id"] == given["updateId"] and of == _subject(given):
                return {"update": update.view}
        raise not_found(f"No update found for ID: {given['updateId']}", clusterName=given["name"])

    def list_updates(self, given: Members) -> Members:
        cluster = self.state.cluster(given["name"])
        found = [update.view["id"] for of, update in cluster.updates if of == _subject(given)]
        return page(found, given, "updateIds")

    def tag_resource(self, given: Members) -> Members:
        tags = {**self._tagged(given).view["tags"], **given["tags"]}
        if len(tags) > MOST_TAGS:
            raise Fault("BadRequestException", f"more than {MOST_TAGS} tags")
        self._tagged(given).view["tags"] = tags
        return {}

    def untag_resource(self, given: Members) -> Members:
        for key in given["tagKeys"]:
            self._tagged(given).view["tags"].pop(key, None)
        return {}

    def list_tags_for_resource(self, given: Members) -> Members:
        return {"tags": self._tagged(given).view["tags"]}

    def _tagged(self, given: Members) -> Resource:
        for resource in self._taggable():
            arns = ("arn", "nodegroupArn", "addonArn", "accessEntryArn", "associationArn")
            if given["resourceArn"] in [resource.view.get(key) for key in arns]:
                return resource
        raise Fault("NotFoundException", f"{given['resourceArn']} does not exist", 404)

    def _taggable(self) -> Iterator[Resource]:
        for cluster in self.state.clusters.values():
            yield from cluster.everything()


def _subject(given: Members) -> str:
    for member, kind in (("nodegroupName", "nodegroup"), ("addonName", "addon")):
        if member in given:
            return f"{kind}/{given[member]}"
    return ""
