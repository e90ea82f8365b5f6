"""What an environment costs at rest: everything that is billed by the hour while nobody trains, predicts or logs in.

Pure, from dated files: it asks AWS nothing.  Not counted, since it depends on use: data that move, requests, logs,
objects, images, backups, GPU nodes above their minimum.  `slipway cost -s STACK` prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.aws.instance_types import UnknownInstanceTypeError, lookup
from components.aws.vpc_endpoints import INTERFACES
from components.seam import GroundSpec
from infra.aws.settings import AwsConfig

HOURS_IN_A_MONTH = 730
KEYS = 3
"""Of KMS: data, cluster, logs."""
SOURCE = "prices of us-east-1 on demand, {dated}; what use costs is not in it: data, requests, logs, GPU nodes"
_PRICES: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text())


@dataclass(frozen=True)
class Item:
    """One thing that is billed by the hour."""

    what: str
    count: float
    each: float | None
    """USD an hour in us-east-1; None: the files have no price for it."""

    @property
    def usd(self) -> float:
        """What all of them cost in an hour, as far as it is known."""
        return self.count * (self.each or 0.0)


def at_rest(config: AwsConfig, asked: GroundSpec) -> list[Item]:
    """Return what is billed while the environment only waits."""
    return [*_network(config), *_cluster(config, asked), *_database(config)]


def source() -> str:
    """Return where the prices hold, and what they leave out."""
    return SOURCE.format(dated=_PRICES["dated"])


def per_hour(items: Sequence[Item]) -> float | None:
    """Return the sum in USD; None where something has no price, since a part of a sum would mislead."""
    return None if any(item.each is None for item in items) else round(sum(item.usd for item in items), 2)


def _network(config: AwsConfig) -> Iterator[Item]:
    if config.vpc is not None:
        return
    hour = _PRICES["per_hour"]
    yield Item("NAT gateways", config.nat_gateways, hour["nat_gateway"])
    yield Item("their public addresses", config.nat_gateways, hour["public_address"])
    if config.network.endpoints:
        count = len(INTERFACES) * len(config.zones)
        yield Item("interface endpoints, in each zone", count, hour["interface_endpoint_in_a_zone"])


def _cluster(config: AwsConfig, asked: GroundSpec) -> Iterator[Item]:
    yield Item("EKS control plane", 1, _PRICES["per_hour"]["control_plane"])
    yield Item("keys", KEYS, _PRICES["per_month"]["kms_key"] / HOURS_IN_A_MONTH)
    nodes = config.system_nodes
    yield from _machines(nodes.instance_types[0], nodes.min, nodes.disk_gib)
    for pool in asked.gpu_pools:
        if pool.min:
            machines = config.gpu_nodes[pool.name]
            yield from _machines(machines.instance_types[0], pool.min, machines.disk_gib)


def _machines(type_name: str, count: int, disk_gib: int) -> Iterator[Item]:
    try:
        each = lookup(type_name).usd_per_hour
    except UnknownInstanceTypeError:
        each = None
    yield Item(f"nodes {type_name}", count, each)
    yield Item(
        f"their disks, {disk_gib} GiB", count, disk_gib * _PRICES["per_month"]["node_disk_gib"] / HOURS_IN_A_MONTH
    )


def _database(config: AwsConfig) -> Iterator[Item]:
    database = config.database
    if database.image is not None:
        return
    copies = 2 if database.multi_az else 1
    disk = database.storage_gib * _PRICES["per_month"]["database_disk_gib"] / HOURS_IN_A_MONTH
    yield Item(f"RDS {database.instance_class}", copies, _PRICES["database_per_hour"].get(database.instance_class))
    yield Item(f"its storage, {database.storage_gib} GiB", copies, disk)
