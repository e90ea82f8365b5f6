"""The part of the Kubernetes API that the small Jobs need, as the pod's ServiceAccount.

On the standard library, so that the image needs no client.  Most Jobs may `get` and `patch` named objects and no more;
only that of the schedule makes, lists and removes objects of its own.  Nothing is watched.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from infra.kubernetes.incluster.ending import Failure

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
FIELD_MANAGER = "slipway-job"
CONFLICT = http.HTTPStatus.CONFLICT
_LARGEST_RESULT = 16_000
_TRANSIENT = {429, 500, 502, 503, 504}
_LONGEST_PAUSE_S = 5.0
_METHODS = {"get": "GET", "list": "GET", "patch": "PATCH", "create": "POST", "delete": "DELETE"}


class ApiError(Failure):
    """The API server refused a request, or did not answer; `status` is 0 when it did not."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Named:
    """One object: of the core API, or of `group` (with its version)."""

    plural: str
    namespace: str
    name: str
    group: str = ""

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.name}"

    @property
    def collection(self) -> str:
        root = f"/apis/{self.group}" if self.group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{self.plural}"

    def __str__(self) -> str:
        return f"{self.plural}/{self.name} in namespace {self.namespace}"


class Api:
    """An API server, spoken to with a token that is read anew for each request, since it is rotated."""

    def __init__(self, url: str, token_file: Path, tls: ssl.SSLContext | None = None, patience_s: float = 60) -> None:
        self._url, self._token_file, self._tls, self._patience_s = url, token_file, tls, patience_s

    @classmethod
    def of_this_pod(cls, account: Path = ACCOUNT, patience_s: float = 60) -> Api:
        """Return the API server of the cluster that this pod runs in; it may be silent for `patience_s`.

        Raises:
            Failure: this is not a pod, or no token is mounted.
        """
        host = os.environ.get("KUBERNETES_SERVICE_HOST")
        if not host or not (account / "token").exists():
            raise Failure(
                f"no API server to talk to: KUBERNETES_SERVICE_HOST or {account}/token is missing. "
                "This runs in a pod whose ServiceAccount token is mounted (automountServiceAccountToken: true)"
            )
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        name = f"[{host}]" if ":" in host else host
        tls = ssl.create_default_context(cafile=str(account / "ca.crt"))
        return cls(f"https://{name}:{port}", account / "token", tls, patience_s)

    @property
    def token(self) -> str:
        """The token of the pod's ServiceAccount, as it is now."""
        return self._token_file.read_text().strip()

    def get(self, what: Named) -> dict[str, Any]:
        """Return the object.

        Raises:
            ApiError: it is not there, may not be read, or the server does not answer.
        """
        return self._patiently("get", what, None)

    def patch(self, what: Named, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into the object and return it; a `resourceVersion` in the change must still be current.

        Raises:
            ApiError: it is not there, may not be changed, was changed meanwhile, or the server does not answer.
        """
        return self._patiently("patch", what, change)

    def create(self, what: Named, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Make the object and return it; one that is there already is returned as it is.

        Raises:
            ApiError: it may not be made, or the server does not answer.
        """
        try:
            return self._patiently("create", what, manifest)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
        return self.get(what)

    def select(self, like: Named, selector: str) -> list[dict[str, Any]]:
        """Return the objects of the kind and namespace of `like` that a label selector selects.

        Raises:
            ApiError: they may not be listed, or the server does not answer.
        """
        found = self._patiently("list", like, None, f"?labelSelector={quote(selector)}")
        return list(found.get("items") or [])

    def delete(self, what: Named) -> None:
        """Remove the object, with what it owns; one that is gone already is no fault.

        Raises:
            ApiError: it may not be removed, or the server does not answer.
        """
        try:
            self._patiently("delete", what, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def _patiently(self, verb: str, what: Named, body: Mapping[str, Any] | None, query: str = "") -> dict[str, Any]:
        deadline, pause = time.monotonic() + self._patience_s, 0.25
        while True:
            try:
                return self._once(verb, what, body, query)
            except ApiError as error:
                if (error.status and error.status not in _TRANSIENT) or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _once(self, verb: str, what: Named, body: Mapping[str, Any] | None, query: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        url = self._url + (what.collection if verb in ("create", "list") else what.path) + query
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if verb == "patch" else "application/json"
        if verb in ("patch", "create"):
            url += f"?fieldManager={FIELD_MANAGER}"
        content = None if body is None else json.dumps(body).encode()
        request = Request(url, content, headers, method=_METHODS[verb])  # noqa: S310 - https in a pod
        try:
            with urlopen(request, timeout=20, context=self._tls) as answer:  # noqa: S310 - as above
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as refused:
            raise ApiError(_refusal(verb, what, refused), refused.code) from None
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise ApiError(f"cannot {verb} {what}: the API server {self._url} does not answer: {fault}") from fault


def _refusal(verb: str, what: Named, refused: HTTPError) -> str:
    try:
        said = str(json.load(refused).get("message", ""))
    except (OSError, ValueError, AttributeError):
        said = refused.reason
    if refused.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        fix = f"the Job's Role must allow `{verb}` on this object by name; run `up` again, which restores it"
    elif refused.code == http.HTTPStatus.NOT_FOUND:
        fix = "it is made by `up` before this Job; run `up --refresh`, which makes it again"
    else:
        fix = f"the API server answered {refused.code}"
    return f"cannot {verb} {what}: {said or refused.reason}; {fix}"


def write_result(api: Api, target: str, result: Mapping[str, Any]) -> None:
    """Put the result into the ConfigMap `NAMESPACE/NAME`, under the key that the program reads.

    Raises:
        Failure: the target is no such pair, the result is too large for the stack's state, or the API refused.
    """
    namespace, _, name = target.partition("/")
    if not namespace or not name:
        raise Failure(f"--result {target!r}: NAMESPACE/NAME of a ConfigMap is needed")
    text = json.dumps(result, sort_keys=True, separators=(",", ":"))
    if len(text.encode()) > _LARGEST_RESULT:
        raise Failure(
            f"the result takes {len(text.encode()):,} bytes, and {_LARGEST_RESULT:,} are kept: log fewer metrics"
        )
    api.patch(Named("configmaps", namespace, name), {"data": {"result.json": text}})
