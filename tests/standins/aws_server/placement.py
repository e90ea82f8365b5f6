"""EC2's placement groups, which moto has not: made, described, tagged, deleted."""

from __future__ import annotations

import secrets
from typing import Any

from botocore import xform_name
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from tests.standins.aws_server.faults import Fault
from tests.standins.aws_server.wire import Response
from tests.standins.aws_server.world import ACCOUNT

PREFIX = "pg-"


class Groups:
    """Placement groups of one region."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._groups: dict[str, dict[str, Any]] = {}

    def answer(self, operation: str, given: dict[str, Any]) -> Response | None:
        """Answer a call about placement groups; None: it is about something else."""
        ours = "PlacementGroup" in operation or any(name.startswith(PREFIX) for name in given.get("Resources", []))
        method = getattr(self, xform_name(operation), None) if ours else None
        if method is None:
            return None
        result = method(given)
        operations = get_service_model("ec2").operation_model(operation)
        written = get_serializer_class("ec2", "ec2")(operations).serialize(result or {})
        body = written["body"]
        return Response(200, {"Content-Type": "text/xml"}, body if isinstance(body, bytes) else body.encode())

    def create_placement_group(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given.get("GroupName", "")
        if name in self._groups:
            raise Fault("InvalidPlacementGroup.Duplicate", f"The placement group '{name}' already exists.")
        if not name:
            raise Fault("MissingParameter", "The request must contain the parameter groupName")
        unique = f"{PREFIX}{secrets.token_hex(8)}"
        tags = [tag for entry in given.get("TagSpecifications", []) for tag in entry.get("Tags", [])]
        strategy = given.get("Strategy", "cluster")
        self._groups[name] = {
            "GroupName": name,
            "GroupId": unique,
            "GroupArn": f"arn:aws:ec2:{self._region}:{ACCOUNT}:placement-group/{name}",
            "State": "available",
            "Strategy": strategy,
            "Tags": tags,
            **{key: given[key] for key in ("PartitionCount", "SpreadLevel") if key in given},
        }
        return {"PlacementGroup": self._groups[name]}

    def describe_placement_groups(self, given: dict[str, Any]) -> dict[str, Any]:
        names, ids = given.get("GroupNames", []), given.get("GroupIds", [])
        if unknown := [name for name in names if name not in self._groups]:
            raise Fault("InvalidPlacementGroup.Unknown", f"The Placement Group '{unknown[0]}' is unknown.")
        wanted = {entry["Name"]: entry["Values"] for entry in given.get("Filters", [])}
        found = [
            group
            for name, group in sorted(self._groups.items())
            if (not names or name in names)
            and (not ids or group["GroupId"] in ids)
            and name in wanted.get("group-name", [name])
            and _tagged(group, wanted)
        ]
        return {"PlacementGroups": found}

    def delete_placement_group(self, given: dict[str, Any]) -> None:
        if given["GroupName"] not in self._groups:
            raise Fault("InvalidPlacementGroup.Unknown", f"The Placement Group '{given['GroupName']}' is unknown.")
        self._groups.pop(given["GroupName"])

    def create_tags(self, given: dict[str, Any]) -> None:
        for group in self._named(given):
            fresh = {tag["Key"] for tag in given["Tags"]}
            group["Tags"] = [tag for tag in group["Tags"] if tag["Key"] not in fresh] + given["Tags"]

    def delete_tags(self, given: dict[str, Any]) -> None:
        gone = {tag["Key"] for tag in given.get("Tags", [])}
        for group in self._named(given):
            group["Tags"] = [tag for tag in group["Tags"] if gone and tag["Key"] not in gone]

    def _named(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        found = [group for group in self._groups.values() if group["GroupId"] in given["Resources"]]
        if len(found) != len(given["Resources"]):
            raise Fault("InvalidPlacementGroupId.Unknown", f"one of {given['Resources']} is unknown")
        return found


def _tagged(group: dict[str, Any], wanted: dict[str, list[str]]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    return all(tags.get(key[4:]) in values for key, values in wanted.items() if key.startswith("tag:"))
