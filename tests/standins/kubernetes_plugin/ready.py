"""When an object counts as ready. Pure: decisions on objects as the API server shows them.

Each rule is the official plugin's for that kind; kinds without a rule are ready as soon as they exist
(provider/pkg/await/awaiters.go). Kinds for which it has a rule that is not here are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.standins.kubernetes_plugin.objects import Object


@dataclass(frozen=True)
class Verdict:
    """Whether an object is ready, or never will be; and what to say meanwhile."""

    ready: bool = False
    failed: bool = False
    message: str = ""


@dataclass(frozen=True)
class Rule:
    """How to judge a kind: the decision, its time-out, what else it looks at, and whose pods explain a failure."""

    decide: Callable[[Object, Sequence[Object]], Verdict]
    timeout_s: float = 600
    beside: str = ""  # endpoints | storage class
    reads: bool = True  # whether a refresh judges it too (awaitRead)
    pods: Callable[[Object], dict[str, str] | None] = field(default=lambda _obj: None)


def _status(obj: Object) -> Object:
    found: Object = obj.get("status") or {}
    return found


def _number(obj: Object, name: str) -> int:
    return int(obj.get(name) or 0)


def condition(obj: Object, kind: str) -> Object:
    """Return a condition of the status, {} where it is missing."""
    for found in _status(obj).get("conditions") or []:
        if found.get("type") == kind:
            result: Object = found
            return result
    return {}


def _seen(obj: Object) -> bool:
    return _number(_status(obj), "observedGeneration") >= _number(obj["metadata"], "generation")


def deployment(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """Every replica is of the new template and available, and no old one is left (deployment.go)."""
    status, wanted = _status(obj), int(obj["spec"].get("replicas", 1))
    progressing = condition(obj, "Progressing")
    updated, available = _number(status, "updatedReplicas"), _number(status, "availableReplicas")
    rolled = progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"
    counted = updated == wanted and _number(status, "replicas") == wanted and available >= wanted
    if _seen(obj) and rolled and counted:
        return Verdict(ready=True, message="Deployment initialization complete")
    said = f"Waiting for app ReplicaSet be available ({min(updated, available)}/{wanted} Pods available)"
    if progressing.get("status") == "False":
        said += f": [{progressing.get('reason')}] {progressing.get('message')}"
    return Verdict(message=said)


def stateful_set(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """Every replica is of the update revision and ready (statefulset.go)."""
    status, wanted = _status(obj), int(obj["spec"].get("replicas", 1))
    current = status.get("currentRevision") == status.get("updateRevision")
    ready = _number(status, "readyReplicas")
    if _seen(obj) and current and ready == wanted and _number(status, "replicas") == wanted:
        return Verdict(ready=True, message="StatefulSet initialization complete")
    return Verdict(message=f"Waiting for StatefulSet to create Pods ({ready}/{wanted} Pods ready)")


def daemon_set(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """Every node that wants one has a new, available pod (daemonset.go)."""
    status = _status(obj)
    wanted = _number(status, "desiredNumberScheduled")
    done = min(_number(status, "updatedNumberScheduled"), _number(status, "numberAvailable"))
    return Verdict(
        ready=_seen(obj) and done >= wanted, message=f"Waiting for DaemonSet ({done}/{wanted} Pods available)"
    )


def job(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """It is complete; a failed one fails at once (job.go)."""
    failed = condition(obj, "Failed")
    if failed.get("status") == "True":
        return Verdict(failed=True, message=f"[{failed.get('reason')}] {failed.get('message')}")
    if condition(obj, "Complete").get("status") == "True":
        return Verdict(ready=True, message="Job ready")
    return Verdict(
        message=f"Waiting for Job {obj['metadata']['name']!r} to succeed (Active: {_number(_status(obj), 'active')})"
    )


def pod(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """It is ready, or has succeeded (pod.go)."""
    phase = _status(obj).get("phase")
    if phase == "Failed":
        return Verdict(failed=True, message=f"Pod failed: {_status(obj).get('message') or _status(obj).get('reason')}")
    ready = phase == "Succeeded" or condition(obj, "Ready").get("status") == "True"
    return Verdict(ready=ready, message="Pod ready" if ready else f"Waiting for Pod to be ready ({phase})")


def service(obj: Object, beside: Sequence[Object] = ()) -> Verdict:
    """No endpoint is unready (4.17: none at all will do); a load balancer has an address (service.go).

    Headless and external services, and those without a selector, do not wait for pods.
    """
    spec = obj["spec"]
    kind = spec.get("type") or "ClusterIP"
    if kind == "LoadBalancer" and not (_status(obj).get("loadBalancer") or {}).get("ingress"):
        return Verdict(
            message="Service was not allocated an IP address; does your cloud provider support this? "
            "[2/3] Attempting to allocate IP address to Service"
        )
    if kind == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return Verdict(ready=True)
    unready = [
        subset for endpoints in beside for subset in endpoints.get("subsets") or [] if subset.get("notReadyAddresses")
    ]
    if beside and not unready:
        return Verdict(ready=True, message="Service initialization complete")
    return Verdict(message="[1/3] Finding Pods to direct traffic to: selected Pods are not ready")


def claim(obj: Object, beside: Sequence[Object] = ()) -> Verdict:
    """It is bound; with a storage class that waits for a pod, pending is enough."""
    phase = _status(obj).get("phase")
    waits = any(found.get("volumeBindingMode") == "WaitForFirstConsumer" for found in beside)
    ready = phase == "Bound" or (waits and phase == "Pending")
    return Verdict(ready=ready, message=f"Waiting for PersistentVolumeClaim to be bound ({phase})")


def volume(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    phase = _status(obj).get("phase")
    return Verdict(ready=phase in ("Available", "Bound"), message=f"Waiting for PersistentVolume ({phase})")


def quota(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    ready = _status(obj).get("hard") == (obj.get("spec") or {}).get("hard")
    return Verdict(ready=ready, message="Waiting for ResourceQuota to be applied")


def secret(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """A service account's token is written by a controller; other secrets are complete."""
    ready = obj.get("type") != "kubernetes.io/service-account-token" or bool(obj.get("data"))
    return Verdict(ready=ready, message="Waiting for the service account's token")


