"""Interrupted operations in a state, and leaves of outputs."""

from typing import Any

import pytest

from infra.engine.layout import StopError
from infra.engine.outputs import find, leaves, text
from infra.engine.pending import settle


def resource(name: str, kind: str = "slipway:local:Process") -> dict[str, Any]:
    return {"urn": f"urn:pulumi:dev::slipway::{kind}::{name}", "type": kind, "inputs": {"name": name}}


def deployment(*pending: tuple[str, dict[str, Any]], resources: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    operations = [{"type": kind, "resource": what} for kind, what in pending]
    return {"resources": list(resources), "pending_operations": operations, "manifest": {}}


def test_a_state_without_interruption_is_left_alone() -> None:
    assert settle(deployment(), destroy=False) is None


def test_before_an_up_an_interrupted_create_is_forgotten_since_it_is_done_again() -> None:
    settled = settle(deployment(("creating", resource("ray"))), destroy=False)
    assert settled == deployment()


def test_before_a_destroy_an_interrupted_create_enters_the_state_to_be_deleted() -> None:
    settled = settle(deployment(("creating", resource("ray"))), destroy=True)
    assert settled is not None
    assert settled["pending_operations"] == []
    assert settled["resources"] == [{**resource("ray"), "id": "ray", "outputs": {"name": "ray"}}]


def test_an_interrupted_replacement_is_deleted_beside_the_old_one() -> None:
    settled = settle(deployment(("creating", resource("run")), resources=(resource("run"),)), destroy=True)
    assert settled is not None
    assert [entry.get("delete", False) for entry in settled["resources"]] == [False, True]


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading"])
def test_an_interrupted_change_of_what_is_in_the_state_adds_nothing(kind: str) -> None:
    settled = settle(deployment((kind, resource("ray")), resources=(resource("ray"),)), destroy=True)
    assert settled == deployment(resources=(resource("ray"),))


def test_a_cloud_resource_s_interruption_is_left_to_a_person() -> None:
    both = deployment(("creating", resource("ray")), ("creating", resource("net", "aws:ec2/vpc:Vpc")))
    assert settle(both, destroy=False) is None


@pytest.mark.parametrize("destroy", [False, True])
@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("aws:eks/cluster:Cluster", {"name": "one"}, "one"),
        ("aws:eks/nodeGroup:NodeGroup", {"clusterName": "one", "nodeGroupName": "gpu"}, "one:gpu"),
        ("aws:eks/addon:Addon", {"clusterName": "one", "addonName": "vpc-cni"}, "one:vpc-cni"),
    ],
)
def test_what_aws_takes_minutes_to_make_enters_the_state_before_any_verb(
    kind: str, inputs: dict[str, str], expected: str, *, destroy: bool
) -> None:
    begun = {**resource("x", kind), "inputs": inputs}
    settled = settle(deployment(("creating", begun), ("creating", resource("ray"))), destroy=destroy)
    assert settled is not None
    assert settled["resources"][0] == {**begun, "id": expected, "outputs": inputs}
    assert len(settled["resources"]) == (2 if destroy else 1)
    assert settled["pending_operations"] == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({"namespace": "slipway-dev", "name": "tracking"}, "slipway-dev/tracking"), ({"name": "operators"}, "operators")],
)
def test_an_object_of_a_cluster_is_known_by_namespace_and_name(metadata: dict[str, str], expected: str) -> None:
    made = {**resource("tracking-service", "kubernetes:core/v1:Service"), "inputs": {"metadata": metadata}}
    settled = settle(deployment(("creating", made)), destroy=True)
    assert settled is not None
    assert [entry["id"] for entry in settled["resources"]] == [expected]


OUTPUTS = {"serving": {"url": "http://x", "champion": None, "sizes": [1, {"a": 2}], "empty": {}}, "contract": 1}


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        ("serving.url", "http://x"),
        ("serving.champion", "null"),
        ("serving.sizes.1.a", "2"),
        ("contract", "1"),
        ("serving.sizes", '[1, {"a": 2}]'),
    ],
)
def test_a_leaf_is_printed_as_it_is(key: str, printed: str) -> None:
    assert text(find(OUTPUTS, key, "dev")) == printed


@pytest.mark.parametrize("key", ["serving.uri", "contract.x", "serving.sizes.2", "serving.sizes.a", ""])
def test_a_missing_key_is_answered_with_those_that_exist(key: str) -> None:
    with pytest.raises(StopError, match=r"has no output .*serving\.url, serving\.champion"):
        find(OUTPUTS, key, "dev")


def test_a_stack_without_outputs_says_how_to_get_some() -> None:
    with pytest.raises(StopError, match=r"pulumiw up -s dev"):
        find({}, "serving.url", "dev")


def test_all_leaves_come_in_order() -> None:
    assert [key for key, _ in leaves(OUTPUTS)] == [
        "serving.url", "serving.champion", "serving.sizes.0", "serving.sizes.1.a", "serving.empty", "contract",
    ]  # fmt: skip
