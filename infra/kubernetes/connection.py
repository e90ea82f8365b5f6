"""A connection to a cluster, by the kubeconfig context that the stack names.

The client library is imported where a connection is made: it costs 0.4 s, and only stacks on Kubernetes pay it.
It says plainly why a cluster cannot be used; what is asked of it is for others to know.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.settings import SettingError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

TIMEOUT_S = 10
_CALLS_AT_ONCE = 16
_OK = range(200, 300)
_KEPT: dict[tuple[str, str], tuple[ApiClient, Cluster]] = {}
"""By context and path of the kubeconfig."""
_KEEPING = threading.Lock()
_OBJECT = re.compile(r"<?[\w.]+\([^)]*\)?(?: object at 0x[0-9a-f]+)?>?: |<[^>]*object at 0x[0-9a-f]+>: ")


class ClusterUnusable(SettingError):
    """The cluster of a stack cannot be reached or used; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API server answered."""

    status: int
    body: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.status in _OK

    @property
    def message(self) -> str:
        """Why it did not."""
        return str(self.body.get("message") or f"HTTP {self.status}")


class Cluster:
    """A cluster as one kubeconfig context reaches it.  Safe to use from several threads."""

    def __init__(self, context: str, client: ApiClient) -> None:
        self.context = context
        self.address = str(client.configuration.host)
        self._client = client

    def get(self, path: str) -> Answer:
        """Ask for an object, a list or a discovery document.

        Raises:
            ClusterUnusable: the API server does not answer.
        """
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Create an object; reviews of access are asked for this way too.

        Raises:
            ClusterUnusable: the API server does not answer.
        """
        return self._call("POST", path, body)

    def text(self, path: str) -> str | None:
        """Ask for plain text, such as the log of a pod; None when it is refused.

        Raises:
            ClusterUnusable: the API server does not answer.
        """
        status, content = self._send("GET", path, None)
        return content.decode(errors="replace") if status in _OK else None

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        status, content = self._send(method, path, body)
        return Answer(status=status, body=_decoded(content or b"{}"))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        call = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response: Any = self._client.call_api(*call, _request_timeout=TIMEOUT_S)
            content = response.read()
        except (ApiException, HTTPError, OSError) as error:
            raise ClusterUnusable(
                f"the API server {self.address} of the context {self.context} does not answer: {_reason(error)}. "
                f"Look: kubectl --context {self.context} get --raw /version"
            ) from None
        return int(response.status), bytes(content or b"")

    def portforward(self, namespace: str, pod: str, port: int) -> Any:
        """Open a connection to a port of a pod, which has `socket(port)` and `close()`."""
        from kubernetes.client import ApiClient, CoreV1Api  # noqa: PLC0415
        from kubernetes.stream import portforward  # noqa: PLC0415

        # the library swaps a method of the client while it connects: never on the client that others are using
        api = CoreV1Api(ApiClient(self._client.configuration))
        return portforward(api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))


def _reason(error: BaseException) -> str:
    """Return the innermost reason in one line; urllib3 wraps it, with the addresses of objects in the text."""
    inner: Any = error
    while isinstance(getattr(inner, "reason", None), BaseException):
        inner = inner.reason
    text = str(getattr(inner, "reason", None) or inner) or type(inner).__name__
    return " ".join(_OBJECT.sub("", text).split())


