"""How a client shows who it is: a token as it stands in the kubeconfig, or one that a credential plugin gives.

The plugin is run as client-go runs it (plugin/pkg/client/auth/exec/exec.go): with the first call, again when its token
has expired or the API server refuses it, and never for every call.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.standins.kubernetes_plugin.refused import NoCluster
from tests.standins.plugin.refused import Refused

_VERSION = "client.authentication.k8s.io/v1"
_READ = frozenset(("apiVersion", "command", "args", "env", "interactiveMode", "installHint", "provideClusterInfo"))
_RUN_S = 60.0


@dataclass
class Login:
    """The headers of a client's calls."""

    token: str = field(default="", repr=False)

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def refused(self, headers: Mapping[str, str]) -> bool:
        """Hear that the API server does not know these headers; say whether others may do."""
        return False


class PluginLogin(Login):
    """What the program under `exec` in a kubeconfig gives."""

    def __init__(self, given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        if given.get("apiVersion") != _VERSION or given.get("provideClusterInfo") or {*given} - _READ:
            raise Refused(
                f"the stand-in for the Kubernetes plugin runs credential plugins of {_VERSION} without cluster info "
                f"only: `exec` in the kubeconfig says {json.dumps(dict(given))}"
            )
        self._given = given
        self._environment = {**environment, **{pair["name"]: pair["value"] for pair in given.get("env") or []}}
        self._expires: datetime | None = None
        self._lock = threading.Lock()

    def headers(self) -> Mapping[str, str]:
        with self._lock:
            if not self.token or (self._expires is not None and datetime.now(UTC) >= self._expires):
                self._run()
            return super().headers()

    def refused(self, headers: Mapping[str, str]) -> bool:
        with self._lock:
            if headers == super().headers():
                self._run()
        return True

    def _run(self) -> None:
        command = str(self._given.get("command"))
        found = shutil.which(command, path=self._environment.get("PATH"))
        if found is None:
            hint = self._given.get("installHint") or ""
            raise NoCluster(f"the credential plugin {command} is not on PATH. {hint}".rstrip())
        asked = {"apiVersion": _VERSION, "kind": "ExecCredential", "spec": {"interactive": False}}
        ended = subprocess.run(
            [found, *(self._given.get("args") or [])],
            env={**self._environment, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUN_S,
        )
        if ended.returncode != 0:
            raise NoCluster(f"the credential plugin {command} ended with {ended.returncode}: {ended.stderr.strip()}")
        self.token, self._expires = _read(command, ended.stdout)


def _read(command: str, text: str) -> tuple[str, datetime | None]:
    try:
        given = json.loads(text)
        kind = (given["apiVersion"], given["kind"])
        until = given["status"].get("expirationTimestamp")
        expires = None if until is None else datetime.fromisoformat(until)
        token = str(given["status"]["token"])
    except (ValueError, KeyError, TypeError) as error:
        raise NoCluster(f"the credential plugin {command} gave no ExecCredential with a token: {error!r}") from None
    if kind != (_VERSION, "ExecCredential"):
        raise NoCluster(f"the credential plugin {command} gave a {kind[1]} of {kind[0]}, not of {_VERSION}")
    return token, expires
