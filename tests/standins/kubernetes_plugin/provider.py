"""The engine's requests, answered. Owns what a resource's state looks like; the cluster's part is in `cluster`.

Source: provider/pkg/provider/provider.go, method by method.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.standins.kubernetes_plugin import difference, objects, waiting
from tests.standins.kubernetes_plugin.api import Api, ApiError, NoSuchKind, Unreachable
from tests.standins.kubernetes_plugin.cluster import CannotPreview, Cluster
from tests.standins.kubernetes_plugin.objects import Kind, Object
from tests.standins.kubernetes_plugin.ready import Verdict
from tests.standins.kubernetes_plugin.refused import NoCluster
from tests.standins.kubernetes_plugin.settings import Settings, open_access, parse_settings
from tests.standins.kubernetes_plugin.values import Unknown, contains, marked, plain
from tests.standins.plugin.refused import InitFailed, Refused

_FIRST_ANSWER_S = 3.0
# whether a kind lives in namespaces, where no cluster can be asked (kinds that are not here do)
_CLUSTER_SCOPED = frozenset(
    ("Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass", "PriorityClass",
     "CustomResourceDefinition", "IngressClass", "RuntimeClass", "CSIDriver", "APIService", "GatewayClass",
     "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy")
)  # fmt: skip
Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What a read found; an empty identity says that it is gone."""

    identity: str
    state: Object
    inputs: Object


GONE = Found("", {}, {})


@dataclass(frozen=True)
class Wanted:
    """What an object shall be: its inputs, as given with marks of secrecy too, and who manages it."""

    inputs: Object
    given: Object
    manager: str
    first_version: str

    def state(self, live: Object) -> Object:
        """Return the resource's state for a live object."""
        return objects.checkpoint(self.inputs, live, self.given, self.manager, self.first_version)


