"""What `slipway:substrate` may say when its kind is `kubernetes`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.kubernetes.platforms import PLATFORMS, PlatformName
from components.settings import Ability, GpuPoolSpec, Problem, Refusal, Settings, SubstrateSettings

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A DNS label: what Kubernetes accepts as the name of a namespace or Service."""
SecretName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Size = Annotated[str, Field(pattern=r"^[1-9][0-9]*(\.[0-9]+)?(m|[kMGTP]i?)?$")]
"""A Kubernetes quantity, such as 500m or 20Gi."""
Image = Annotated[str, Field(pattern=r"^[\w.:/-]+@sha256:[0-9a-f]{64}$")]
"""An image by digest: a tag may name something else tomorrow."""
Network = Annotated[str, Field(pattern=r"^([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$")]


DATABASE_URL = "database_url"
"""The encrypted key of the stack file with the SQLAlchemy URL of an existing PostgreSQL database."""
STORE_CREDENTIALS = "artifacts_credentials"
"""The encrypted key with `{access_key_id, secret_access_key}` of an S3-compatible store."""
_PORTS = Refusal(
    "the substrate kubernetes has no ports to choose: services have names of their own, on ports that never change",
    "remove it",
)
_FILES = Refusal(
    "the substrate kubernetes does not see the files of this machine",
    "put the file into the object store (s3://BUCKET/KEY, with data.version), or use sklearn:NAME",
)
_NO_BILL = Refusal(
    "the substrate kubernetes makes no machines: what the cluster costs and how long it lives is its owner's",
    "remove it; substrate.quota bounds what the environment may ask for",
)
_BUCKET = "set artifacts.uri to s3://BUCKET/PREFIX, and artifacts.endpoint for any store but AWS's own"


class DatabaseSettings(Settings):
    """`slipway:substrate.database`: where MLflow keeps runs and the registry; PostgreSQL, always."""

    image: Image | None = Field(default=None, description="run PostgreSQL in the cluster from this image")
    size: Size = Field(default="10Gi", description="the size of its volume")
    url_secret: SecretName | None = Field(
        default=None, description="an existing Secret of the namespace whose key `url` is a SQLAlchemy URL"
    )


class Target(Settings):
    """An address range and its TCP ports, as a NetworkPolicy opens the way to it."""

    cidr: Network
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(min_length=1)


class EgressSettings(Settings):
    """`slipway:substrate.egress`: what pods may reach beyond the namespace; everything else is closed."""

    object_store: tuple[Target, ...] = Field(
        default=(Target(cidr="0.0.0.0/0", ports=(443,)),),
        description="the artifact store, and data that training reads, outside the cluster",
    )
    object_store_in: dict[Name, tuple[int, ...]] = Field(
        default_factory=dict, description="an object store inside the cluster: its namespace and ports"
    )
    database: tuple[Target, ...] = Field(
        default=(Target(cidr="0.0.0.0/0", ports=(5432,)),), description="a database outside the cluster"
    )
    dns: tuple[Network, ...] = Field(
        default=(), description="name servers that are neither pods of kube-system nor the platform's cache on nodes"
    )


class OperatorImages(Settings):
    """`slipway:substrate.operator_images`: what `operators: managed` installs."""

    kuberay: Image | None = Field(default=None, description="KubeRay's operator")
    device_plugin: Image | None = Field(default=None, description="NVIDIA's device plugin; not installed if absent")


class IdentitySettings(Settings):
    """`slipway:substrate.identities`: cloud identities of workloads, written to their ServiceAccounts."""

    tracking: str | None = Field(default=None, min_length=1, description="the tracking server's: it keeps artifacts")
    training: str | None = Field(default=None, min_length=1, description="training's: it reads data, keeps checkpoints")


class VolumeSettings(Settings):
    """`slipway:substrate.volume`: artifacts on one volume, for clusters of one node."""

    size: Size = Field(default="20Gi", description="the size of the volume")


class QuotaSettings(Settings):
    """`slipway:substrate.quota`: the most that the environment's namespace may ask for."""

    cpu: Size = Field(default="32", description="CPU cores requested")
    memory: Size = Field(default="128Gi", description="memory requested")
    gpus: int = Field(default=0, ge=0, description="nvidia.com/gpu")
    pods: int = Field(default=100, ge=1, description="pods")


class TlsSettings(Settings):
    """`slipway:substrate.gateway.tls`."""

    section: Name = Field(default="https", description="the TLS listener of the Gateway")


class GatewaySettings(Settings):
    """`slipway:substrate.gateway`: the existing Gateway that routes a host name to the model endpoint."""

    name: Name = Field(description="the Gateway")
    namespace: Name = Field(description="its namespace")
    hostname: str = Field(min_length=1, description="the host name of the model endpoint")
    tls: TlsSettings | None = Field(default=None, description="present: requests come in by HTTPS")


class IncrementalUpgradeSettings(Settings):
    """`slipway:substrate.incremental_upgrade`: a new cluster takes over step by step, behind its own Gateway."""

    gateway_class: Name = Field(description="the GatewayClass of the Gateway that KubeRay makes (feature gate needed)")
    step_percent: int = Field(default=10, ge=1, le=100, description="how much traffic moves at a time")
    interval_s: int = Field(default=30, ge=1, description="how long after the step before")
    surge_percent: int = Field(default=50, ge=1, le=100, description="how much of the new cluster is added at a time")

    @model_validator(mode="after")
    def _step_within_surge(self) -> Self:
        if self.step_percent > self.surge_percent:
            raise ValueError(f"step_percent {self.step_percent} is above surge_percent {self.surge_percent}")
        return self


