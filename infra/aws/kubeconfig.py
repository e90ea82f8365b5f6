"""How an EKS cluster is reached: the kubeconfig as a document, and the file of it that commands on this machine read.

The document holds no credentials: clients run `slipway eks-token`, as whoever runs them.  The file may be deleted at
any time; the next `up`, preview or `slipway` command writes it again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi import Input, Output

from infra.aws.token import API_VERSION

COMMAND = "slipway"


def relative(stack: str) -> str:
    """Return where the file of a stack lies, from the folder of Pulumi.yaml."""
    return f".slipway/{stack}/kubeconfig"


def kubeconfig(
    name: str,
    endpoint: str,
    certificate: str,
    region: str,
    *,
    command: str = COMMAND,
    endpoint_url: str | None = None,
) -> dict[str, Any]:
    """Return the kubeconfig of one cluster; its context, cluster and user have the cluster's name.

    Args:
        name: the cluster.
        endpoint: where its API server answers.
        certificate: its authority, base64, as EKS gives it.
        region: where it is.
        command: the plugin that makes tokens; a plain name is looked for on PATH.
        endpoint_url: where AWS answers, when not at its own addresses.
    """
    user: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "command": command,
        "args": ["eks-token", "--cluster", name, "--region", region],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
        "installHint": f"{command} comes with this project: ./pulumiw setup, then .venv/bin/{COMMAND}",
    }
    if endpoint_url is not None:
        user["env"] = [{"name": "AWS_ENDPOINT_URL", "value": endpoint_url}]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": certificate}}],
        "users": [{"name": name, "user": {"exec": user}}],
    }


def document(
    name: str, endpoint: Input[str], certificate: Input[str], region: str, *, endpoint_url: str | None = None
) -> Output[str]:
    """Return the kubeconfig as text, for the provider: the same on every machine, since it is part of the state."""

    def text(endpoint: str, certificate: str) -> str:
        return json.dumps(kubeconfig(name, endpoint, certificate, region, endpoint_url=endpoint_url), sort_keys=True)

    return Output.all(endpoint, certificate).apply(lambda found: text(*found))


def keep(
    path: Path,
    name: str,
    endpoint: Input[str],
    certificate: Input[str],
    region: str,
    *,
    endpoint_url: str | None = None,
) -> Output[str]:
    """Write the file as soon as the cluster's address is known; return its path, known from then on."""

    def written(endpoint: str, certificate: str) -> str:
        write(path, name, endpoint, certificate, region, endpoint_url=endpoint_url)
        return str(path)

    return Output.all(endpoint, certificate).apply(lambda found: written(*found))


def write(
    path: Path, name: str, endpoint: str, certificate: str, region: str, *, endpoint_url: str | None = None
) -> None:
    """Write the file for clients of this machine: readable by its owner alone, whole or not at all."""
    text = json.dumps(
        kubeconfig(name, endpoint, certificate, region, command=_here(), endpoint_url=endpoint_url), indent=1
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_file() and path.read_text() == text:
        path.chmod(0o600)
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _here() -> str:
    """Return the plugin by its whole path where it is installed beside this Python: other shells have another PATH."""
    beside = Path(sys.executable).with_name(COMMAND)
    return str(beside) if beside.is_file() else shutil.which(COMMAND) or COMMAND


def endpoint_url(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return where AWS answers when somebody moved it (a test server, a proxy); None: at its own addresses."""
    return environment.get("AWS_ENDPOINT_URL")
