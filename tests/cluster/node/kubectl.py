"""kubectl of the node's own version, run inside its namespace with its kubeconfig, and commands beside it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.engine.layout import StopError
from tests.cluster.node.binaries import binary
from tests.cluster.node.layout import NETNS, layout

_POLL_S = 0.2


def in_node(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str | None = None, timeout_s: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command in the node's network namespace: it reaches the API server, ClusterIPs and pods, and nothing else.

    The result is returned whatever the status. Names of Services are resolved by `resolving`.
    """
    return subprocess.run(
        ["nsenter", f"--net={NETNS}", *command],
        input=stdin,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def resolving(command: Sequence[str]) -> list[str]:
    """The command with cluster DNS as its resolver: in a mount namespace of its own, so that nobody else notices."""
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(resolver()), *command]


def resolver() -> Path:
    """The file that `resolving` puts in the place of /etc/resolv.conf."""
    return layout().node / "conf" / "cluster-resolv.conf"


def kubectl(*arguments: str, stdin: str | None = None, timeout_s: float = 300) -> str:
    """What kubectl printed.

    Raises:
        StopError: it failed; with its message.
    """
    place = layout()
    command = [str(binary(place, "kubectl")), f"--kubeconfig={place.kubeconfig}", *arguments]
    ended = in_node(command, stdin=stdin, timeout_s=timeout_s)
    if ended.returncode != 0:
        raise StopError(f"`kubectl {' '.join(arguments)}` ended with status {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout


def apply(*manifests: Mapping[str, Any]) -> None:
    """Server-side apply, strictly validated."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    kubectl("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", stdin=listed)


def get(*arguments: str) -> Any:
    """`kubectl get` as objects."""
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def await_definitions(ask: Callable[..., str], *names: str, patience_s: float = 300) -> None:
    """Wait until the API server serves custom resources; `ask` runs kubectl.

    `kubectl wait` ends with an error at a definition that is so new that it has no conditions.

    Raises:
        StopError: it does not in time.
    """
    end = time.monotonic() + patience_s
    while not all(_is_established(json.loads(ask("get", "crd", name, "-o", "json"))) for name in names):
        if time.monotonic() > end:
            raise StopError(f"these are not served after {patience_s:.0f} s: {', '.join(names)}")
        time.sleep(_POLL_S)


def _is_established(definition: Mapping[str, Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
