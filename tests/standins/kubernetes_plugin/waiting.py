"""Waits until an object is ready or gone, telling the user why not yet.

A wait that ends badly raises `NotReady` with the last object seen, so that the engine keeps what exists.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.standins.kubernetes_plugin import jsonpath, ready
from tests.standins.kubernetes_plugin.api import Api, ApiError, NoSuchKind
from tests.standins.kubernetes_plugin.objects import Kind, Object, annotation, kind_of, name_of, namespace_of
from tests.standins.plugin.refused import Refused

_POLL_S = (0.2, 2.0)  # first and longest pause between two looks
_DELETE_S = {"apps/v1/Deployment": 600.0, "apps/v1/StatefulSet": 600.0}  # awaiters.go; 300 for the others
_DELETE_DEFAULT_S = 300.0
_CONDITION_S = 600.0  # provider/pkg/await/internal/awaiter.go
# provider/pkg/metadata/overrides.go, allowsSkipAwaitWithDelete
_SKIPS_DELETE = frozenset(
    ("v1/Namespace", "v1/Pod", "apps/v1/DaemonSet", "apps/v1/Deployment", "apps/v1/StatefulSet", "batch/v1/Job")
)
_POD = Kind("", "v1", "Pod")


class NotReady(Refused):
    """The object exists, but did not become ready or did not go away."""

    def __init__(self, message: str, obj: Object, reasons: Sequence[str]) -> None:
        super().__init__(message)
        self.obj = obj
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Watch:
    """What a wait needs: the API server, the signal that the user cancelled, and where to say things."""

    api: Api
    stop: threading.Event
    say: Callable[[str], None]


def skips(obj: Object) -> bool:
    return annotation(obj, "pulumi.com/skipAwait") == "true"


def timeout_of(given_s: float, inputs: Object, default_s: float) -> float:
    """Return the time-out: of the resource's options, else of the annotation, else the kind's (TimeoutDuration)."""
    text = annotation(inputs, "pulumi.com/timeoutSeconds")
    return given_s or (float(text) if text.isdigit() else default_s)


def check_awaitable(inputs: Object) -> None:
    """Refuse, before anything is created, what could not be waited for."""
    kind = str(kind_of(inputs))
    if skips(inputs):
        return
    if annotation(inputs, "pulumi.com/waitFor"):
        jsonpath.parse_conditions(annotation(inputs, "pulumi.com/waitFor"))
    elif kind in ready.UNKNOWN_RULES:
        raise Refused(
            f"the stand-in for the Kubernetes plugin does not know how to wait for {kind}; "
            'set the annotation pulumi.com/skipAwait: "true"'
        )


def until_ready(watch: Watch, inputs: Object, obj: Object, given_timeout_s: float) -> Object:
    """Wait as the annotations or the kind say; return the object as last seen."""
    kind = kind_of(obj)
    rule = ready.RULES.get(str(kind))
    text = annotation(inputs, "pulumi.com/waitFor")
    if skips(inputs) or (not text and rule is None):
        return obj
    conditions = jsonpath.parse_conditions(text) if text else []
    default_s = _CONDITION_S if conditions or rule is None else rule.timeout_s
    deadline = time.monotonic() + timeout_of(given_timeout_s, inputs, default_s)
    said: dict[str, None] = {}
    pauses = _Pauses(watch.stop)
    while True:
        verdict = _conditions_hold(conditions, obj) if conditions else decide(watch.api, obj)
        if verdict.ready:
            return obj
        if verdict.message not in said:
            watch.say(verdict.message)
            said[verdict.message] = None
        problem = _ending(verdict, obj, deadline, watch.stop)
        if problem:
            raise NotReady(problem, obj, explain(watch.api, obj, verdict))
        for text in explain_pods(watch.api, obj) if pauses.is_long else []:
            if text not in said:
                watch.say(text)
                said[text] = None
        pauses.take(deadline)
        obj = _again(watch.api, kind, obj)


def _ending(verdict: ready.Verdict, obj: Object, deadline: float, stop: threading.Event) -> str:
    name = name_of(obj)
    if verdict.failed:
        return f'Resource "{name}" was created but failed to initialize'
    if stop.is_set():
        return f'Resource operation was cancelled for "{name}"'
    return f'"{name}" timed out waiting to be Ready' if time.monotonic() >= deadline else ""


def _conditions_hold(conditions: Sequence[jsonpath.Condition], obj: Object) -> ready.Verdict:
    for holds in conditions:
        found = holds(obj)
        if not found.holds:
            return ready.Verdict(message=found.message)
    return ready.Verdict(ready=True)


def decide(api: Api, obj: Object) -> ready.Verdict:
    """Judge an object as it is now."""
    rule = ready.RULES.get(str(kind_of(obj)))
    return ready.Verdict(ready=True) if rule is None else rule.decide(obj, _beside(api, obj, rule.beside))


def judge_read(api: Api, inputs: Object, obj: Object) -> ready.Verdict:
    """Judge an object that is only refreshed: fewer kinds are, and none with conditions of its own (await.go, Read)."""
    rule = ready.RULES.get(str(kind_of(obj)))
    if rule is None or not rule.reads or skips(inputs) or annotation(inputs, "pulumi.com/waitFor"):
        return ready.Verdict(ready=True)
    return decide(api, obj)


def _beside(api: Api, obj: Object, what: str) -> list[Object]:
    spec: Any = obj.get("spec") or {}
    if what == "endpoints":
        wanted = Kind("", "v1", "Endpoints"), namespace_of(obj), name_of(obj)
    elif what == "storage class" and spec.get("storageClassName"):
        wanted = Kind("storage.k8s.io", "v1", "StorageClass"), "", spec["storageClassName"]
    else:
        return []
    try:
        return [api.get(*wanted)]
    except ApiError:
        return []  # not there yet, or not for us to read


def explain(api: Api, obj: Object, verdict: ready.Verdict) -> list[str]:
    """Return why an object is not ready: its own words, its pods', and the warnings about them."""
    found = [verdict.message, *explain_pods(api, obj), *_warnings(api, obj)]
    if str(kind_of(obj)) == "batch/v1/Job" and verdict.failed:
        found.append(f"see the log: kubectl logs --namespace {namespace_of(obj)} job/{name_of(obj)}")
    return list(dict.fromkeys(text for text in found if text))


