"""The way from this machine to a deployed stack's cluster: its kubeconfig, made anew from what EKS says now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.aws import api, kubeconfig
from infra.aws.api import AwsUnusable


def renew(where: Mapping[str, Any], root: Path) -> str:
    """Write the kubeconfig of the cluster that a stack's output `substrate` names, and return its path.

    Raises:
        AwsUnusable: there is no such cluster, or AWS cannot be asked.
    """
    name, region, endpoint_url = str(where["cluster"]), str(where["region"]), where.get("endpoint_url")
    path = root / str(where["kubeconfig"])
    state = api.cluster(name, region, endpoint_url)
    if state is None:
        path.unlink(missing_ok=True)
        raise AwsUnusable(
            f"there is no EKS cluster {name} in {region} for these credentials: check AWS_PROFILE, or run "
            "./pulumiw up, which makes it"
        )
    if not state.reachable:
        raise AwsUnusable(f"the EKS cluster {name} is {state.status}: its API server does not answer yet")
    kubeconfig.write(path, name, state.endpoint, state.certificate, region, endpoint_url=endpoint_url)
    return str(path)
