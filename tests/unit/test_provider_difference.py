"""What a preview says has changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.provider import PropertyDiffKind

from infra.local.provider.difference import difference
from infra.local.provider.values import UNKNOWN

NAMES = ("identity", "parts", "ports")
values = st.dictionaries(st.sampled_from(NAMES), st.integers() | st.dictionaries(st.text(max_size=3), st.integers()))


@given(values)
def test_equal_inputs_are_definitely_no_change(inputs: dict[str, Any]) -> None:
    response = difference(NAMES, {**inputs, "pid": 3}, inputs, replacing=NAMES).response()
    assert response.changes is False
    assert (response.replaces, response.diffs, response.detailed_diff) == ([], [], {})


@given(values, values)
def test_different_inputs_are_definitely_a_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    response = difference(NAMES, old, new).response()
    assert response.changes is any(
        old.get(name, {}) != new.get(name, {}) or (name in old) != (name in new) for name in NAMES
    )


def test_a_nested_change_is_named_by_its_path_and_replaces() -> None:
    old = {"identity": "a", "parts": {"seed": "7", "data": "x"}}
    response = difference(
        NAMES, old, {"identity": "b", "parts": {"seed": "8", "data": "x"}}, replacing=NAMES
    ).response()
    assert set(response.detailed_diff) == {"identity", "parts.seed"}
    assert response.detailed_diff["parts.seed"].kind is PropertyDiffKind.UPDATE_REPLACE
    assert response.replaces == ["identity", "parts"]


def test_a_key_with_dots_is_quoted_in_its_path() -> None:
    response = difference(
        NAMES, {"ports": {"slipway:tracking.port": 1}}, {"ports": {"slipway:tracking.port": 2}}
    ).response()
    assert set(response.detailed_diff) == {'ports["slipway:tracking.port"]'}
    assert response.diffs == ["ports"]


def test_an_unknown_input_counts_as_changed() -> None:
    response = difference(NAMES, {"identity": "a"}, {"identity": UNKNOWN}).response()
    assert response.changes is True


def test_added_and_removed_inputs_are_told_apart() -> None:
    response = difference(NAMES, {"identity": "a"}, {"ports": {}}).response()
    assert response.detailed_diff["identity"].kind is PropertyDiffKind.DELETE
    assert response.detailed_diff["ports"].kind is PropertyDiffKind.ADD


def test_drift_is_a_change_of_an_output_and_of_no_input() -> None:
    response = difference(NAMES, {}, {}, drift=["running"]).response()
    assert response.changes is True
    assert response.detailed_diff["running"].input_diff is False


def test_consequences_can_be_left_out_without_losing_the_change() -> None:
    found = difference(NAMES, {"identity": "a", "parts": "x"}, {"identity": "b", "parts": "y"}).without(["parts"])
    assert found.response().diffs == ["identity"]
