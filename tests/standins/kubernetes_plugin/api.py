"""The connection to one API server: requests, repeated while it does not answer, and where each kind lives.

Knows no resource of the engine; raises `ApiError` with the API server's own words.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from tests.standins.kubernetes_plugin.objects import Kind, Object
from tests.standins.kubernetes_plugin.settings import Access
from tests.standins.plugin.refused import Refused

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
_REQUEST_S = 60.0
_UNAUTHORIZED = 401
_AGAIN = (429, 500, 502, 503, 504)
_PATIENCE_S = 60.0  # an API server that restarts is back within
_USER_AGENT = "pulumi-kubernetes-standin"


class ApiError(Refused):
    """The API server's refusal (a `Status`)."""

    def __init__(self, code: int, status: Mapping[str, Any]) -> None:
        super().__init__(str(status.get("message") or f"HTTP {code}"))
        self.code = code
        self.reason = str(status.get("reason") or "")
        self.details: Mapping[str, Any] = status.get("details") or {}

    @property
    def namespace_is_missing(self) -> bool:
        return self.code == 404 and self.details.get("kind") == "namespaces"


class NoSuchKind(Refused):
    """The API server has no such kind: a CustomResourceDefinition is missing."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(f'no matches for kind "{kind.name}" in version "{kind.api_version}"')


class Unreachable(Refused):
    """The API server does not answer."""


@dataclass(frozen=True)
class Place:
    """Where the objects of a kind are."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        scope = f"/namespaces/{urllib.parse.quote(namespace or 'default')}" if self.namespaced else ""
        return f"{self.prefix}{scope}/{self.plural}" + (f"/{urllib.parse.quote(name)}" if name else "")


def find_place(kind: Kind, resources: Mapping[str, Any]) -> Place | None:
    """Return a kind's place from an APIResourceList; None when it is not in there."""
    prefix = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    for resource in resources.get("resources") or []:
        if resource["kind"] == kind.name and "/" not in resource["name"]:
            return Place(prefix, resource["name"], bool(resource["namespaced"]))
    return None


class Api:
    """One API server."""

    def __init__(self, access: Access, stop: threading.Event | None = None) -> None:
        self.server = access.server
        self._headers = {"User-Agent": _USER_AGENT, "Accept": "application/json"}
        self._login = access.login
        self._pool = urllib3.PoolManager(ssl_context=access.tls, maxsize=32, block=False, retries=False)
        self._places: dict[Kind, Place] = {}
        self._stop = stop or threading.Event()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        patience_s: float = _PATIENCE_S,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return the answer; `ApiError` when it is refused, `Unreachable` when nobody answers."""
        url = f"{self.server}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        payload = None if body is None else json.dumps(body).encode()
        kind = {} if payload is None else {"Content-Type": content_type}
        deadline, pause, known = time.monotonic() + patience_s, 0.2, True
        while True:
            shown = self._login.headers()
            try:
                headers = {**self._headers, **kind, **shown}
                answer = self._pool.request(method, url, body=payload, headers=headers, timeout=_REQUEST_S)
                problem: Refused | None = None if answer.status < 400 else _error(answer)
                if problem is None:
                    return _decoded(answer)
            except HTTPError as error:
                problem = Unreachable(f"the API server {self.server} does not answer: {error}")
            if isinstance(problem, ApiError) and problem.code == _UNAUTHORIZED and known and self._login.refused(shown):
                known = False  # a token may have been revoked before its time: one more attempt with a new one
                continue
            if isinstance(problem, ApiError) and problem.code not in _AGAIN:
                raise problem
            if time.monotonic() + pause > deadline or self._stop.wait(pause):
                raise problem
            pause = min(pause * 2, 3.0)

    def place(self, kind: Kind) -> Place:
        """Return where a kind's objects are; what is missing is looked up again next time, since it may be coming."""
        if kind not in self._places:
            group = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
            try:
                found = find_place(kind, self.request("GET", group))
            except ApiError as error:
                if error.code != 404:
                    raise
                found = None
            if found is None:
                raise NoSuchKind(kind)
            self._places[kind] = found
        return self._places[kind]

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return an object; an `ApiError` with code 404 where there is none."""
        found: Object = self.request("GET", self.place(kind).path(namespace, name))
        return found

    def list(self, kind: Kind, namespace: str, **query: str) -> list[Object]:
        """Return the objects of a kind in a namespace."""
        found: list[Object] = self.request("GET", self.place(kind).path(namespace), query=query).get("items") or []
        return found

    def is_namespaced(self, kind: Kind) -> bool:
        """Whether objects of a kind live in namespaces; a kind that is not there yet is taken to (IsNamespacedKind)."""
        try:
            return self.place(kind).namespaced
        except NoSuchKind:
            return True


def _decoded(answer: urllib3.BaseHTTPResponse) -> Any:
    return json.loads(answer.data) if answer.data else {}


def _error(answer: urllib3.BaseHTTPResponse) -> ApiError:
    try:
        status = json.loads(answer.data)
    except ValueError:
        status = {"message": f"HTTP {answer.status}: {answer.data.decode(errors='replace')[:300]}"}
    return ApiError(answer.status, status if isinstance(status, dict) else {})
