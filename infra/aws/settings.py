"""What `slipway:substrate` may say when its kind is `aws`.

Account, region and zones are said, never asked for: a preview needs no credentials, and a stack file means the same
to everybody.  What holds between several settings is in `infra.aws.rules`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from components.settings import Ability, GpuPoolSpec, Problem, Refusal, Settings, SubstrateSettings
from infra.aws.versions import DEFAULT
from infra.kubernetes.settings import (
    GatewaySettings,
    Image,
    IncrementalUpgradeSettings,
    Name,
    Network,
    QuotaSettings,
    Size,
)

Arn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}|aws)?:.+$")]
InstanceTypeName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]*\.([0-9]*(nano|micro|small|medium|large|xlarge)|metal(-[0-9a-z]+)?)$")
]
TagValue = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[\w .:/=+@-]+$")]
Days = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
"""Retention periods that CloudWatch accepts."""


class NetworkSettings(Settings):
    """`slipway:substrate.network`: the VPC that is made."""

    cidr: Network = Field(default="10.0.0.0/16", description="the VPC's address range")
    nat: Literal["single", "per_zone"] = Field(
        default="single", description="single: cheapest; per_zone: a zone that fails takes no other's way out with it"
    )
    endpoints: bool = Field(default=False, description="interface endpoints: AWS's own APIs without the internet")
    flow_log_days: Days = Field(default=30, description="how long the log of connections is kept")
    apart_from: tuple[Network, ...] = Field(
        default=(), description="address ranges that must stay reachable, such as peered networks: no overlap"
    )


class VpcSettings(Settings):
    """`slipway:substrate.vpc`: a VPC that exists; nothing in it is changed."""

    id: str = Field(pattern=r"^vpc-[0-9a-f]{8,17}$", description="the VPC")
    cidr: Network = Field(description="its address range")
    private_subnets: dict[str, str] = Field(min_length=2, description="zone: subnet with a way out, for nodes")
    public_subnets: dict[str, str] = Field(default_factory=dict, description="zone: subnet for load balancers")


class ClusterSettings(Settings):
    """`slipway:substrate.cluster`: the EKS control plane."""

    version: str = Field(default=DEFAULT, description="Kubernetes version, in EKS's standard support")
    service_cidr: Network = Field(default="172.20.0.0/16", description="addresses of Services")
    public_endpoint: bool = Field(default=False, description="whether the API server answers outside the VPC too")
    public_cidrs: tuple[Network, ...] = Field(default=(), description="who may call the public endpoint")
    admins: tuple[Arn, ...] = Field(default=(), description="roles that administer the cluster; who runs `up` is one")
    log_days: Days = Field(default=90, description="how long the control plane's logs are kept")
    addon_versions: dict[str, str] = Field(
        default_factory=dict, description="ADD-ON: version; EKS's default for the cluster's version if absent"
    )


class NodeSettings(Settings):
    """`slipway:substrate.system_nodes`: where everything runs that needs no GPU."""

    instance_types: tuple[InstanceTypeName, ...] = Field(default=("m7i.xlarge",), min_length=1, max_length=20)
    min: int = Field(default=2, ge=1, description="nodes that are always there")
    max: int = Field(default=4, ge=1, description="the most nodes at once")
    disk_gib: int = Field(default=100, ge=20, le=16384, description="the disk of a node")


class GpuNodeSettings(Settings):
    """`slipway:substrate.gpu_nodes.POOL`: the machines of one of `slipway:gpu_pools`."""

    instance_types: tuple[InstanceTypeName, ...] = Field(
        min_length=1, max_length=20, description="types with the same GPUs, in the order in which they are tried"
    )
    on_demand_fallback: bool = Field(default=False, description="a spot pool takes on-demand nodes when there are none")
    capacity_block: str | None = Field(
        default=None, pattern=r"^cr-[0-9a-f]{8,17}$", description="the reservation of a capacity block for ML"
    )
    zones: tuple[str, ...] = Field(default=(), description="a subset of substrate.zones; all if absent")
    disk_gib: int = Field(default=200, ge=40, le=16384, description="the disk of a node")
    efa: bool = Field(default=False, description="Elastic Fabric Adapter, for training over several nodes; one zone")


class AwsDatabaseSettings(Settings):
    """`slipway:substrate.database`: PostgreSQL on RDS, or in the cluster where `image` is set."""

    instance_class: str = Field(default="db.t4g.small", pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")
    storage_gib: int = Field(default=20, ge=20, le=65536, description="storage at first")
    max_storage_gib: int = Field(default=100, ge=20, le=65536, description="storage grows by itself up to this")
    multi_az: bool = Field(default=False, description="a standby in another zone")
    backup_days: int = Field(default=7, ge=1, le=35, description="how long daily backups are kept")
    image: Image | None = Field(default=None, description="run PostgreSQL in the cluster from this image instead")
    size: Size = Field(default="10Gi", description="the volume of the one in the cluster")


class AwsOperatorImages(Settings):
    """`slipway:substrate.operator_images`: what is installed on the cluster, by digest."""

    kuberay: Image | None = Field(default=None, description="KubeRay's operator; needed once substrate.image is set")
    device_plugin: Image | None = Field(default=None, description="NVIDIA's device plugin; needed with GPU pools")
    autoscaler: Image | None = Field(default=None, description="the cluster autoscaler; needed with GPU pools")


class GithubSettings(Settings):
    """`slipway:substrate.github`: roles that workflows of one repository may take, without a stored key."""

    repository: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$|^[\w.-]+@[0-9]+/[\w.-]+@[0-9]+$",
        description="OWNER/NAME; OWNER@ID/NAME@ID where GitHub's tokens carry ids (made or renamed since 2026-07-15)",
    )
    deploy_environment: str = Field(default="production", description="the GitHub environment that may deploy")
    provider_arn: Arn | None = Field(default=None, description="the account's OIDC provider for GitHub, if it has one")


class AwsConfig(SubstrateSettings):
    """An EKS cluster with GPU node pools, and everything around it, in one account and region."""

    kind: Literal["aws"]
    account: str = Field(pattern=r"^[0-9]{12}$", description="the account; `up` with credentials of another is refused")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="the region")
    zones: tuple[str, ...] = Field(min_length=2, max_length=3, description="availability zones, such as us-east-1a")
    owner: TagValue | None = Field(default=None, description="who answers for it; a tag of everything")
    cost_centre: TagValue | None = Field(default=None, description="who pays for it; a tag of everything")
    network: NetworkSettings = NetworkSettings()
    vpc: VpcSettings | None = Field(default=None, description="an existing VPC instead of substrate.network")
    cluster: ClusterSettings = ClusterSettings()
    system_nodes: NodeSettings = NodeSettings()
    gpu_nodes: dict[str, GpuNodeSettings] = Field(
        default_factory=dict, description="POOL: the machines of each of slipway:gpu_pools"
    )
    database: AwsDatabaseSettings = AwsDatabaseSettings()
    image: Image | None = Field(
        default=None, description="REPOSITORY@sha256:DIGEST; without it only the ground is made (`make push` sets it)"
    )
    operator_images: AwsOperatorImages = AwsOperatorImages()
    github: GithubSettings | None = Field(default=None, description="lets a repository's workflows preview and deploy")
    quota: QuotaSettings = QuotaSettings()
    tracking_replicas: int = Field(default=1, ge=1, le=8, description="copies of the tracking server")
    ingress_from: tuple[Name, ...] = Field(default=(), description="namespaces whose pods may call the model endpoint")
    ingress_networks: tuple[Network, ...] = Field(
        default=(), description="address ranges that may call it: load balancers that are no pods"
    )
    gateway: GatewaySettings | None = Field(default=None, description="routes a host name to the model endpoint")
    incremental_upgrade: IncrementalUpgradeSettings | None = Field(
        default=None, description="serving moves to a new cluster step by step instead of at once"
    )
    exceptions: dict[str, TagValue] = Field(
        default_factory=dict, description="RESOURCE: why this one may break a policy that allows exceptions"
    )
    endpoint_url: str | None = Field(
        default=None, pattern=r"^https?://", description="another endpoint of all AWS APIs, such as LocalStack's"
    )
    endpoint_url_in_cluster: str | None = Field(
        default=None, pattern=r"^https?://", description="the same endpoint as pods reach it; `endpoint_url` if absent"
    )

    @property
    def address_range(self) -> str:
        """The VPC's address range."""
        return self.network.cidr if self.vpc is None else self.vpc.cidr

    @property
    def nat_gateways(self) -> int:
        """How many NAT gateways the stack makes, each with an Elastic IP; none in a VPC that exists."""
        if self.vpc is not None:
            return 0
        return 1 if self.network.nat == "single" else len(self.zones)

    def refuses(self, ability: Ability) -> Refusal | None:
        """Say why AWS lacks an ability."""
        return _REFUSED.get(ability) if ability != "retained_store" or self.database.image else None

    def problems(self, secrets: Collection[str], pools: Sequence[GpuPoolSpec]) -> Iterator[Problem]:
        """Find settings of the substrate that cannot hold together."""
        from infra.aws import rules  # noqa: PLC0415 - it reads these classes

        yield from rules.problems(self, secrets, pools)


_REFUSED: Mapping[Ability, Refusal] = {
    "fixed_ports": Refusal(
        "the substrate aws has no ports to choose: services have names of their own, on ports that never change",
        "remove it",
    ),
    "local_data": Refusal(
        "the substrate aws does not see the files of this machine",
        "put the file into the bucket (s3://BUCKET/data/KEY, with data.version), or use sklearn:NAME",
    ),
    "folder_store": Refusal(
        "pods do not see the folders of this machine", "remove artifacts.uri, and the environment makes its own bucket"
    ),
    "retained_store": Refusal(
        "the database in the cluster goes with the environment, and with it the registry",
        "remove substrate.database.image: RDS keeps a final snapshot",
    ),
}
