"""What must hold between the settings of `slipway:substrate` with kind `aws`: pure, all problems at once.

It is asked while the stack file is read, before any call; it knows instance types from a table, not from AWS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING

from components.aws import addressing, gpu_nodes
from components.aws.instance_types import InstanceType, UnknownInstanceTypeError, lookup
from components.settings import GpuPoolSpec, Problem
from infra.aws import cluster_rules, pools
from infra.kubernetes.settings import DATABASE_URL, STORE_CREDENTIALS

if TYPE_CHECKING:
    from infra.aws.settings import AwsConfig, GpuNodeSettings

_SETTINGS = {"capacity_block_id": "capacity_block", "capacity": "capacity_block"}
"""Fields of the machines that have another name in the stack file."""
_GIB_FOR_THE_SYSTEM = 1.0
"""Of a node's memory; kubelet and the daemons on every node keep at least this."""


def problems(config: AwsConfig, secrets: Collection[str], asked: Sequence[GpuPoolSpec]) -> Iterator[Problem]:
    """Find everything that cannot hold together."""
    yield from _zones(config)
    yield from _network(config)
    yield from cluster_rules.problems(config)
    yield from _nodes(config)
    yield from _pools(config, asked)
    yield from _workloads(config, secrets, asked)


def _zones(config: AwsConfig) -> Iterator[Problem]:
    for zone in config.zones:
        if not zone.startswith(config.region) or len(zone) != len(config.region) + 1:
            yield Problem(
                "substrate.zones",
                zone,
                f"is no availability zone of {config.region}",
                f"use names such as {config.region}a",
            )
    if len(set(config.zones)) != len(config.zones):
        yield Problem("substrate.zones", list(config.zones), "names a zone twice", "name two or three different ones")


def _network(config: AwsConfig) -> Iterator[Problem]:
    if config.vpc is not None:
        if config.network.model_fields_set:
            yield Problem(
                "substrate.network",
                config.network.model_dump(exclude_unset=True),
                "there is a substrate.vpc too, in which nothing is made",
                "remove one of them",
            )
        missing = [zone for zone in config.zones if zone not in config.vpc.private_subnets]
        if missing:
            yield Problem(
                "substrate.vpc.private_subnets",
                config.vpc.private_subnets,
                f"has no subnet in {', '.join(missing)}, which substrate.zones names",
                "name one private subnet for each zone",
            )
    elif len(set(config.zones)) == len(config.zones):
        try:
            addressing.plan(config.network.cidr, config.zones)
        except ValueError as error:
            yield Problem("substrate.network.cidr", config.network.cidr, str(error), "choose another range")
    others = {
        "substrate.cluster.service_cidr": [config.cluster.service_cidr],
        "substrate.network.apart_from": config.network.apart_from,
    }
    path = "substrate.network.cidr" if config.vpc is None else "substrate.vpc.cidr"
    for setting, ranges in others.items():
        for other in ranges:
            if _overlap(config.address_range, other):
                yield Problem(
                    path,
                    config.address_range,
                    f"overlaps {other} of slipway:{setting}: addresses would mean two things",
                    "choose a range apart from it",
                )


def _overlap(one: str, other: str) -> bool:
    try:
        return ip_network(one, strict=False).overlaps(ip_network(other, strict=False))
    except ValueError:  # a range that is none is told by its own rule
        return False


