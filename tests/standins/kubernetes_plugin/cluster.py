"""Creates, updates, reads and deletes objects in one cluster. Knows no engine and no resource state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tests.standins.kubernetes_plugin import fields, waiting
from tests.standins.kubernetes_plugin.api import APPLY, JSON_PATCH, Api, ApiError, NoSuchKind
from tests.standins.kubernetes_plugin.objects import (
    Kind,
    Object,
    annotation,
    kind_of,
    metadata,
    name_of,
    namespace_of,
)
from tests.standins.kubernetes_plugin.settings import Settings
from tests.standins.plugin.refused import Refused

_CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
_STRICT = {"fieldValidation": "Strict"}  # see the package's docstring
_HELP = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/"
    "#handle-field-conflicts-on-existing-resources"
)
_NOT_FOUND, _CONFLICT, _FORBIDDEN = 404, 409, 403


class CannotPreview(Refused):
    """The API server cannot tell yet: the preview shows the inputs instead."""


class Cluster:
    """One cluster, under the settings of one provider."""

    def __init__(self, api: Api, settings: Settings, stop: threading.Event) -> None:
        self.api = api
        self._settings = settings
        self._stop = stop

    def has(self, kind: Kind) -> bool:
        """Whether the API server knows a kind (gvkExists)."""
        try:
            self.api.place(kind)
        except NoSuchKind:
            return False
        return True

    def create(self, inputs: Object, manager: str, say: Callable[[str], None], *, preview: bool) -> Object:
        """Create an object; one that exists is an error, unless the provider was told to adopt it (4.29.0).

        What is missing - a kind, a namespace - may be on its way: five more attempts (await.go, Creation).
        """
        pause = 1.0
        for attempt in range(1, 7):
            try:
                return self._create(inputs, manager, preview=preview)
            except (ApiError, NoSuchKind) as error:
                if isinstance(error, ApiError) and error.code != _NOT_FOUND:
                    raise
                if preview and isinstance(error, ApiError) and error.namespace_is_missing:
                    raise CannotPreview(str(error)) from error
                if attempt > 5 or self._stop.is_set():
                    raise
                say(f"Retry #{attempt}; creation failed: {error}")
                self._stop.wait(pause)
                pause *= 2
        raise AssertionError("unreachable")

    def _create(self, inputs: Object, manager: str, *, preview: bool) -> Object:
        kind = kind_of(inputs)
        query = {"fieldManager": manager, **_STRICT, **({"dryRun": "All"} if preview else {})}
        path = self.api.place(kind).path(namespace_of(inputs))
        try:
            created: Object = self.api.request("POST", path, inputs, query=query)
        except ApiError as error:
            if preview and error.code == _FORBIDDEN:
                raise CannotPreview(str(error)) from error
            if error.code != _CONFLICT or error.reason != "AlreadyExists":
                raise
            return self._existing(error, inputs, manager, preview=preview)
        return created

    def _existing(self, error: ApiError, inputs: Object, manager: str, *, preview: bool) -> Object:
        kind = kind_of(inputs)
        live = self.api.get(kind, namespace_of(inputs), name_of(inputs))
        if self._settings.upsert:
            return self.apply(inputs, live, manager, preview=preview)
        if preview:
            raise CannotPreview(str(error)) from error
        if fields.has_created_fields(live, manager):
            return live  # our own request got through, only its answer was lost
        raise error

    def update(self, inputs: Object, manager: str, ignored: Sequence[str], *, preview: bool) -> Object:
        """Apply the inputs to the live object; a definition is replaced as a whole (await.go, updateResource)."""
        kind = kind_of(inputs)
        live = self.api.get(kind, namespace_of(inputs), name_of(inputs))
        if str(kind) == _CRD:
            version = {"resourceVersion": metadata(live)["resourceVersion"]}
            whole = {**inputs, "metadata": {**metadata(inputs), **version}}
            query = {"fieldManager": manager, **_STRICT, **({"dryRun": "All"} if preview else {})}
            replaced: Object = self.api.request("PUT", self._path(inputs), whole, query=query)
            return replaced
        if not preview:
            live = self._take_over(live, manager)
        return self.apply(fields.without_ignored(inputs, live, ignored, manager), live, manager, preview=preview)

    def apply(self, inputs: Object, live: Object, manager: str, *, preview: bool) -> Object:
        """Send the inputs by server-side apply; a conflict tells the other manager and the field."""
        wanted = annotation(inputs, "pulumi.com/patchForce")
        force = wanted == "true" or (not wanted and self._settings.patch_force)
        force = force or (preview and fields.has_created_fields(live, manager))
        query = {"fieldManager": manager, "force": str(force).lower(), **_STRICT}
        if preview:
            query["dryRun"] = "All"
        try:
            applied: Object = self.api.request("PATCH", self._path(inputs), inputs, content_type=APPLY, query=query)
        except ApiError as error:
            if error.code != _CONFLICT:
                raise
            raise Refused(
                f"Server-Side Apply field conflict detected. See {_HELP} for troubleshooting help.\n"
                f'The resource managed by field manager "{manager}" had an apply conflict: {error}'
            ) from error
        return applied

    def _take_over(self, live: Object, manager: str) -> Object:
        for _ in range(5):
            if not fields.has_created_fields(live, manager):
                break
            patch = [
                {"op": "replace", "path": "/metadata/managedFields", "value": fields.taken_over(live, manager)},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata(live)["resourceVersion"]},
            ]
            try:
                live = self.api.request("PATCH", self._path(live), patch, content_type=JSON_PATCH)
            except ApiError as error:
                if error.code != _CONFLICT:
                    raise
                live = self.api.get(kind_of(live), namespace_of(live), name_of(live))  # a controller was faster
        return live

    def delete(self, kind: Kind, obj: Object, inputs: Object, timeout_s: float, say: Callable[[str], None]) -> None:
        """Delete an object with what it owns, and wait; what is gone already is fine (await.go, Deletion)."""
        policies = {"orphan": "Orphan", "background": "Background"}
        policy = policies.get(annotation(inputs, "pulumi.com/deletionPropagationPolicy").lower(), "Foreground")
        try:
            path = self.api.place(kind).path(namespace_of(obj), name_of(obj))
            self.api.request("DELETE", path, {"propagationPolicy": policy})
        except NoSuchKind:
            return
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            return
        waiting.until_gone(self.watch(say), kind, inputs, obj, timeout_s)

    def watch(self, say: Callable[[str], None]) -> waiting.Watch:
        return waiting.Watch(self.api, self._stop, say)

    def live(self, obj: Object) -> Object:
        """Return the object as it is now; as it was when it cannot be read (await.go: do not lose what exists)."""
        try:
            return self.api.get(kind_of(obj), namespace_of(obj), name_of(obj))
        except Refused:
            return obj

    def _path(self, obj: Object) -> str:
        return self.api.place(kind_of(obj)).path(namespace_of(obj), name_of(obj))