def definition(obj: Object, _beside: Sequence[Object] = ()) -> Verdict:
    """Objects of the new kind can be made: what creating them would wait for otherwise."""
    ready = condition(obj, "Established").get("status") == "True"
    return Verdict(ready=ready, message="Waiting for CustomResourceDefinition to be established")


def _selected(obj: Object) -> dict[str, str] | None:
    found: dict[str, str] | None = (obj["spec"].get("selector") or {}).get("matchLabels")
    return found


def _of_job(obj: Object) -> dict[str, str]:
    return {"batch.kubernetes.io/job-name": str(obj["metadata"]["name"])}


RULES: dict[str, Rule] = {
    "apps/v1/Deployment": Rule(deployment, pods=_selected),
    "apps/v1/StatefulSet": Rule(stateful_set, pods=_selected),
    "apps/v1/DaemonSet": Rule(daemon_set, pods=_selected),
    "batch/v1/Job": Rule(job, pods=_of_job),
    "v1/Pod": Rule(pod),
    "v1/Service": Rule(service, beside="endpoints"),
    "v1/PersistentVolumeClaim": Rule(claim, timeout_s=300, beside="storage class", reads=False),
    "v1/PersistentVolume": Rule(volume, timeout_s=300, reads=False),
    "v1/ResourceQuota": Rule(quota, timeout_s=60, reads=False),
    "v1/Secret": Rule(secret, timeout_s=5, reads=False),
    "apiextensions.k8s.io/v1/CustomResourceDefinition": Rule(definition, timeout_s=60, reads=False),
}
# the official plugin waits for these in ways that are not implemented here
UNKNOWN_RULES = frozenset(("networking.k8s.io/v1/Ingress", "v1/ReplicationController"))


def pod_problems(pod_: Object) -> list[str]:
    """Say why a pod does not run: not scheduled, image not pulled, container crashed (await/states/pod.go)."""
    name = f"{pod_['metadata'].get('namespace')}/{pod_['metadata']['name']}"
    found = []
    scheduled = condition(pod_, "PodScheduled")
    if scheduled.get("status") == "False":
        found.append(f"[Pod {name}]: [{scheduled.get('reason')}] {scheduled.get('message')}")
    status = _status(pod_)
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        found += [f"[Pod {name}]: {text}" for text in _container_problems(container)]
    return found


def _container_problems(container: Object) -> list[str]:
    state = container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    ended = ended or (container.get("lastState") or {}).get("terminated") or {}
    name, found = container.get("name"), []
    if waiting.get("reason") not in (None, "", "ContainerCreating", "PodInitializing"):
        found.append(
            f"containers with unready status: [{name}] -- [{waiting['reason']}] {waiting.get('message') or ''}".strip()
        )
    if ended and ended.get("exitCode"):
        said: Any = str(ended.get("message") or "").strip()[-300:]
        text = f"Container {name!r} completed with exit code {ended['exitCode']}: {ended.get('reason')}"
        found.append(f"{text} {said}".strip())
    return found
