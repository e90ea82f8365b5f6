"""Pools of nodes for tests of AWS components: a GPU pool, the system pool, and what was registered of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import ResourceOptions

from components.aws.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from components.aws.gpu_nodes import GpuNodes
from components.aws.node_group import Size
from components.aws.node_role import NodeRole, NodeRoleArgs
from components.aws.system_node_pool import SystemNodePool, SystemNodePoolArgs
from tests.components.aws_ground import NAMES, cluster, network, on_aws
from tests.mock_engine import Engine, Registration

GROUPS = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
TAGS = {"slipway:project": "slipway", "slipway:stack": "prod"}
LABELS = {"nvidia.com/gpu.present": "true", "slipway/pool": "train", "eks.amazonaws.com/capacityType": "SPOT"}
TAINTS = [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]


@dataclass(frozen=True)
class Pool:
    name: str = "train"
    gpus: int = 1
    cpus: float = 3
    memory_gib: float = 12
    min: int = 0
    max: int = 4
    accelerator: str | None = None
    spot: bool = False


L4 = GpuNodes(instance_types=["g6.xlarge", "g6.2xlarge"])


def gpu(
    nodes: GpuNodes = L4, pool: Pool = Pool(), *, preview: bool = False, sizes: Mapping[str, Size] | None = None
) -> Engine:
    return on_aws(lambda opts: made(opts, nodes, pool, sizes), preview=preview)


def made(
    opts: ResourceOptions, nodes: GpuNodes = L4, pool: Pool = Pool(), sizes: Mapping[str, Size] | None = None
) -> GpuNodePool:
    args = GpuNodePoolArgs(
        names=NAMES,
        pool=pool,
        nodes=nodes,
        labels=LABELS,
        taints=TAINTS,
        cluster=cluster(opts),
        network=network(),
        role=NodeRole("nodes", NodeRoleArgs(names=NAMES), opts),
        version="1.36",
        tags=TAGS,
        sizes=sizes,
    )
    return GpuNodePool("gpu-train", args, opts)


def system(*types: str, preview: bool = False) -> Engine:
    def make(opts: ResourceOptions) -> None:
        args = SystemNodePoolArgs(
            names=NAMES,
            cluster=cluster(opts),
            network=network(),
            role=NodeRole("nodes", NodeRoleArgs(names=NAMES), opts),
            instance_types=types or ["m7i.xlarge"],
            min=2,
            max=4,
            version="1.36",
            tags=TAGS,
        )
        SystemNodePool("system", args, opts)

    return on_aws(make, preview=preview)


def group(engine: Engine, capacity: str = "ON_DEMAND") -> Registration:
    (found,) = [item for item in engine.all(GROUPS) if item.inputs["capacityType"] == capacity]
    return found


def template(engine: Engine) -> dict[str, Any]:
    return engine.one(TEMPLATE).inputs


def name_of(nodes: GpuNodes, pool: Pool = Pool()) -> str:
    return str(gpu(nodes, pool).all(GROUPS)[0].inputs["nodeGroupName"])
