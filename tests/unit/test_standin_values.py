"""Values between the engine and the Kubernetes stand-in: what is secret stays secret, what is unknown unknown."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.standins.kubernetes_plugin import fields, objects
from tests.standins.kubernetes_plugin.objects import Object
from tests.standins.kubernetes_plugin.values import (
    UNKNOWN,
    Secret,
    Unknown,
    contains,
    from_struct,
    marked,
    plain,
    to_struct,
)

leaves = st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5) | st.just(UNKNOWN)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | inner.map(Secret)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), trees, max_size=4))
def test_values_come_back_as_they_went(values: dict[str, Any]) -> None:
    assert from_struct(to_struct(values)) == values
    assert not contains(plain(values), Secret)
    assert contains(plain(values), Unknown) == contains(values, Unknown)


def test_names_with_dashes_reach_the_api_server_with_dashes() -> None:
    sent = to_struct({"schema": {"x-kubernetes-int-or-string": True}})
    assert set(sent.fields["schema"].struct_value.fields) == {"x_kubernetes_int_or_string"}
    assert from_struct(sent) == {"schema": {"x-kubernetes-int-or-string": True}}


def test_what_was_secret_in_the_inputs_is_secret_in_the_outputs_and_no_more() -> None:
    inputs = {"spec": {"env": [Secret("a")], "image": "i"}, "data": {"k": Secret("v")}}
    outputs = {"spec": {"env": ["a"], "image": "i"}, "data": {"k": "v", "other": "w"}}
    assert marked(outputs, inputs) == {
        "spec": {"env": Secret(["a"]), "image": "i"},
        "data": {"k": Secret("v"), "other": "w"},
    }


def test_data_of_a_secret_is_always_secret() -> None:
    state = objects.checkpoint({}, {"kind": "Secret", "data": {"k": "v"}}, {}, "me", "v1")
    assert state["data"] == Secret({"k": "v"})
    assert state["__fieldManager"] == "me"


def entry(operation: str, manager: str, **owned: Any) -> Object:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": owned}


def test_fields_of_the_create_request_become_applied_ones() -> None:
    created: Object = {"f:data": {"f:a": {}}}
    live = {"metadata": {"managedFields": [entry("Update", "me", **created), entry("Update", "kubelet", x={})]}}
    assert fields.has_created_fields(live, "me")
    live["metadata"]["managedFields"] = fields.taken_over(live, "me")
    assert not fields.has_created_fields(live, "me")
    assert fields.has_created_fields(live, "kubelet")
    assert live["metadata"]["managedFields"][-1]["fieldsV1"] == created


def test_an_ignored_field_that_others_manage_is_left_to_them() -> None:
    live = {
        "data": {"ours": "1", "theirs": "2"},
        "metadata": {
            "managedFields": [
                entry("Apply", "me", **{"f:data": {"f:ours": {}}}),
                entry("Update", "job", **{"f:data": {"f:theirs": {}}}),
            ]
        },
    }
    inputs = {"data": {"ours": "x", "theirs": "y"}}
    assert fields.without_ignored(inputs, live, ["data.theirs"], "me") == {"data": {"ours": "x"}}
    assert fields.without_ignored(inputs, live, ["data.ours"], "me") == {"data": {"ours": "1", "theirs": "y"}}
    assert fields.without_ignored(inputs, live, [], "me") == inputs


def test_an_unnamed_object_gets_a_name_and_keeps_it() -> None:
    obj: Object = {}
    objects.autoname(obj, "urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::cm", "")
    name = objects.name_of(obj)
    assert name.startswith("cm-")
    assert len(name) == len("cm-") + 8
    later: Object = {"metadata": {"labels": {}}}
    objects.adopt_name(later, obj)
    assert objects.name_of(later) == name
    assert objects.annotation(later, objects.AUTONAMED) == "true"
    chosen: Object = {"metadata": {"name": "mine"}}
    objects.adopt_name(chosen, obj)
    objects.autoname(chosen, "urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::cm", "")
    assert chosen == {"metadata": {"name": "mine"}}
