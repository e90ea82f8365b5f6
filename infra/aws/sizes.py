"""How many nodes the groups of a cluster have and may have, as EKS says now.

It only reads, and decides nothing: what a change of bounds makes of it is for `components.aws.node_group`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from components.aws.node_group import Size
from infra.aws import api
from infra.aws.api import ABSENT, AwsUnusable
from infra.aws.provider import offline
from infra.aws.settings import AwsConfig

_CALLS_AT_ONCE = 8


def now(config: AwsConfig, cluster: str) -> Mapping[str, Size] | None:
    """Return the size of every node group of the cluster, by name; None offline, and where AWS cannot be asked.

    Whoever has no right to look still gets a preview: only a change of bounds needs it, and who changes them has it.
    """
    if offline():
        return None
    try:
        client = api.client("eks", config.region, config.endpoint_url)
        names = _names(client, cluster)
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
            found = list(threads.map(lambda name: _size(client, cluster, name), names))
    except AwsUnusable as error:
        return {} if error.code == ABSENT else None
    return {name: size for name, size in zip(names, found, strict=True) if size is not None}


def _names(client: Any, cluster: str) -> list[str]:
    names: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = api.ask(client, "list_nodegroups", clusterName=cluster, **more)
        names += page["nodegroups"]
        if not page.get("nextToken"):
            return names
        more = {"nextToken": page["nextToken"]}


def _size(client: Any, cluster: str, name: str) -> Size | None:
    try:
        group = api.ask(client, "describe_nodegroup", clusterName=cluster, nodegroupName=name)["nodegroup"]
    except AwsUnusable as error:
        if error.code == ABSENT:  # it went since it was listed
            return None
        raise
    bounds = group["scalingConfig"]
    return Size(min=bounds["minSize"], max=bounds["maxSize"], desired=bounds["desiredSize"])
