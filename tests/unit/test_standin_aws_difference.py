"""The stand-in of the AWS plugin: what an update would change, and what it would replace. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standins.aws_plugin.difference import Difference, compare, with_ignored
from tests.standins.aws_plugin.fields import F
from tests.standins.plugin.values import UNKNOWN

FIELDS = {
    "name": F(new=True),
    "size": F(),
    "chosen": F(computed=True),
    "labels": F(),
    "zones": F(unordered=True),
    "policy": F(text=True),
    "network": F(sub={"cidr": F(new=True), "open": F(), "id": F(output=True)}),
    "rules": F(many=True, unordered=True, sub={"id": F(), "days": F()}),
    "steps": F(many=True, sub={"id": F(), "days": F()}),
}


def difference(state: dict[str, Any], new: dict[str, Any], old: dict[str, Any] | None = None) -> Difference:
    return compare(FIELDS, state, state if old is None else old, new, "name", leaf=False)


def changes(state: dict[str, Any], new: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [f"{change.how} {change.text}" for change in difference(state, new, old).changes]


@pytest.mark.parametrize(
    ("state", "new", "expected"),
    [
        ({"size": 1}, {"size": 1}, []),
        ({"size": 1}, {"size": 2}, ["update size"]),
        ({}, {"size": 2}, ["add size"]),
        ({"size": 2}, {}, ["delete size"]),
        ({"size": False}, {}, []),
        ({"chosen": "by AWS"}, {}, []),
        ({"chosen": "by AWS"}, {"chosen": "by me"}, ["update chosen"]),
        ({"size": 1}, {"size": UNKNOWN}, ["update size"]),
        ({"zones": ["a", "b"]}, {"zones": ["b", "a"]}, []),
        ({"zones": ["a"]}, {"zones": ["a", UNKNOWN]}, ["update zones"]),
        ({"policy": '{"a": 1}'}, {"policy": '{"a":1}'}, []),
        ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": "3", "c": "4"}},
         ["update labels.a", "delete labels.b", "add labels.c"]),
        ({"network": {"cidr": "x", "open": True, "id": "v"}}, {"network": {"cidr": "x", "open": True}}, []),
        ({"network": {"open": True}}, {"network": {"open": False}}, ["update network.open"]),
        ({"rules": [{"id": "1", "days": 1}, {"id": "2", "days": 2}]},
         {"rules": [{"id": "2", "days": 2}, {"id": "1", "days": 1}]}, []),
        ({"rules": [{"id": "1", "days": 1, "more": "x"}]}, {"rules": [{"id": "1", "days": 1}]}, []),
        ({"rules": [{"id": "1", "days": 1}]}, {"rules": [{"id": "1", "days": 2}]}, ["update rules[0].days"]),
        ({"steps": [{"id": "1"}, {"id": "2"}]}, {"steps": [{"id": "2"}, {"id": "1"}]},
         ["update steps[0].id", "update steps[1].id"]),
        ({"steps": [{"id": "1"}]}, {"steps": []}, ["update steps"]),
    ],
)  # fmt: skip
def test_differences_are_named_by_path(state: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert changes(state, new) == expected


def test_a_value_that_drifted_differs_from_what_is_wanted_though_the_program_did_not_change() -> None:
    assert changes({"size": 5}, {"size": 1}, {"size": 1}) == ["update size"]


def test_what_nobody_ever_gave_is_no_difference() -> None:
    assert changes({"size": 5, "labels": {"a": "b"}}, {}, {}) == []


def test_a_change_replaces_where_the_row_says_so_at_any_depth() -> None:
    state = {"name": "a", "network": {"cidr": "x", "open": True}}
    assert difference(state, {"name": "b", "network": {"cidr": "y", "open": False}}).replaces == [
        "name", "network.cidr",
    ]  # fmt: skip


def test_a_value_that_is_not_known_yet_replaces_where_its_change_would() -> None:
    assert difference({"name": "a"}, {"name": UNKNOWN}).replaces == ["name"]
    assert difference({"network": {"cidr": "x"}}, {"network": UNKNOWN}).replaces == ["network"]
    assert difference({"size": 1}, {"size": UNKNOWN}).replaces == []


def test_the_old_one_goes_first_only_where_the_new_one_needs_its_name() -> None:
    state = {"name": "a", "network": {"cidr": "x"}}
    kept_name, other_name = ({"name": name, "network": {"cidr": "y"}} for name in "ab")
    assert difference(state, kept_name).delete_first
    assert not difference(state, other_name).delete_first
    assert not difference(state, {"name": "a", "network": {"cidr": "x"}, "size": 2}).delete_first
    assert compare(FIELDS, state, state, other_name, "name", leaf=True).delete_first
    assert not compare(FIELDS, state, state, kept_name, "", leaf=False).delete_first


def test_what_the_program_ignores_stays_as_it_is() -> None:
    state = {"scaling": {"min": 0, "desired": 3}, "tags": {"a": "theirs"}, "list": [{"x": 1}, {"x": 2}]}
    new: dict[str, Any] = {"scaling": {"min": 1, "desired": 0}, "tags": {"a": "mine"}, "list": [{"x": 5}, {"x": 6}]}
    assert with_ignored(new, state, ["scaling.desired", 'tags["a"]', "list[1].x"]) == {
        "scaling": {"min": 1, "desired": 3},
        "tags": {"a": "theirs"},
        "list": [{"x": 5}, {"x": 2}],
    }
    assert new["scaling"]["desired"] == 0, "the wish itself is not touched"


def test_what_is_ignored_and_not_there_is_not_wanted_either() -> None:
    assert with_ignored({"a": {"b": 1}}, {}, ["a.b", "c.d"]) == {"a": {}}