def explain_pods(api: Api, obj: Object) -> list[str]:
    """Return the problems of the pods that an object owns."""
    kind = str(kind_of(obj))
    if kind == "v1/Pod":
        return ready.pod_problems(obj)
    rule = ready.RULES.get(kind)
    labels = rule.pods(obj) if rule else None
    if not labels:
        return []
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    try:
        pods = api.list(_POD, namespace_of(obj), labelSelector=selector)
    except ApiError:
        return []  # reading pods is not everybody's right
    return [text for pod in pods for text in ready.pod_problems(pod)]


def _warnings(api: Api, obj: Object) -> list[str]:
    try:
        events = api.list(Kind("", "v1", "Event"), namespace_of(obj), fieldSelector="type=Warning", limit="100")
    except ApiError:
        return []
    found = []
    for event in events:
        about = event.get("involvedObject") or {}
        if str(about.get("name")).startswith(name_of(obj)):
            found.append(f"{about.get('kind')} {about['name']}: [{event.get('reason')}] {event.get('message')}")
    return found[-5:]


def _again(api: Api, kind: Kind, obj: Object) -> Object:
    try:
        return api.get(kind, namespace_of(obj), name_of(obj))
    except ApiError as error:
        if error.code == 404:
            raise NotReady(f'Resource "{name_of(obj)}" was deleted while it was waited for', obj, []) from error
        raise


def until_gone(watch: Watch, kind: Kind, inputs: Object, obj: Object, given_timeout_s: float) -> None:
    """Wait until an object, and not just another of its name, is gone."""
    if skips(inputs) and str(kind) in _SKIPS_DELETE:
        return
    default_s = _DELETE_S.get(str(kind), _DELETE_DEFAULT_S)
    deadline = time.monotonic() + timeout_of(given_timeout_s, inputs, default_s)
    pauses, uid = _Pauses(watch.stop), (obj.get("metadata") or {}).get("uid")
    said = ""
    while True:
        try:
            last = watch.api.get(kind, namespace_of(obj), name_of(obj))
        except (ApiError, NoSuchKind) as error:
            if isinstance(error, NoSuchKind) or error.code == 404:
                return
            raise
        if uid and last["metadata"].get("uid") != uid:
            return
        held = ", ".join(last["metadata"].get("finalizers") or [])
        text = f"Waiting for {kind.name} {name_of(obj)} to be deleted" + (f" (finalizers: {held})" if held else "")
        if text != said:
            watch.say(text)
            said = text
        if watch.stop.is_set() or time.monotonic() >= deadline:
            why = "cancelled" if watch.stop.is_set() else "timed out"
            message = f'deleting "{name_of(obj)}" {why}: the object still exists'
            raise NotReady(message, last, [f"finalizers: {held}"] if held else [])
        pauses.take(deadline)


class _Pauses:
    """Pauses that grow, and end when the user cancels."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._next = _POLL_S[0]

    @property
    def is_long(self) -> bool:
        return self._next >= _POLL_S[1]

    def take(self, deadline: float) -> None:
        self._stop.wait(max(0.0, min(self._next, deadline - time.monotonic())))
        self._next = min(self._next * 1.5, _POLL_S[1])
