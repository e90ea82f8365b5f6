"""Property values: numbers, nulls and unknowns, in both directions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime import rpc

from infra.local.provider.values import UNKNOWN, has_unknown, plain, wrapped

values = st.recursive(
    st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), values))
def test_what_is_wrapped_and_unwrapped_is_the_same(properties: dict[str, Any]) -> None:
    assert plain(wrapped(properties)) == properties


def test_a_whole_number_arrives_as_an_integer_and_a_fraction_as_it_is() -> None:
    arrived = plain({"port": PropertyValue(5000.0), "share": PropertyValue(0.5)})
    assert arrived == {"port": 5000, "share": 0.5}
    assert isinstance(arrived["port"], int)


def test_null_and_absent_are_the_same_at_every_depth() -> None:
    nested = PropertyValue({"body": PropertyValue(None), "url": PropertyValue("u")})
    assert plain({"a": PropertyValue(None), "ready": PropertyValue([nested])}) == {"ready": [{"url": "u"}]}


def test_an_output_that_is_none_is_said_and_not_left_out() -> None:
    assert wrapped({"champion": None})["champion"].value is None


def test_an_unknown_value_is_recognised_and_sent_back_as_unknown() -> None:
    arrived = plain({"spec": PropertyValue(rpc.UNKNOWN)})
    assert arrived["spec"] is UNKNOWN
    assert wrapped(arrived)["spec"].value == rpc.UNKNOWN


def test_an_unknown_inside_a_list_inside_a_map_is_found() -> None:
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": "known"}]})