class Provider:
    """One configured provider."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.settings = Settings()
        self._cluster: Cluster | None = None
        self._namespace = "default"
        self._why_not = "the provider's configuration is not known yet"

    def configure(self, given: Object) -> str:
        """Connect to the cluster; return the words with which this plugin names itself."""
        if contains(given, Unknown):
            return "its cluster is not known yet"
        self.settings = parse_settings(plain(given))
        try:
            access = open_access(self.settings)
            self._namespace = access.namespace
            api = Api(access, self.stop)
            version = api.request("GET", "/version", patience_s=_FIRST_ANSWER_S)
        except (NoCluster, Unreachable) as error:
            self._why_not = str(error)
            return f"without a cluster: {error}"
        self._cluster = Cluster(api, self.settings, self.stop)
        return f"API server {access.server}, {version.get('gitVersion')}"

    def _need(self) -> Cluster:
        if self._cluster is None:
            raise Refused(f"configured Kubernetes cluster is unreachable: {self._why_not}")
        return self._cluster

    def _is_namespaced(self, kind: Kind) -> bool:
        if self._cluster is None:
            return kind.name not in _CLUSTER_SCOPED
        return self._cluster.api.is_namespaced(kind)

    def check(self, urn: str, old: Object, news: Object, proposed: str) -> Object:
        """Complete the inputs: kind, name, namespace."""
        kind = objects.kind_of_urn(urn)
        obj = plain(news)
        objects.set_kind(obj, kind)
        objects.check_annotations(obj)
        if not contains(obj, Unknown):
            waiting.check_awaitable(obj)
        if old:
            objects.adopt_name(obj, plain(old))
        else:
            objects.autoname(obj, urn, proposed)
        place = obj.get("metadata")
        if isinstance(place, dict) and not place.get("namespace") and self._is_namespaced(kind):
            place["namespace"] = self._namespace
        completed: Object = marked(obj, news)
        return completed

    def diff(self, urn: str, state: Object, news: Object, ignored: Sequence[str]) -> difference.Difference:
        """Compare the last known live object, as far as the old inputs name its fields, with the new inputs."""
        kind = objects.kind_of_urn(urn)
        old_inputs, live = objects.split_checkpoint(state)
        new = objects.normalized(plain(news))
        old = objects.pruned(live, objects.normalized(old_inputs), typed=objects.is_typed(kind))
        old.setdefault("apiVersion", new.get("apiVersion"))
        old.setdefault("kind", new.get("kind"))
        sides = [side["metadata"] for side in (old, new) if isinstance(side.get("metadata"), dict)]
        for place in sides:
            if self._is_namespaced(kind):
                place["namespace"] = place.get("namespace") or "default"
            else:
                place.pop("namespace", None)
        if objects.name_of(new) and isinstance(old.get("metadata"), dict):
            old["metadata"]["name"] = objects.name_of(live)
        return difference.compare(
            kind, live, old, new, ignored, self.settings, unready=self._replaces_unready(kind, new)
        )

    def _replaces_unready(self, kind: Kind, new: Object) -> bool:
        """Whether a Job that is not complete asks to be replaced (Diff); any error means that it is not known."""
        if self._cluster is None or str(kind) != "batch/v1/Job" or contains(new.get("metadata"), Unknown):
            return False
        if objects.annotation(new, "pulumi.com/replaceUnready") != "true":
            return False
        try:
            live = self._cluster.api.get(kind, objects.namespace_of(new), objects.name_of(new))
        except Refused:
            return False
        return not waiting.decide(self._cluster.api, live).ready

    def create(self, urn: str, given: Object, timeout_s: float, say: Say, *, preview: bool) -> tuple[str, Object]:
        """Create an object and wait for it. A preview asks the API server, where it can tell."""
        inputs = plain(given)
        if preview and not self._can_preview(inputs):
            return "", given
        cluster = self._need()
        wanted = Wanted(inputs, given, objects.field_manager({}, inputs), str(inputs["apiVersion"]))
        try:
            live = cluster.create(inputs, wanted.manager, say, preview=preview)
        except CannotPreview:
            return "", given
        except NoSuchKind as error:
            raise Refused(
                f'creation of resource "{urn}" with kind {objects.kind_of(inputs)} failed because the Kubernetes API '
                "server reported that the apiVersion for this resource does not exist. Verify that any required CRDs "
                f"have been created: {error}"
            ) from error
        except Refused as error:
            raise Refused(
                f'resource "{urn}" was not successfully created by the Kubernetes API server: {error}'
            ) from error
        if preview:
            live.pop("status", None)  # it says nothing about the future
            return "", wanted.state(live)
        live = self._wait(wanted, live, timeout_s, say, f'resource "{urn}" was successfully created, but')
        return objects.identity(live), wanted.state(cluster.live(live))

    def update(
        self, state: Object, given: Object, ignored: Sequence[str], timeout_s: float, say: Say, *, preview: bool
    ) -> Object:
        """Apply new inputs to an object and wait for it."""
        inputs = plain(given)
        if preview and not self._can_preview(inputs):
            return given
        cluster = self._need()
        old_inputs, old_live = objects.split_checkpoint(state)
        first_version = str(state.get("__initialApiVersion") or old_inputs.get("apiVersion") or inputs["apiVersion"])
        wanted = Wanted(inputs, given, objects.field_manager(plain(state), inputs), first_version)
        name = objects.identity(inputs)
        try:
            live = cluster.update(inputs, wanted.manager, ignored, preview=preview)
        except Refused as error:
            if preview and isinstance(error, ApiError) and error.code == 403:
                return given
            message = f'update of resource "{name}" failed: {error}'
            if preview:
                raise Refused(message) from error
            raise InitFailed(message, name, wanted.state(cluster.live(old_live)), None, []) from error
        if not preview:
            said = f'the update of "{name}" was accepted, but'
            live = cluster.live(self._wait(wanted, live, timeout_s, say, said))
        return wanted.state(live)

    def _can_preview(self, inputs: Object) -> bool:
        if contains(inputs, Unknown) or self._cluster is None:
            return False
        return self._cluster.has(objects.kind_of(inputs))

    def _wait(self, wanted: Wanted, live: Object, timeout_s: float, say: Say, said: str) -> Object:
        try:
            return waiting.until_ready(self._need().watch(say), wanted.inputs, live, timeout_s)
        except waiting.NotReady as error:
            message = (
                f"{said} the Kubernetes API server reported that it failed to fully initialize or become live: {error}"
            )
            state = wanted.state(error.obj)
            raise InitFailed(message, objects.identity(error.obj), state, None, error.reasons) from error

    def read(self, urn: str, identity: str, state: Object, given: Object) -> Found:
        """Return the live object, and the inputs as it has them."""
        if self._cluster is None:
            return self._read_nowhere(identity, state, given)
        cluster, kind = self._cluster, objects.kind_of_urn(urn)
        namespace, name = objects.parse_identity(identity)
        old_inputs = objects.normalized(plain(given))
        from_cluster = "kind" not in old_inputs and "kind" not in state
        if "kind" not in old_inputs:
            old_inputs |= {"apiVersion": kind.api_version, "kind": kind.name}
            old_inputs["metadata"] = {"name": name, "namespace": namespace, **objects.metadata(old_inputs)}
        try:
            live = cluster.api.get(kind, namespace, name)
        except (ApiError, NoSuchKind) as error:
            if isinstance(error, NoSuchKind) or error.code == 404:
                return GONE
            raise
        first_version = str(state.get("__initialApiVersion") or kind.api_version)
        inputs = _as_inputs(live) if from_cluster else objects.pruned(live, old_inputs, typed=objects.is_typed(kind))
        wanted = Wanted(inputs, given, objects.field_manager(plain(state), old_inputs), first_version)
        result = Found(identity, wanted.state(live), marked(inputs, given))
        verdict = Verdict(ready=True) if from_cluster else waiting.judge_read(cluster.api, old_inputs, live)
        if not verdict.ready:
            message = f'Resource "{name}" was created but failed to initialize'
            reasons = waiting.explain(cluster.api, live, verdict)
            raise InitFailed(message, identity, result.state, result.inputs, reasons)
        return result

    def _read_nowhere(self, identity: str, state: Object, given: Object) -> Found:
        if self.settings.delete_unreachable:
            return GONE
        if self.settings.skip_update_unreachable:
            return Found(identity, state, given)
        raise Refused(
            f"failed to read resource state due to unreachable cluster ({self._why_not}). If the cluster was deleted, "
            "you can remove this resource from Pulumi state by rerunning the operation with the "
            'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"'
        )

    def delete(self, urn: str, identity: str, state: Object, timeout_s: float, say: Say) -> None:
        """Delete an object and wait until it is gone."""
        if self._cluster is None and self.settings.delete_unreachable:
            return
        cluster, kind = self._need(), objects.kind_of_urn(urn)
        inputs, live = objects.split_checkpoint(state)
        namespace, name = objects.parse_identity(identity)
        live = {**live, "metadata": {**objects.metadata(live), "name": name, "namespace": namespace}}
        try:
            cluster.delete(kind, live, inputs, timeout_s, say)
        except waiting.NotReady as error:
            wanted = Wanted(inputs, state, objects.field_manager(plain(state), inputs), kind.api_version)
            raise InitFailed(str(error), identity, wanted.state(error.obj), None, error.reasons) from error


_SERVER_SET = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
_SERVER_NOTED = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


def _as_inputs(live: Object) -> Object:
    """Return the part of a live object that a program would write, for an import (provider.go, Read)."""
    inputs = copy.deepcopy({key: value for key, value in live.items() if key != "status"})
    for name in _SERVER_SET:
        inputs["metadata"].pop(name, None)
    for name in _SERVER_NOTED:
        (inputs["metadata"].get("annotations") or {}).pop(name, None)
    return inputs