def _nodes(config: AwsConfig) -> Iterator[Problem]:
    nodes = config.system_nodes
    if nodes.min > nodes.max:
        yield Problem(
            "substrate.system_nodes",
            {"min": nodes.min, "max": nodes.max},
            "min must not be above max",
            f"set max to {nodes.min} or more",
        )
    yield from _system_types(nodes.instance_types)
    database = config.database
    least = -(-database.storage_gib * 11 // 10)
    if database.max_storage_gib < least:
        yield Problem(
            "substrate.database.max_storage_gib",
            database.max_storage_gib,
            f"leaves storage_gib, {database.storage_gib}, less than the tenth to grow that RDS wants",
            f"set it to {least} or more",
        )


def _system_types(names: Sequence[str]) -> Iterator[Problem]:
    path, known = "substrate.system_nodes.instance_types", []
    for name in names:
        try:
            known.append(lookup(name))
        except UnknownInstanceTypeError as error:
            yield Problem(path, name, *error.rule_and_fix)
    if len({machine.arm for machine in known}) > 1:
        yield Problem(path, list(names), "are ARM and x86, and nodes have one image", "name types of one architecture")


def _pools(config: AwsConfig, asked: Sequence[GpuPoolSpec]) -> Iterator[Problem]:
    named = {pool.name: pool for pool in asked}
    for name in config.gpu_nodes.keys() - named.keys():
        yield Problem(
            f"substrate.gpu_nodes.{name}",
            name,
            "there is no such pool in slipway:gpu_pools",
            f"add it there; there are {', '.join(named) or 'none'}",
        )
    for name, pool in named.items():
        nodes = config.gpu_nodes.get(name)
        if nodes is None:
            yield Problem(
                f"substrate.gpu_nodes.{name}",
                None,
                "is required: which machines the pool is made of",
                f"./pulumiw config set --path 'slipway:substrate.gpu_nodes.{name}.instance_types[0]' g6.xlarge",
                absent=True,
            )
        else:
            yield from _pool(config, pool, nodes)


def _pool(config: AwsConfig, pool: GpuPoolSpec, nodes: GpuNodeSettings) -> Iterator[Problem]:
    path = f"substrate.gpu_nodes.{pool.name}"
    known = []
    for type_name in nodes.instance_types:
        try:
            known.append(lookup(type_name))
        except UnknownInstanceTypeError as error:
            yield Problem(f"{path}.instance_types", type_name, *error.rule_and_fix)
    for machine in known:
        yield from _room(path, pool, machine)
    if len(known) == len(nodes.instance_types):
        for found in gpu_nodes.mismatches(pools.machines(pool, nodes), config.zones):
            yield Problem(f"{path}.{_SETTINGS.get(found.field, found.field)}", found.value, found.rule, found.fix)
    if nodes.on_demand_fallback and not pool.spot:
        yield Problem(
            f"{path}.on_demand_fallback",
            nodes.on_demand_fallback,
            f"the pool {pool.name} is on demand already",
            "remove it, or set spot: true on the pool",
        )
    if nodes.capacity_block is not None and pool.spot:
        yield Problem(
            f"{path}.capacity_block",
            nodes.capacity_block,
            "a capacity block is bought beforehand, and the pool asks for spot",
            "remove one of them",
        )


def _room(path: str, pool: GpuPoolSpec, machine: InstanceType) -> Iterator[Problem]:
    """Compare what the pool promises to workloads with what a machine has."""
    where = f"{path}.instance_types"
    if machine.gpus and machine.gpus != pool.gpus:
        yield Problem(
            where,
            machine.name,
            f"has {machine.gpus} GPUs, and the pool {pool.name} says gpus: {pool.gpus}",
            f"set gpus: {machine.gpus} on the pool, or use another type",
        )
    if pool.cpus >= machine.vcpus or pool.memory_gib > machine.memory_gib - _GIB_FOR_THE_SYSTEM:
        yield Problem(
            where,
            machine.name,
            f"has {machine.vcpus} vCPUs and {machine.memory_gib:g} GiB, and the pool {pool.name} asks for "
            f"{pool.cpus:g} and {pool.memory_gib:g}, beside what the node itself needs",
            "ask for less in cpus and memory_gib, or use a larger type",
        )


def _workloads(config: AwsConfig, secrets: Collection[str], asked: Sequence[GpuPoolSpec]) -> Iterator[Problem]:
    images = config.operator_images
    needed = {"kuberay": True, "device_plugin": bool(asked), "autoscaler": bool(asked)}
    for name in [one for one, wanted in needed.items() if wanted and config.image and not getattr(images, one)]:
        yield Problem(
            f"substrate.operator_images.{name}",
            None,
            "is required once substrate.image is set",
            "set it to REPOSITORY@sha256:DIGEST; docs/aws.md says where each is published",
            absent=True,
        )
    if config.gateway is not None and config.incremental_upgrade is not None:
        yield Problem(
            "substrate.incremental_upgrade",
            config.incremental_upgrade.model_dump(),
            "KubeRay then makes a Gateway of its own, which substrate.gateway would bypass",
            "remove one of them",
        )
    if DATABASE_URL in secrets:
        yield Problem(
            DATABASE_URL, None, "the substrate aws makes its own database", "remove the encrypted key", absent=True
        )
    if config.endpoint_url_in_cluster is not None and config.endpoint_url is None:
        yield Problem(
            "substrate.endpoint_url_in_cluster",
            config.endpoint_url_in_cluster,
            "has no effect: AWS answers at its own addresses",
            "set substrate.endpoint_url too, or remove it",
        )
    if STORE_CREDENTIALS in secrets and config.endpoint_url is None:
        yield Problem(
            STORE_CREDENTIALS,
            None,
            "pods get their rights by Pod Identity, and keys would only be one more secret",
            "remove the encrypted key",
            absent=True,
        )
