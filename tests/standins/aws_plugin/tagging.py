"""How each service takes, tells and changes tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from tests.standins.aws_plugin.fields import Values
from tests.standins.aws_plugin.row import Tagging, Work

Named = Callable[[Work], str]


def pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[Values]:
    """Return tags as most services take them."""
    return [{key: name, value: text} for name, text in sorted(tags.items())]


def from_pairs(found: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Return tags as most services tell them."""
    return {item[key]: item.get(value, "") for item in found or []}


def own_id(work: Work) -> str:
    """Return the resource's id."""
    return work.id


def ec2(kind: str, resource: Named = own_id) -> Tagging:
    """Tags of EC2: in a specification on create, by one pair of calls for all kinds of resources later."""

    def change(work: Work, added: Mapping[str, str], removed: Collection[str]) -> None:
        if removed:
            work.call("delete_tags", Resources=[resource(work)], Tags=[{"Key": key} for key in removed])
        if added:
            work.call("create_tags", Resources=[resource(work)], Tags=pairs(added))

    return Tagging(
        given=lambda tags: {"TagSpecifications": [{"ResourceType": kind, "Tags": pairs(tags)}]},
        read=lambda _, found: from_pairs(found.get("Tags")),
        change=change,
    )


def adopted_ec2() -> Tagging:
    """Tags of what EC2 made by itself: put afterwards."""
    made = ec2("")
    return Tagging(given=None, read=made.read, change=made.change)


def by_arn(
    arn: Named,
    *,
    given: str | None,
    resource: str,
    tags: str,
    keys: str,
    listed: Callable[[Work, Values], Mapping[str, str]],
    calls: tuple[str, str] = ("tag_resource", "untag_resource"),
    plain: bool = False,
    key: str = "Key",
    value: str = "Value",
) -> Tagging:
    """Tags of a service that finds a resource by its ARN or name.

    Args:
        arn: what names the resource.
        given: the parameter of the creating call.
        resource: the parameter that takes the name.
        tags: the parameter with tags.
        keys: the parameter with keys of tags.
        listed: how they are read.
        calls: what sets and what removes them.
        plain: whether tags are one mapping, else a list of pairs.
        key: what the key in a pair is called.
        value: what the value in a pair is called.
    """

    def written(found: Mapping[str, str]) -> Any:
        return dict(found) if plain else pairs(found, key, value)

    def change(work: Work, added: Mapping[str, str], removed: Collection[str]) -> None:
        if removed:
            work.call(calls[1], **{resource: arn(work), keys: sorted(removed)})
        if added:
            work.call(calls[0], **{resource: arn(work), tags: written(added)})

    making = None if given is None else lambda found: {given: written(found)}
    return Tagging(given=making, read=listed, change=change)