def _decoded(text: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace")[:200]}
    return found if isinstance(found, dict) else {"value": found}


def kubeconfig_path(kubeconfig: str | None) -> str:
    """Return the kubeconfig to read: the given one, else $KUBECONFIG (a list is merged), else ~/.kube/config."""
    given = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    return os.pathsep.join(str(Path(part).expanduser()) for part in given.split(os.pathsep) if part)


@contextlib.contextmanager
def connect(context: str, kubeconfig: str | None = None) -> Iterator[Cluster]:
    """Yield the cluster of the context; nothing is sent yet.

    Raises:
        ClusterUnusable: no such file or context, or its credentials cannot be had.
    """
    client = _client(context, kubeconfig_path(kubeconfig))
    try:
        yield Cluster(context, client)
    finally:
        _close(client)


def shared(context: str, kubeconfig: str | None = None) -> Cluster:
    """Return the cluster of the context by the one connection that this process has to it until it ends.

    For the program, whose parts ask one after another: a credential plugin takes a second, and runs once.

    Raises:
        ClusterUnusable: as `connect`.
    """
    key = (context, kubeconfig_path(kubeconfig))
    with _KEEPING:
        if key not in _KEPT:
            client = _client(*key)
            _KEPT[key] = (client, Cluster(context, client))
        return _KEPT[key][1]


def disconnect() -> None:
    """Close the connections that this process shares; who asks next connects anew."""
    with _KEEPING:
        while _KEPT:
            _close(_KEPT.popitem()[1][0])


atexit.register(disconnect)


def _close(client: Any) -> None:
    client.close()
    client.rest_client.close()


def _client(context: str, path: str) -> ApiClient:
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415
    from kubernetes.config import ConfigException, kube_config  # noqa: PLC0415
    from urllib3 import disable_warnings  # noqa: PLC0415
    from urllib3.exceptions import InsecureRequestWarning  # noqa: PLC0415

    configuration: Any = Configuration()
    configuration.retries = False
    configuration.connection_pool_maxsize = _CALLS_AT_ONCE
    user = _user(path, context)
    loader: Any = kube_config
    try:
        loader.load_kube_config(path, context=context, client_configuration=configuration)
    except (ConfigException, OSError, ValueError) as error:
        raise ClusterUnusable(
            f"slipway:substrate.context = {context!r}: its credentials in {path} cannot be used: {error}"
        ) from None
    plugin = (user.get("exec") or {}).get("command")
    if plugin and not configuration.api_key and not configuration.cert_file:
        # the library logs why and would go on without credentials
        raise ClusterUnusable(
            f"slipway:substrate.context = {context!r}: the credential plugin {plugin} in {path} gave no credentials. "
            "Install it, or log in with it; then: kubectl --context " + context + " get --raw /version"
        )
    if not configuration.verify_ssl:
        # the kubeconfig says so; a warning with every one of a hundred calls adds nothing
        disable_warnings(InsecureRequestWarning)
    return ApiClient(configuration)


def _user(path: str, context: str) -> Mapping[str, Any]:
    """Return the user of the context as the kubeconfig describes it.

    Raises:
        ClusterUnusable: the file or the context is not there; the text lists the contexts there are.
    """
    from kubernetes.config import ConfigException, kube_config  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    if not any(Path(part).is_file() for part in path.split(os.pathsep)):
        raise ClusterUnusable(
            f"there is no kubeconfig {path}. Make one (kind, k3s, gcloud, az and aws each write it), "
            "or set slipway:substrate.kubeconfig"
        )
    loader: Any = kube_config
    try:
        # not the library's own list of contexts: that wants a current one, and nothing is taken from it here
        config = loader.KubeConfigMerger(path).config.value
        contexts = {str(entry["name"]): entry["context"] for entry in _entries(config, "contexts")}
        users = {str(entry["name"]): entry.value["user"] for entry in _entries(config, "users")}
    except (ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterUnusable(f"the kubeconfig {path} cannot be read: {' '.join(str(error).split())}") from None
    if context not in contexts:
        raise ClusterUnusable(
            f"slipway:substrate.context = {context!r}: there is no such context in {path}. "
            f"There are: {', '.join(contexts) or 'none'}. Set one of them, or slipway:substrate.kubeconfig"
        )
    return users.get(str(contexts[context].value.get("user"))) or {}


def _entries(config: Mapping[str, Any], key: str) -> list[Any]:
    return config.get(key) or []
