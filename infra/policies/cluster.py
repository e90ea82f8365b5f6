"""Rules on the EKS cluster and its nodes: who reaches the API server, what is logged, instance metadata, GPU pools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.policies.model import UNKNOWN, Declared, Posture, Rule, Violation, absent_or_false, demand, is_wide, present

CLUSTER = frozenset({"aws:eks/cluster:Cluster"})
NODES = frozenset({"aws:eks/nodeGroup:NodeGroup"})
TEMPLATE = frozenset({"aws:ec2/launchTemplate:LaunchTemplate"})
GPU = "nvidia.com/gpu"
MOST_GPU_NODES = 16
CONTROL_PLANE_LOGS = frozenset({"api", "audit", "authenticator", "controllerManager", "scheduler"})
_GPU_FAMILY = re.compile(r"(p|g|gr|trn|inf|dl|vt)[0-9]")


def closed_endpoint(resource: Declared, _: Posture) -> Iterator[Violation]:
    """The API server answers inside the VPC, and outside only ranges that are named."""
    public = resource.at("vpcConfig.endpointPublicAccess")
    yield from demand(
        resource,
        "vpcConfig.endpointPrivateAccess",
        lambda value: value is True,
        "nodes would reach the API server over the internet",
        "set it to true",
    )
    if public is UNKNOWN or public is False:
        return
    ranges = resource.at("vpcConfig.publicAccessCidrs")
    if ranges is UNKNOWN:
        return
    wide = [value for value in ranges or ["0.0.0.0/0"] if value is not UNKNOWN and is_wide(value)]
    if wide:
        yield Violation(
            resource=resource,
            property="vpcConfig.publicAccessCidrs",
            value=ranges,
            reason="the API server would answer the whole internet",
            fix="set slipway:substrate.cluster.public_cidrs to the ranges of those who work with it, or "
            "public_endpoint to false",
        )


def access_entries(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Who may use the cluster is said by access entries alone."""
    yield from demand(
        resource,
        "accessConfig.authenticationMode",
        lambda value: value == "API",
        "a ConfigMap inside the cluster could make anybody its administrator",
        "set it to API",
    )


def control_plane_logs(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Every log of the control plane is kept."""
    yield from demand(
        resource,
        "enabledClusterLogTypes",
        lambda value: value is not None and (UNKNOWN in value or CONTROL_PLANE_LOGS.issubset(value)),
        "what happened in the cluster could not be told afterwards",
        f"list all of {', '.join(sorted(CONTROL_PLANE_LOGS))}",
    )


def metadata_service(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Instance metadata needs a session and does not reach pods."""
    yield from demand(
        resource,
        "metadataOptions.httpTokens",
        lambda value: value == "required",
        "a request that is tricked out of a pod could read the node's credentials",
        "set it to required",
    )
    yield from demand(
        resource,
        "metadataOptions.httpPutResponseHopLimit",
        lambda value: value == 1,
        "pods could take the node's role instead of their own",
        "set it to 1",
    )


def own_template(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Nodes come from a launch template, whose disks and metadata the other rules look at."""
    yield from demand(
        resource,
        "launchTemplate",
        present,
        "the nodes would have EKS's defaults, with metadata open to pods and disks that are not named",
        "name a launch template",
    )


def is_gpu(resource: Declared) -> bool:
    """Whether a node group has GPUs, by its image, machines or labels."""
    image = resource.at("amiType")
    machines = [value for _, value in resource.items("instanceTypes") if isinstance(value, str)]
    labels = resource.at("labels")
    return (
        (isinstance(image, str) and ("NVIDIA" in image or "GPU" in image or "NEURON" in image))
        or any(_GPU_FAMILY.match(machine) for machine in machines)
        or (isinstance(labels, dict) and GPU + ".present" in labels)
    )  # fmt: skip


def gpu_pool(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """A GPU pool is tainted and bounded, and in an ephemeral stack costs nothing while nobody uses it."""
    if not is_gpu(resource):
        return
    taints = resource.at("taints")
    if taints is not UNKNOWN and not any(_keeps_off(taint) for taint in taints or ()):
        yield Violation(
            resource=resource, property="taints", value=taints,
            reason="pods without GPUs would fill the most expensive nodes",
            fix=f"add a taint {GPU} with the effect NO_SCHEDULE",
        )  # fmt: skip
    if resource.name not in posture.exceptions:
        yield from demand(
            resource,
            "scalingConfig.maxSize",
            lambda value: isinstance(value, int | float) and value <= MOST_GPU_NODES,
            f"a GPU pool may have {MOST_GPU_NODES} nodes at most, lest a loop buys hundreds",
            f"lower the pool's max, or allow it with the reason: slipway:substrate.exceptions {{{resource.name}: WHY}}",
        )
    if posture.ephemeral:
        yield from demand(
            resource,
            "scalingConfig.minSize",
            lambda value: value == 0,
            "an ephemeral stack would pay for GPUs that nobody uses",
            "set the pool's min to 0",
        )


def _keeps_off(taint: Any) -> bool:
    if taint is UNKNOWN or not isinstance(taint, dict):
        return taint is UNKNOWN
    return UNKNOWN in (taint.get("key"), taint.get("effect")) or (
        taint.get("key") == GPU and taint.get("effect") in ("NO_SCHEDULE", "NO_EXECUTE")
    )


def no_remote_access(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Nobody logs into nodes by SSH."""
    yield from demand(
        resource, "remoteAccess", lambda value: not value, "nodes would take SSH connections", "remove remoteAccess"
    )


def no_public_address(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Nodes have no public addresses."""
    for at, _interface in resource.items("networkInterfaces"):
        yield from demand(
            resource,
            f"{at}.associatePublicIpAddress",
            absent_or_false,
            "the node would have a public address",
            "set it to false",
        )


RULES = (
    Rule(name="endpoint-closed", about="The API server is not open to the world", types=CLUSTER, check=closed_endpoint),
    Rule(
        name="access-entries", about="Access to the cluster is by access entries", types=CLUSTER, check=access_entries
    ),
    Rule(name="control-plane-logs", about="The control plane is logged", types=CLUSTER, check=control_plane_logs),
    Rule(name="metadata-service", about="Instance metadata is closed to pods", types=TEMPLATE, check=metadata_service),
    Rule(name="node-address", about="Nodes have no public addresses", types=TEMPLATE, check=no_public_address),
    Rule(name="node-template", about="Nodes come from a launch template", types=NODES, check=own_template),
    Rule(name="node-login", about="Nodes take no SSH connections", types=NODES, check=no_remote_access),
    Rule(name="gpu-pool", about="GPU pools are tainted and bounded", types=NODES, check=gpu_pool),
)
