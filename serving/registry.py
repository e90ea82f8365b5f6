"""The part of MLflow's REST interface that serving needs, on the standard library.

``import mlflow`` costs two seconds and 150 MB in every replica; these calls cost neither.
It must not decide anything: what a tag or an alias means is for `serving.release` and `serving.follower`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from serving.errors import ModelUnusable, RegistryUnavailable

_MISSING = "RESOURCE_DOES_NOT_EXIST"
_API = "/api/2.0/mlflow/"


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model as it is now: its tags, and which version each alias names."""

    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


class Registry:
    """A tracking server, spoken to synchronously; every method opens its own connection and is thread-safe.

    All methods raise RegistryUnavailable when the server does not answer or answers with a server error.
    """

    def __init__(self, tracking_uri: str, timeout_s: float = 10.0, login: tuple[str, str] | None = None) -> None:
        parts = urlsplit(tracking_uri)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"tracking_uri {tracking_uri!r}: serving needs the http(s) address of a tracking server")
        self.uri = tracking_uri
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._login = login

    def alias(self, name: str, alias: str) -> str | None:
        """Return the version that the alias names, or None."""
        query = {"name": name, "alias": alias}
        answer = self._get("registered-models/alias", query)
        return None if answer is None else str(answer["model_version"]["version"])

    def model(self, name: str) -> RegisteredModel | None:
        """Return the registered model, or None when nothing was ever registered under the name."""
        answer = self._get("registered-models/get", {"name": name})
        if answer is None:
            return None
        model = answer["registered_model"]
        aliases = {entry["alias"]: str(entry["version"]) for entry in model.get("aliases", [])}
        return RegisteredModel(tags=_tags(model), aliases=aliases)

    def version_tags(self, name: str, version: str) -> dict[str, str] | None:
        """Return the tags of a version, or None when there is no such version."""
        if not version.isdecimal():
            return None
        answer = self._get("model-versions/get", {"name": name, "version": version})
        return None if answer is None else _tags(answer["model_version"])

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Let the alias name the version, whatever it named before."""
        self._post("registered-models/alias", {"name": name, "alias": alias, "version": version})

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of the registered model."""
        self._post("registered-models/set-tag", {"name": name, "key": key, "value": value})

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of one version."""
        self._post("model-versions/set-tag", {"name": name, "version": version, "key": key, "value": value})

    def artifact_root(self, name: str, version: str) -> str:
        """Return where the version's artifact lies, as the store's own URI.

        Raises:
            ModelUnusable: there is no such version.
        """
        answer = self._get("model-versions/get-download-uri", {"name": name, "version": version})
        if answer is None:
            raise ModelUnusable(f"model {name} has no version {version}")
        uri = str(answer["artifact_uri"])
        if not uri.startswith("models:/"):
            return uri
        logged = self._get(f"logged-models/{quote(uri.removeprefix('models:/'), safe='')}", {})
        if logged is None:
            raise ModelUnusable(f"model {name} version {version} points at {uri}, which does not exist")
        return str(logged["model"]["info"]["artifact_uri"])

    def read(self, root: str, path: str) -> bytes | None:
        """Return one file of an artifact that the tracking server proxies, or None when it is not there."""
        parts = urlsplit(root)
        where = quote(f"{parts.path.strip('/')}/{path}")
        status, body = self._send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{where}")
        if status == http.HTTPStatus.OK:
            return body
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        raise RegistryUnavailable(f"artifact {root}/{path}: the tracking server answered {status}")

    def _get(self, what: str, query: dict[str, str]) -> dict[str, Any] | None:
        path = f"{_API}{what}" + (f"?{urlencode(query)}" if query else "")
        status, body = self._send("GET", path)
        return _decode(status, body, f"GET {what}")

    def _post(self, what: str, payload: dict[str, str]) -> None:
        status, body = self._send("POST", _API + what, json.dumps(payload).encode())
        if _decode(status, body, f"POST {what}") is None:
            raise ModelUnusable(f"{what}: {payload.get('name')} {payload.get('version', '')} is not in the registry")

    def _send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        headers = {"Content-Type": "application/json", **_credentials(self._login)}
        try:
            connection.request(method, self._prefix + path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise RegistryUnavailable(f"tracking server {self.uri}: {fault or type(fault).__name__}") from fault
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RegistryUnavailable(f"tracking server {self.uri}: {method} {path} answered {response.status}")
        return response.status, content


def _decode(status: int, body: bytes, what: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(body or b"{}")
    except ValueError as fault:
        raise RegistryUnavailable(f"{what} answered {status} with something that is not JSON") from fault
    if status == http.HTTPStatus.OK:
        return dict(answer)
    if answer.get("error_code") == _MISSING:
        return None
    # MLflow says "invalid parameter" for an alias that does not exist.
    if status in {400, 404} and "alias" in what and "not found" in str(answer.get("message", "")):
        return None
    raise RegistryUnavailable(f"{what} answered {status}: {answer.get('message', '')}")


def _tags(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in thing.get("tags", [])}


def _credentials(login: tuple[str, str] | None) -> dict[str, str]:
    """Return the given login, or MLflow's own client credentials, where the environment has them."""
    if login is not None:
        return _basic(*login)
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        return _basic(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    return {}


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
