"""What differs between GKE, AKS, EKS and other clusters: data, one row each, no code.

A row says how nodes are labelled and tainted, how a ServiceAccount gets a cloud identity, which addresses pods need
for that, and which StorageClass to use.  It holds no version and no name of an environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

PlatformName = Literal["generic", "gke", "aks", "eks", "aws"]
"""`aws` is an EKS cluster whose nodes Slipway makes itself; the others are clusters that exist."""
Effect = Literal["NoSchedule", "NoExecute", "PreferNoSchedule"]


@dataclass(frozen=True, kw_only=True)
class Taint:
    """A taint of a pool's nodes; `value` None: the key alone tells."""

    key: str
    value: str | None = None
    effect: Effect = "NoSchedule"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An address and its TCP ports that pods with an identity, or all pods, must reach."""

    cidr: str
    ports: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class StorageClassRow:
    """The StorageClass for volumes; `provisioner` None: the platform brings the class with it."""

    name: str | None
    provisioner: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Where a ServiceAccount's cloud identity is written: the keys; the principal is the environment's."""

    annotation: str | None = None
    """The annotation of the ServiceAccount whose value is the principal."""
    account_labels: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    endpoints: Sequence[Endpoint] = ()
    """Addresses on the node that hand out the credentials; everything else goes by HTTPS."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One row of the table."""

    name: PlatformName
    gpu_label: tuple[str, str] | None
    """A label, key and value, that every node with NVIDIA GPUs has and no other: there the device plugin runs.

    None where the platform runs it itself.
    """
    accelerator_label: str
    """The label whose value names the GPU's model."""
    gpu_taint: Taint
    spot_label: tuple[str, str] | None
    spot_taint: Taint | None
    """The taint that the platform itself, or its documentation's convention, puts on spot nodes."""
    device_plugin_included: bool
    """Whether the platform runs NVIDIA's device plugin; a second one on a node would hand out GPUs twice."""
    storage: StorageClassRow
    identity: Identity
    internal_load_balancer: Mapping[str, str]
    """Annotations that keep a Service of type LoadBalancer inside the private network."""
    own_nodes: bool = False
    """Whether Slipway makes the nodes: then a pool's name on them tells them apart, whatever else they are."""
    dns: Sequence[str] = ()
    """Addresses of name servers besides the pods in kube-system, such as a cache on the node."""
    gateway_networks: Sequence[str] = ()
    """Where the platform's own Gateway comes from, which is no pod: proxies and their health checks."""


NODE_LOCAL_DNS = "169.254.20.10/32"
"""Where the cache on the node answers unless whoever installed it chose otherwise."""
KUBESPRAY_DNS = "169.254.25.10/32"
"""Where Kubespray, which installs that cache by default, has it answer."""
AKS_LOCAL_DNS = ("169.254.10.10/32", "169.254.10.11/32")
"""AKS's own cache (LocalDNS): part of the node, no pod."""
METADATA = "169.254.169.254/32"
"""The node's own identity answers here: no pod may reach it, except where a row's endpoint says so."""
_GPU_TAINT = Taint(key="nvidia.com/gpu")

# NVIDIA's GPU feature discovery writes the first label, or whoever makes the nodes (the substrate aws does); the
# autoscaler tells models apart by `accelerator`. EKS has had no default StorageClass since 1.30. The annotation is for
# IRSA; Pod Identity needs none, and its agent answers at 169.254.170.23.
_EKS = Platform(
    name="eks",
    gpu_label=("nvidia.com/gpu.present", "true"),
    accelerator_label="k8s.amazonaws.com/accelerator",
    gpu_taint=Taint(key="nvidia.com/gpu"),
    spot_label=("eks.amazonaws.com/capacityType", "SPOT"),
    spot_taint=None,
    device_plugin_included=False,
    storage=StorageClassRow(name="gp3", provisioner="ebs.csi.aws.com", parameters={"type": "gp3", "encrypted": "true"}),
    identity=Identity(
        annotation="eks.amazonaws.com/role-arn",
        endpoints=[Endpoint(cidr="169.254.170.23/32", ports=[80])],
    ),
    internal_load_balancer={
        "service.beta.kubernetes.io/aws-load-balancer-type": "external",
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    },
    dns=[NODE_LOCAL_DNS],
)

PLATFORMS: Mapping[PlatformName, Platform] = MappingProxyType(
    {
        # NVIDIA's GPU feature discovery and the GPU operator write these labels.
        "generic": Platform(
            name="generic",
            gpu_label=("nvidia.com/gpu.present", "true"),
            accelerator_label="nvidia.com/gpu.product",
            gpu_taint=_GPU_TAINT,
            spot_label=None,
            spot_taint=None,
            device_plugin_included=False,
            storage=StorageClassRow(name=None),
            identity=Identity(),
            internal_load_balancer={},
            dns=[NODE_LOCAL_DNS, KUBESPRAY_DNS],
        ),
        # GKE labels and taints GPU nodes itself and runs the device plugin. Workload Identity answers on the metadata
        # address of the node (port 80 with Dataplane V2, 169.254.169.252:988 without); Cloud DNS answers there too.
        "gke": Platform(
            name="gke",
            gpu_label=None,
            accelerator_label="cloud.google.com/gke-accelerator",
            gpu_taint=Taint(key="nvidia.com/gpu", value="present"),
            spot_label=("cloud.google.com/gke-spot", "true"),
            spot_taint=Taint(key="cloud.google.com/gke-spot", value="true"),
            device_plugin_included=True,
            storage=StorageClassRow(name="standard-rwo"),
            identity=Identity(
                annotation="iam.gke.io/gcp-service-account",
                endpoints=[Endpoint(cidr=METADATA, ports=[80]), Endpoint(cidr="169.254.169.252/32", ports=[988])],
            ),
            internal_load_balancer={"networking.gke.io/load-balancer-type": "Internal"},
            dns=[NODE_LOCAL_DNS, METADATA],
            # a global load balancer's proxies, and every one's health checks; regional ones have a subnet of the VPC
            gateway_networks=["35.191.0.0/16", "130.211.0.0/22"],
        ),
        # AKS labels GPU nodes; the taint is the convention of its documentation, set when the pool is made.
        "aks": Platform(
            name="aks",
            gpu_label=("kubernetes.azure.com/accelerator", "nvidia"),
            accelerator_label="node.kubernetes.io/instance-type",
            gpu_taint=Taint(key="sku", value="gpu"),
            spot_label=("kubernetes.azure.com/scalesetpriority", "spot"),
            spot_taint=Taint(key="kubernetes.azure.com/scalesetpriority", value="spot"),
            device_plugin_included=False,
            storage=StorageClassRow(name="managed-csi"),
            identity=Identity(
                annotation="azure.workload.identity/client-id",
                pod_labels={"azure.workload.identity/use": "true"},
            ),
            internal_load_balancer={"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
            dns=[NODE_LOCAL_DNS, *AKS_LOCAL_DNS],
        ),
        "eks": _EKS,
        # The same, with nodes that carry their pool's name: a pool on demand never lands on another's spot nodes, and
        # one that falls back from spot to on-demand nodes finds both.
        "aws": replace(_EKS, name="aws", own_nodes=True, spot_label=None),
    }
)
