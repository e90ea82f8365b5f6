"""The stand-in of the AWS plugin: properties as the API calls them, and what counts as the same. Pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.standins.aws_plugin.fields import (
    CAMEL,
    PASCAL,
    F,
    covers,
    decode,
    encode,
    is_empty,
    pruned,
    same,
    spelled,
)

FIELDS = {
    "name": F(api="RepositoryName", new=True),
    "deep": F(api="Outer.Inner.Value"),
    "other": F(api="Outer.Other"),
    "config": F(sub={"keyArn": F(), "chosen": F(computed=True), "told": F(output=True)}),
    "rules": F(many=True, unordered=True, sub={"id": F(api="ID"), "days": F()}),
    "steers": F(local=True),
    "secret": F(once=True),
    "flag": F(to=lambda value: value == "yes", back=lambda value: "yes" if value else "no"),
    "policy": F(text=True),
    "zones": F(unordered=True),
}
GIVEN: dict[str, Any] = {
    "name": "n",
    "deep": 1,
    "other": 2,
    "config": {"keyArn": "k"},
    "rules": [{"id": "a", "days": 3}],
    "steers": True,
    "flag": "yes",
}


def test_properties_become_parameters_and_parameters_properties() -> None:
    params = encode(FIELDS, GIVEN, PASCAL)
    assert params == {
        "RepositoryName": "n",
        "Outer": {"Inner": {"Value": 1}, "Other": 2},
        "Config": {"KeyArn": "k"},
        "Rules": [{"ID": "a", "Days": 3}],
        "Flag": True,
    }
    assert decode(FIELDS, params, PASCAL) == {key: value for key, value in GIVEN.items() if key != "steers"}


def test_a_service_that_writes_names_as_properties_are_needs_no_names() -> None:
    assert encode({"nodeRole": F()}, {"nodeRole": "r"}, CAMEL) == {"nodeRole": "r"}


def test_what_the_api_does_not_tell_is_no_property() -> None:
    assert decode(FIELDS, {"Outer": {"Inner": None}, "Secret": "s", "Unasked": 1}, PASCAL) == {}


def test_a_document_that_was_parsed_is_text_again() -> None:
    assert json.loads(decode(FIELDS, {"Policy": {"a": 1}}, PASCAL)["policy"]) == {"a": 1}


@pytest.mark.parametrize(
    ("field", "one", "other", "expected"),
    [
        (F(), "a", "a", True),
        (F(), "a", "b", False),
        (F(), None, False, True),
        (F(), None, [], True),
        (F(), None, "a", False),
        (F(), True, 1, False),
        (F(), "443", 443, True),
        (F(), ["a", "b"], ["b", "a"], False),
        (F(unordered=True), ["a", "b"], ["b", "a"], True),
        (F(unordered=True), ["a", "a"], ["a", "b"], False),
        (F(text=True), '{"a": 1}', '{"a":1}', True),
        (F(text=True), '{"a": ["x"]}', '{"a": "x"}', True),
        (F(text=True), '{"a": ["x", "y"]}', '{"a": ["y", "x"]}', True),
        (F(text=True), '{"a": 1}', '{"a": 2}', False),
        (F(text=True), "no document", "another", False),
        (F(form=float), "100.00", "100.0", True),
        (F(sub={"a": F(unordered=True)}), {"a": [1, 2]}, {"a": [2, 1], "b": None}, True),
        (F(), {"a": 1}, {"a": 1, "b": 2}, False),
    ],
)
def test_values_are_the_same_when_they_mean_the_same(field: F, one: Any, other: Any, *, expected: bool) -> None:
    assert same(field, one, other) is expected
    assert same(field, other, one) is expected


def test_zero_and_unset_are_one_thing() -> None:
    empty: list[Any] = [None, False, 0, "", [], {}]
    full: list[Any] = [True, 1, "0", [0], {"a": None}]
    assert [is_empty(value) for value in (*empty, *full)] == [True] * len(empty) + [False] * len(full)


def test_what_is_read_keeps_the_spelling_and_order_that_are_known() -> None:
    known = {
        "policy": '{ "a" : 1 }',
        "zones": ["b", "a"],
        "rules": [{"id": "2", "days": 4}, {"id": "1", "days": 3}],
        "config": {"keyArn": "k"},
    }
    found = {
        "policy": '{"a":1}',
        "zones": ["a", "b"],
        "rules": [{"id": "1", "days": 3, "more": True}, {"id": "2", "days": 4}],
        "config": {"keyArn": "k", "chosen": "by AWS"},
    }
    assert spelled(FIELDS, found, known) == {
        "policy": '{ "a" : 1 }',
        "zones": ["b", "a"],
        "rules": [{"id": "2", "days": 4}, {"id": "1", "days": 3, "more": True}],
        "config": {"keyArn": "k", "chosen": "by AWS"},
    }


def test_what_has_changed_is_read_as_it_is() -> None:
    known = {"zones": ["b", "a"], "policy": '{"a": 1}'}
    found = {"zones": ["a", "c"], "policy": '{"a":2}'}
    assert spelled(FIELDS, found, known) == found


def test_what_the_api_never_tells_stays_known_and_what_it_lost_is_gone() -> None:
    known = {"steers": True, "secret": "s", "zones": [], "name": "lost", "config": {"keyArn": "k"}}
    assert spelled(FIELDS, {}, known) == {"steers": True, "secret": "s", "zones": []}


def test_inputs_as_they_are_now_hold_only_what_was_given() -> None:
    found = {"config": {"keyArn": "changed", "chosen": "x"}, "zones": ["a"], "deep": 1}
    given = {"config": {"keyArn": "k"}, "name": "gone", "steers": True}
    assert pruned(FIELDS, found, given) == {"config": {"keyArn": "changed"}, "steers": True}


def test_an_object_covers_another_one_that_says_less() -> None:
    fields = {"inner": F(sub={"a": F(), "b": F()}), "c": F()}
    whole = {"inner": {"a": 1, "b": 2}, "c": 3}
    assert covers(fields, whole, {"inner": {"a": 1}})
    assert not covers(fields, whole, {"inner": {"a": 2}})
    assert not covers(fields, {"inner": {"a": 1}}, whole)
