"""EksCluster: the control plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.naming import Names
from components.aws.network import NetworkHandle


@dataclass(frozen=True, kw_only=True)
class EksClusterArgs:
    """What the control plane is made of."""

    names: Names
    version: str
    """Kubernetes' minor version, such as 1.36."""
    network: NetworkHandle
    key: Input[str]
    """ARN of the key that API objects are encrypted with."""
    log_key: Input[str]
    """ARN of the key of the log group."""
    public_cidrs: Sequence[str] = ()
    """Who may reach the API server from outside the network; nobody when empty."""
    admins: Sequence[str] = ()
    """ARNs of the IAM principals that administer the cluster, the one that runs `up` among them."""
    log_days: int = 90
    deletion_protection: bool = True


class EksCluster(ComponentResource):
    """A cluster that only listed principals enter, and only listed addresses reach."""

    name: str
    """Known before the cluster is."""
    cluster_name: Output[str]
    """The same, once the cluster exists: what is made in it takes this one."""
    arn: Output[str]
    endpoint: Output[str]
    certificate: Output[str]
    """The API server's certificate authority, base64."""
    security_group: Output[str]
    """The cluster's own group: control plane and nodes."""
    ready: Sequence[Resource]

    def __init__(self, name: str, args: EksClusterArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:EksCluster", name, None, opts)
        raise NotImplementedError
