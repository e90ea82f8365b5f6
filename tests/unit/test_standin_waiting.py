"""When the Kubernetes stand-in takes an object for ready, and what it says when it is not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.standins.kubernetes_plugin import jsonpath, ready, waiting
from tests.standins.kubernetes_plugin.api import ApiError, Place, find_place
from tests.standins.kubernetes_plugin.objects import Kind, Object
from tests.standins.plugin.refused import Refused


def holds(expression: str, obj: Any) -> bool:
    return all(condition(obj).holds for condition in jsonpath.parse_conditions(expression))


JOB = {
    "status": {
        "endTime": "2026",
        "failed": False,
        "counts": [{"n": 1}, {"n": 2}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Idle", "status": "False"}],
    }
}


@pytest.mark.parametrize(
    "expression",
    [
        "jsonpath={.status.endTime}",
        "jsonpath={$.status.endTime}=2026",
        "jsonpath={.status.counts[1].n}=2",
        "jsonpath={.status['failed']}=false",
        'jsonpath={.status.conditions[?(@.type=="Ready")].status}=True',
        "jsonpath={.status.conditions}",
        "condition=Ready",
        "condition=Idle=False",
        '["jsonpath={.status.endTime}", "condition=Ready"]',
    ],
)
def test_a_condition_that_holds(expression: str) -> None:
    assert holds(expression, JOB)
    assert not holds(expression, {"status": {}})


@pytest.mark.parametrize(
    "expression",
    [
        "jsonpath={.status.other}",
        "jsonpath={.status.endTime}=2027",
        "condition=Idle",
        '["condition=Ready", "condition=Idle"]',
    ],
)
def test_a_condition_that_does_not_hold(expression: str) -> None:
    assert not holds(expression, JOB)


@pytest.mark.parametrize(
    "expression",
    [
        "", "[]", "jsonpath=.status", "jsonpath={.status}=", "jsonpath={..status}", "jsonpath={.a[*]}", "delete",
        "jsonpath={}", "jsonpath={.a}={.b}",
    ],
)  # fmt: skip
def test_an_expression_that_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(Refused, match=r"pulumi\.com/waitFor"):
        jsonpath.parse_conditions(expression)


def workload(status: Object) -> Object:
    return {"metadata": {"name": "x", "generation": 2}, "spec": {"replicas": 2}, "status": status}


ROLLED = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
DONE: Object = {
    "observedGeneration": 2,
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
    "conditions": [ROLLED],
}


def test_a_deployment_is_ready_when_every_replica_is_new_and_available() -> None:
    assert ready.deployment(workload(DONE)).ready
    for broken in ({"observedGeneration": 1}, {"replicas": 3}, {"updatedReplicas": 1}, {"availableReplicas": 1}):
        assert not ready.deployment(workload({**DONE, **broken})).ready
    assert not ready.deployment(workload({**DONE, "conditions": []})).ready


def test_a_stuck_deployment_says_why() -> None:
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}
    assert "[ProgressDeadlineExceeded] too slow" in ready.deployment(workload({**DONE, "conditions": [stuck]})).message


def test_a_stateful_set_is_ready_when_its_update_revision_is() -> None:
    status: Object = {
        "observedGeneration": 2,
        "currentRevision": "b",
        "updateRevision": "b",
        "readyReplicas": 2,
        "replicas": 2,
    }
    assert ready.stateful_set(workload(status)).ready
    for broken in ({"currentRevision": "a"}, {"readyReplicas": 1}, {"observedGeneration": 1}):
        assert not ready.stateful_set(workload({**status, **broken})).ready


def test_a_daemon_set_is_ready_when_no_node_waits() -> None:
    status: Object = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 1,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
    }
    assert ready.daemon_set(workload(status)).ready
    assert not ready.daemon_set(workload({**status, "numberAvailable": 0})).ready


def test_a_job_is_ready_when_complete_and_fails_at_once() -> None:
    running, complete, failed = (
        {"metadata": {"name": "x"}, "status": {"active": 1, "conditions": conditions}}
        for conditions in (
            [],
            [{"type": "Complete", "status": "True"}],
            [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}],
        )
    )
    assert ready.job(complete).ready
    assert not ready.job(running).ready
    assert not ready.job(running).failed
    assert ready.job(failed) == ready.Verdict(failed=True, message="[DeadlineExceeded] late")


def service(**spec: Any) -> Object:
    return {"spec": {"selector": {"a": "b"}, **spec}}


def test_a_service_waits_only_for_unready_endpoints() -> None:
    unready = {"subsets": [{"notReadyAddresses": [{"ip": "1"}]}]}
    assert not ready.service(service()).ready, "the endpoints do not exist yet"
    assert not ready.service(service(), [unready]).ready
    assert ready.service(service(), [{"subsets": [{"addresses": [{"ip": "1"}]}]}]).ready
    assert ready.service(service(), [{}]).ready, "no pod at all is nobody's fault"
    for special in ({"clusterIP": "None"}, {"type": "ExternalName"}, {"selector": None}):
        assert ready.service(service(**special), [unready]).ready
    assert not ready.service(service(type="LoadBalancer"), [{}]).ready


def test_a_claim_is_ready_when_bound_or_when_it_waits_for_a_pod() -> None:
    pending: Object = {"status": {"phase": "Pending"}}
    assert ready.claim({"status": {"phase": "Bound"}}).ready
    assert not ready.claim(pending, [{"volumeBindingMode": "Immediate"}]).ready
    assert ready.claim(pending, [{"volumeBindingMode": "WaitForFirstConsumer"}]).ready


def test_other_kinds_with_a_rule() -> None:
    hard = {"pods": "1"}
    assert ready.quota({"spec": {"hard": hard}, "status": {"hard": hard}}).ready
    assert not ready.quota({"spec": {"hard": hard}, "status": {}}).ready
    assert ready.secret({"type": "Opaque"}).ready
    assert not ready.secret({"type": "kubernetes.io/service-account-token"}).ready
    assert ready.volume({"status": {"phase": "Available"}}).ready
    assert not ready.volume({"status": {"phase": "Pending"}}).ready
    assert not ready.definition({"status": {}}).ready


def test_a_pod_s_problems_are_told() -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "env"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}],
            "containerStatuses": [
                {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
                {"name": "b", "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "boom"}}},
                {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}},
            ],
        },
    }
    assert ready.pod_problems(pod) == [
        "[Pod env/p]: [Unschedulable] no GPU",
        "[Pod env/p]: containers with unready status: [a] -- [ImagePullBackOff] no such image",
        "[Pod env/p]: Container 'b' completed with exit code 3: Error boom",
    ]


class Recorded:
    """An API server that answers with one recorded version of an object after the other."""

    def __init__(self, *versions: Object) -> None:
        self.versions = list(versions)

    def get(self, _kind: Kind, _namespace: str, _name: str) -> Object:
        if not self.versions:
            raise ApiError(404, {"message": "gone"})
        return self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]

    def list(self, _kind: Kind, _namespace: str, **_query: str) -> list[Object]:
        return []


def wait(api: Any, obj: Object, timeout_s: float = 30, *, cancelled: bool = False) -> tuple[Object, list[str]]:
    stop = threading.Event()
    if cancelled:
        stop.set()
    said: list[str] = []
    return waiting.until_ready(waiting.Watch(api, stop, said.append), obj, obj, timeout_s), said


def ray_job(**status: Any) -> Object:
    names = {"name": "x", "annotations": {"pulumi.com/waitFor": "jsonpath={.status.endTime}"}}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": names, "status": status}


def test_a_custom_resource_waits_for_its_own_condition_and_says_so() -> None:
    found, said = wait(Recorded(ray_job(), ray_job(endTime="2026")), ray_job())
    assert found["status"] == {"endTime": "2026"}
    assert said == ["Waiting for {.status.endTime}: it selected nothing"]


def test_a_custom_resource_without_a_condition_is_ready_at_once() -> None:
    obj = ray_job()
    obj["metadata"].pop("annotations")
    assert wait(None, obj) == (obj, [])


def test_nothing_is_waited_for_where_the_program_says_so() -> None:
    obj = {**workload({}), "apiVersion": "apps/v1", "kind": "Deployment"}
    obj["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    assert wait(None, obj) == (obj, [])


def test_a_time_out_and_a_cancellation_keep_the_object() -> None:
    with pytest.raises(waiting.NotReady, match="timed out waiting to be Ready") as told:
        wait(Recorded(ray_job(jobStatus="RUNNING")), ray_job(), timeout_s=0.3)
    assert told.value.obj["status"] == {"jobStatus": "RUNNING"}
    with pytest.raises(waiting.NotReady, match="was cancelled"):
        wait(Recorded(ray_job()), ray_job(), cancelled=True)


def test_a_time_out_is_the_resource_s_else_the_annotation_s_else_the_kind_s() -> None:
    annotated = {"metadata": {"annotations": {"pulumi.com/timeoutSeconds": "7"}}}
    assert waiting.timeout_of(3, annotated, 600) == 3
    assert waiting.timeout_of(0, annotated, 600) == 7
    assert waiting.timeout_of(0, {}, 600) == 600


def test_a_deleted_object_is_gone_when_another_has_its_name() -> None:
    obj = {"metadata": {"name": "x", "uid": "1"}}
    watch = waiting.Watch(Recorded({"metadata": {"name": "x", "uid": "2"}}), threading.Event(), lambda _: None)  # type: ignore[arg-type]
    waiting.until_gone(watch, Kind("", "v1", "ConfigMap"), {}, obj, 5)
    held = {"metadata": {"name": "x", "uid": "1", "finalizers": ["ray.io/held"]}}
    watch = waiting.Watch(Recorded(held), threading.Event(), lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(waiting.NotReady, match="timed out") as told:
        waiting.until_gone(watch, Kind("", "v1", "ConfigMap"), {}, obj, 0.3)
    assert told.value.reasons == ["finalizers: ray.io/held"]


def test_a_kind_that_cannot_be_waited_for_is_refused_before_it_is_made() -> None:
    obj: Object = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {}}
    with pytest.raises(Refused, match="skipAwait"):
        waiting.check_awaitable(obj)
    obj["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    waiting.check_awaitable(obj)


def test_a_kind_s_path_is_what_discovery_says() -> None:
    listed = {
        "resources": [
            {"name": "pods/log", "kind": "Pod", "namespaced": True},
            {"name": "pods", "kind": "Pod", "namespaced": True},
            {"name": "nodes", "kind": "Node", "namespaced": False},
        ]
    }
    pods, nodes = (find_place(Kind("", "v1", name), listed) for name in ("Pod", "Node"))
    assert pods == Place("/api/v1", "pods", namespaced=True)
    assert pods.path("env", "x") == "/api/v1/namespaces/env/pods/x"
    assert nodes is not None
    assert nodes.path("env", "x") == "/api/v1/nodes/x"
    assert find_place(Kind("", "v1", "Secret"), listed) is None