class KubernetesConfig(SubstrateSettings):
    """A cluster that exists: kind, k3s, on-premises, GKE, AKS, EKS."""

    kind: Literal["kubernetes"]
    context: str = Field(min_length=1, description="the kubeconfig context; nothing is taken from the current one")
    kubeconfig: str | None = Field(
        default=None, description="a kubeconfig file; $KUBECONFIG or ~/.kube/config if absent"
    )
    namespace: Name | None = Field(default=None, description="the namespace to make; PROJECT-STACK if absent")
    platform: PlatformName = Field(default="generic", description="generic, gke, aks or eks")
    operators: Literal["managed", "external"] = Field(
        default="external", description="external: KubeRay is installed already; managed: this stack installs it"
    )
    operator_images: OperatorImages = OperatorImages()
    image: Image = Field(description="REPOSITORY@sha256:DIGEST of the image made by the Dockerfile")
    pull_secret: SecretName | None = Field(default=None, description="an existing Secret for the image registry")
    storage_class: str | None = Field(
        default=None, description="the StorageClass of volumes; the default one if absent"
    )
    nodes: int | None = Field(default=None, ge=1, description="how many nodes the cluster has; 1 allows `volume`")
    database: DatabaseSettings = Field(
        default=DatabaseSettings(), description="image, url_secret, or the encrypted key slipway:database_url"
    )
    tracking_replicas: int = Field(default=1, ge=1, le=8, description="copies of the tracking server")
    volume: VolumeSettings | None = Field(default=None, description="artifacts on one volume instead of S3")
    store_secret: SecretName | None = Field(
        default=None,
        description="an existing Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for artifacts on S3",
    )
    quota: QuotaSettings = QuotaSettings()
    egress: EgressSettings = EgressSettings()
    identities: IdentitySettings = IdentitySettings()
    ingress_from: tuple[Name, ...] = Field(default=(), description="namespaces whose pods may call the model endpoint")
    ingress_networks: tuple[Network, ...] = Field(
        default=(), description="address ranges that may call it: load balancers that are no pods"
    )
    gateway: GatewaySettings | None = Field(default=None, description="routes a host name to the model endpoint")
    incremental_upgrade: IncrementalUpgradeSettings | None = Field(
        default=None, description="serving moves to a new cluster step by step instead of at once"
    )
    operator_namespace: Name = Field(default="kuberay-operator", description="where KubeRay's operator runs")
    api_server_cidr: Network | None = Field(
        default=None, description="the API server's address range, for egress rules; any address on its port if absent"
    )

    def refuses(self, ability: Ability) -> Refusal | None:
        """Say why a cluster lacks an ability."""
        kept_here = self.database.image is not None or self.volume is not None
        refused: dict[Ability, Refusal | None] = {
            "budget": _NO_BILL,
            "lifetime": _NO_BILL,
            "fixed_ports": _PORTS,
            "local_data": _FILES,
            "folder_store": Refusal("pods do not see the folders of this machine", _BUCKET),
            "own_store": None
            if self.volume
            else Refusal(
                "the substrate kubernetes makes no bucket",
                f"{_BUCKET}; on a cluster of one node set substrate.volume instead",
            ),
            "given_store": Refusal(
                "there is a substrate.volume too, and artifacts have one store", "remove one of them"
            )
            if self.volume
            else None,
            "retained_store": Refusal(
                "the namespace goes with the environment, and with it the database and volume in it",
                "keep both elsewhere: artifacts.uri on S3 and substrate.database.url_secret; "
                "what is given is never deleted",
            )
            if kept_here
            else None,
        }
        return refused.get(ability)

    def problems(self, secrets: Collection[str], pools: Sequence[GpuPoolSpec]) -> Iterator[Problem]:  # noqa: ARG002
        """Find settings of the substrate that cannot hold together."""
        if PLATFORMS[self.platform].own_nodes:
            yield Problem("substrate.platform", self.platform, "is of clusters that the substrate aws makes", "use eks")
        if self.gateway is not None and self.incremental_upgrade is not None:
            yield Problem(
                "substrate.incremental_upgrade",
                self.incremental_upgrade.model_dump(),
                "KubeRay then makes a Gateway of its own, which substrate.gateway would bypass",
                "remove one of them",
            )
        if self.volume is not None and self.nodes != 1:
            yield Problem(
                "substrate.volume",
                self.volume.model_dump(),
                "one volume serves the pods of one node only, and substrate.nodes is not 1",
                f"{_BUCKET} instead of the volume; or set substrate.nodes to 1 if that is so",
            )
        ways = {
            "substrate.database.image": self.database.image is not None,
            "substrate.database.url_secret": self.database.url_secret is not None,
            f"the encrypted slipway:{DATABASE_URL}": DATABASE_URL in secrets,
        }
        given = [way for way, is_set in ways.items() if is_set]
        if len(given) != 1:
            yield Problem(
                "substrate.database",
                self.database.model_dump(exclude_none=True),
                "MLflow needs one PostgreSQL database" + (f", and there are {len(given)}" if given else ""),
                f"set one of {', '.join(ways)}",
            )
        if self.operators == "managed" and self.operator_images.kuberay is None:
            yield Problem(
                "substrate.operator_images.kuberay",
                None,
                "is required with operators: managed",
                "set it to the image of KubeRay's operator by digest, or use operators: external",
                absent=True,
            )
        if self.store_secret is not None and STORE_CREDENTIALS in secrets:
            yield Problem(
                "substrate.store_secret",
                self.store_secret,
                f"the encrypted slipway:{STORE_CREDENTIALS} is set too",
                "remove one of them",
            )
