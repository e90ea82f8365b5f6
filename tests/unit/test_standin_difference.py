"""What the Kubernetes stand-in takes for a change, and which change needs a new object."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.standins.kubernetes_plugin import difference, objects
from tests.standins.kubernetes_plugin.api import ApiError
from tests.standins.kubernetes_plugin.objects import Kind, Object
from tests.standins.kubernetes_plugin.provider import Provider
from tests.standins.kubernetes_plugin.settings import Settings
from tests.standins.kubernetes_plugin.values import UNKNOWN
from tests.standins.plugin.refused import Refused

NAMES = {"name": "x", "namespace": "env"}
CONTAINER: Object = {"name": "c", "image": "i", "resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}}}
JOB: Object = {"template": {"spec": {"containers": [CONTAINER], "volumes": [{"name": "v", "emptyDir": {}}]}}}
PVC: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def changed(api: str, old: Object, new: Object, *ignored: str, live: Object | None = None, **settings: Any) -> Any:
    """Compare two versions of an object that the cluster has as it was given, unless told otherwise."""
    version, _, kind = api.rpartition("/")
    frame = {"apiVersion": version, "kind": kind, "metadata": NAMES}
    stored, given, wanted = (objects.normalized({**frame, **side}) for side in (live or old, old, new))
    return difference.compare(
        objects.kind_of(wanted), stored, objects.pruned(stored, given), wanted, ignored, Settings(**settings)
    )


@pytest.mark.parametrize(
    ("api", "old", "new", "replaces"),
    [
        ("v1/ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, ["data.a"]),
        ("v1/ConfigMap", {}, {"data": {"a": "2"}}, ["data"]),
        ("v1/ConfigMap", {"data": {"a.b": "1"}}, {"data": {}}, ['data["a.b"]']),
        ("v1/Secret", {"stringData": {"a": "1"}}, {"stringData": {"a": "2"}}, ["data.a"]),
        ("v1/Service", {"spec": {"type": "ClusterIP"}}, {"spec": {"type": "NodePort"}}, []),
        ("v1/Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"clusterIP": "None"}}, ["spec.clusterIP"]),
        ("apps/v1/Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, []),
        ("apps/v1/Deployment", {"spec": {"selector": {}}}, {"spec": {"selector": {"a": "c"}}}, ["spec.selector.a"]),
        ("apps/v1/StatefulSet", {"spec": {"serviceName": "a"}}, {"spec": {"serviceName": "b"}}, ["spec.serviceName"]),
        ("batch/v1/Job", {"spec": {}}, {"spec": JOB}, ["spec.template"]),
        ("batch/v1/Job", {"spec": {"backoffLimit": 1}}, {"spec": {"backoffLimit": 2}}, []),
        ("v1/PersistentVolumeClaim", {"spec": PVC}, {"spec": {**PVC, "volumeName": "v"}}, ["spec.volumeName"]),
        ("v1/PersistentVolumeClaim", {"spec": PVC}, {"spec": {**PVC, "resources": {}}}, []),
        ("storage.k8s.io/v1/StorageClass", {"provisioner": "a"}, {"provisioner": "b"}, ["provisioner"]),
        ("rbac.authorization.k8s.io/v1/RoleBinding", {}, {"roleRef": {"name": "b"}}, ["roleRef"]),
        ("v1/Pod", {"spec": {"containers": [{}]}}, {"spec": {"containers": [{"env": []}]}}, ["spec.containers[0].env"]),
        ("ray.io/v1/RayJob", {"spec": {"entrypoint": "a"}}, {"spec": {"entrypoint": "b"}}, []),
        ("v1/ConfigMap", {}, {"metadata": {**NAMES, "name": "y"}}, ["metadata.name"]),
        ("v1/ConfigMap", {}, {"metadata": {**NAMES, "namespace": "other"}}, ["metadata.namespace"]),
        ("v1/ConfigMap", {}, {"metadata": {**NAMES, "labels": {"a": "b"}}}, []),
    ],
)  # fmt: skip
def test_a_field_that_cannot_change_in_place_replaces(api: str, old: Object, new: Object, replaces: list[str]) -> None:
    found = changed(api, old, new)
    assert found.changes
    assert found.replaces == replaces


def test_config_maps_and_secrets_change_in_place_where_the_provider_says_so_unless_immutable() -> None:
    for kind, setting in (("ConfigMap", "config_map_mutable"), ("Secret", "secret_mutable")):
        old, new = {"data": {"a": "MQ=="}}, {"data": {"a": "Mg=="}}
        mutable: Any = {setting: True}
        assert not changed(f"v1/{kind}", old, new, **mutable).replaces
        assert changed(f"v1/{kind}", old, {**new, "immutable": True}, **mutable).replaces


def test_what_the_api_server_adds_or_writes_its_own_way_is_no_change() -> None:
    limits = {"memory": "1Gi", "cpu": "500m"}
    container = {**CONTAINER, "resources": {"limits": limits}, "imagePullPolicy": "Always"}
    live = {"template": {"spec": {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}}}
    inputs = {"spec": {**JOB, "suspend": False}}
    assert not changed("batch/v1/Job", inputs, inputs, live={"spec": live, "status": {"active": 1}}).changes


def test_drift_of_a_field_that_the_program_names_is_a_change() -> None:
    inputs = {"spec": {"replicas": 1}}
    found = changed("apps/v1/Deployment", inputs, inputs, live={"spec": {"replicas": 3, "paused": True}})
    assert [(change.text, change.how) for change in found.changes] == [("spec.replicas", "update")]


def test_data_that_a_job_filled_in_is_no_change_of_an_empty_object() -> None:
    assert not changed("v1/ConfigMap", {}, {}, live={"data": {"result.json": "{}"}}).changes


def test_an_unknown_value_is_a_change_and_replaces_where_it_matters() -> None:
    assert changed("v1/ConfigMap", {"data": {"a": "1"}}, {"data": {"a": UNKNOWN}}).replaces == ["data.a"]
    assert not changed("apps/v1/Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": UNKNOWN}}).replaces


def test_an_object_that_never_became_ready_is_replaced_where_it_asks_for_that() -> None:
    job: Object = {"apiVersion": "batch/v1", "kind": "Job", "metadata": NAMES, "spec": JOB}
    same = (objects.kind_of(job), job, job, job, (), Settings())
    assert difference.compare(*same).changes == (), "the control: nothing has changed"
    found = difference.compare(*same, unready=True)
    assert found.replaces == ['metadata.annotations["pulumi.com/replaceUnready"]']
    assert found.delete_first, "the new one has the old one's name"


URN = "urn:pulumi:dev::p::kubernetes:batch/v1:Job::job"
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}


class OneObject:
    """An API server that has one object, or none."""

    def __init__(self, live: Object | None) -> None:
        self._live = live

    def is_namespaced(self, _kind: Kind) -> bool:
        return True

    def get(self, *_where: Any) -> Object:
        if self._live is None:
            raise ApiError(404, {"message": "not found"})
        return self._live


@pytest.mark.parametrize(
    ("asks", "live", "replaced"),
    [
        ("true", {"status": FAILED}, True),
        ("true", {"status": {"active": 1}}, True),
        ("true", {"status": COMPLETE}, False),
        ("true", None, False),
        ("false", {"status": FAILED}, False),
    ],
)
def test_a_job_asks_for_it_by_annotation_and_is_looked_at_as_it_is_now(
    asks: str, live: Object | None, *, replaced: bool
) -> None:
    job: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**NAMES, "annotations": {"pulumi.com/replaceUnready": asks}},
        "spec": JOB,
    }
    plugin: Any = Provider()
    plugin._cluster = SimpleNamespace(api=OneObject(None if live is None else {**job, **live}))
    state = objects.checkpoint(job, job, job, "manager", "batch/v1")
    assert bool(plugin.diff(URN, state, job, ()).replaces) is replaced


def test_ignored_paths_and_only_they_are_left_out() -> None:
    old: Object = {"data": {"a": "1"}, "immutable": True}
    new: Object = {"data": {"a": "2"}, "immutable": False}
    assert [change.text for change in changed("v1/ConfigMap", old, new, "data").changes] == ["immutable"]
    assert len(changed("v1/ConfigMap", old, new).changes) == 2


def test_a_replaced_object_goes_first_when_the_user_named_it() -> None:
    old, new = {"data": {"a": "1"}}, {"data": {"a": "2"}}
    assert changed("v1/ConfigMap", old, new).delete_first
    automatic = {"metadata": {**NAMES, "annotations": {"pulumi.com/autonamed": "true"}}}
    assert not changed("v1/ConfigMap", {**old, **automatic}, {**new, **automatic}).delete_first
    assert not changed("v1/ConfigMap", old, {"metadata": {**NAMES, "name": "y"}}).delete_first


@pytest.mark.parametrize("text", ["a", "a.b", "a[0].b", 'a["b.c"].d', 'a["b\\"c"]'])
def test_a_path_reads_as_it_is_written(text: str) -> None:
    assert difference.format_path(difference.parse_path(text)) == text


@pytest.mark.parametrize(
    ("asked", "live"), [({"memory": "1024Mi"}, {"memory": "1Gi"}), ({"nodeSelector": {}}, {"other": 1})]
)
def test_what_a_controller_writes_in_other_words_is_a_change_of_a_custom_resource_alone(
    asked: Object, live: Object
) -> None:
    """The official plugin normalizes by client-go's scheme, which has built-in kinds only (clients.Normalize)."""
    wanted, there = ({"limits": side} if "memory" in side else side for side in (asked, live))
    for kind, changes in (("apps/v1/Deployment", False), ("ray.io/v1/RayJob", True), ("v1/Pod", False)):
        group_version, _, name = kind.rpartition("/")
        frame = {"apiVersion": group_version, "kind": name, "metadata": NAMES}
        wanted_object, live_object = {**frame, "spec": wanted}, {**frame, "spec": there}
        of = objects.kind_of(wanted_object)
        old = objects.pruned(live_object, wanted_object, typed=objects.is_typed(of))
        assert bool(difference.compare(of, live_object, old, wanted_object, (), Settings()).changes) is changes


@pytest.mark.parametrize(("one", "other"), [("1024Mi", "1Gi"), ("0.5", "500m"), (1, "1000m"), ("1e3", "1k")])
def test_quantities_are_numbers(one: Any, other: Any) -> None:
    assert difference.quantity(one) == difference.quantity(other) is not None
    assert difference.quantity(one) != difference.quantity("7")


def test_what_is_no_quantity_is_none() -> None:
    assert difference.quantity("all") is None
    assert difference.quantity("1..2") is None


def test_a_type_token_names_a_kind() -> None:
    urn = "urn:pulumi:dev::p::slipway:index:Service$kubernetes:{}::x"
    assert objects.kind_of_urn(urn.format("core/v1:Secret")) == Kind("", "v1", "Secret")
    assert objects.kind_of_urn(urn.format("ray.io/v1:RayJob")) == Kind("ray.io", "v1", "RayJob")
    for token in ("core/v1:SecretPatch", "helm.sh/v3:Release", "yaml/v2:ConfigGroup", "core/v1:SecretList"):
        with pytest.raises(Refused):
            objects.kind_of_urn(urn.format(token))
