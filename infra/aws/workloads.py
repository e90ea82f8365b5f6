"""What the Kubernetes runtime is told of a cluster that this substrate made: settings, operators, identities, store."""

from __future__ import annotations

from urllib.parse import urlsplit

from pulumi import Input, Output, Resource, ResourceOptions

from components.aws import iam
from components.aws.artifact_store import CHECKPOINTS, DATA, MLFLOW
from components.aws.naming import Names
from components.aws.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from components.kubernetes.cluster_autoscaler import NAME as AUTOSCALER
from components.kubernetes.cluster_autoscaler import ClusterAutoscalerArgs
from components.kubernetes.network_policies import ANYWHERE
from components.kubernetes.operators import OperatorsArgs
from components.kubernetes.preview_access import PreviewAccess, PreviewAccessArgs
from components.seam import Place
from infra.aws import kubeconfig
from infra.aws.ground import Ground
from infra.aws.pools import PLATFORM
from infra.aws.settings import AwsConfig
from infra.kubernetes.foundation import operators_of
from infra.kubernetes.names import SCHEDULE_ACCOUNT, ManagedDatabase, Storage
from infra.kubernetes.settings import (
    DatabaseSettings,
    EgressSettings,
    KubernetesConfig,
    OperatorImages,
    Target,
)

_POSTGRES, _HTTP, _HTTPS = 5432, 80, 443


def cluster_config(place: Place, config: AwsConfig, cluster: str) -> KubernetesConfig:
    """Return the settings of the cluster as the Kubernetes runtime reads them.

    Raises:
        ValueError: there is no image yet, and so nothing to run.
    """
    if config.image is None:
        raise ValueError("there is no image yet")
    images = config.operator_images
    return KubernetesConfig(
        kind="kubernetes",
        context=cluster,
        kubeconfig=kubeconfig.relative(place.stack),
        platform=PLATFORM.name,
        operators="managed",
        operator_images=OperatorImages(kuberay=images.kuberay, device_plugin=images.device_plugin),
        image=config.image,
        database=DatabaseSettings(image=config.database.image, size=config.database.size),
        tracking_replicas=config.tracking_replicas,
        quota=config.quota,
        egress=EgressSettings(
            object_store=(Target(cidr=ANYWHERE, ports=_api_ports(config)),),
            database=(Target(cidr=config.address_range, ports=(_POSTGRES,)),),
        ),
        ingress_from=config.ingress_from,
        ingress_networks=config.ingress_networks,
        gateway=config.gateway,
        incremental_upgrade=config.incremental_upgrade,
    )


def operators(config: AwsConfig, there: KubernetesConfig, namespace: str, ground: Ground) -> OperatorsArgs:
    """Return what is installed on the cluster: all of it is this stack's."""
    common = operators_of(there, namespace)
    image = config.operator_images.autoscaler
    autoscaler = (
        None
        if image is None
        else ClusterAutoscalerArgs(
            image=image,
            discovery=f"asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/{ground.cluster.name}",
            environment=client_environment(config),
            priorities=ground.priorities,
            flags=["--aws-use-static-instance-list=true"] if config.network.endpoints else [],
        )
    )
    return OperatorsArgs(
        kuberay=common.kuberay,
        device_plugin=common.device_plugin,
        autoscaler=autoscaler,
        storage_class=PLATFORM.name,
    )


def client_environment(config: AwsConfig) -> dict[str, str]:
    """Return what AWS's clients need in a pod; credentials come by Pod Identity."""
    found = {"AWS_REGION": config.region, "AWS_DEFAULT_REGION": config.region}
    moved = _moved(config)
    return found if moved is None else {**found, "AWS_ENDPOINT_URL": moved, "MLFLOW_S3_ENDPOINT_URL": moved}


def _moved(config: AwsConfig) -> str | None:
    """Return where pods reach AWS's APIs; None: at their own addresses."""
    return config.endpoint_url_in_cluster or config.endpoint_url


def _api_ports(config: AwsConfig) -> tuple[int, ...]:
    """Return the ports of AWS's APIs: HTTPS, and that of a moved endpoint."""
    given = urlsplit(_moved(config) or "")
    moved = given.port or {"http": _HTTP}.get(given.scheme, _HTTPS)
    return (_HTTPS,) if moved == _HTTPS else (_HTTPS, moved)


def managed_database(config: AwsConfig, ground: Ground) -> ManagedDatabase | None:
    """Return the database on RDS, if there is one."""
    database = ground.database
    if database is None:
        return None
    return ManagedDatabase(
        host=database.address,
        port=database.port,
        name=database.database,
        secret=database.master_secret_arn,
        region=config.region,
    )


def storage(config: AwsConfig, uri: Output[str]) -> Storage:
    """Return the bucket as pods reach it; `uri` is where the tracking server's artifacts lie."""
    checkpoints = uri.apply(lambda there: f"{there.removesuffix(f'/{MLFLOW}').rstrip('/')}/{CHECKPOINTS}")
    return Storage(uri=uri, checkpoints=checkpoints, environment=client_environment(config), secret=None, claim=None)


def early_identities(names: Names, ground: Ground, namespace: str, opts: ResourceOptions) -> list[Resource]:
    """Declare who the pods are that come before the workloads; return what must be there before these."""
    made = []
    if ground.database is not None:
        allowed = iam.read_secret(ground.database.master_secret_arn, ground.keys.data)
        made.append(_identity(names, ground, "secrets", (namespace, "secrets"), allowed, opts))
    if ground.priorities:
        allowed = iam.autoscaler(ground.cluster.name, names.region, names.account)
        made.append(_identity(names, ground, "autoscaler", (AUTOSCALER, AUTOSCALER), allowed, opts))
    return [resource for one in made for resource in one.ready]


def store_identities(
    names: Names,
    ground: Ground,
    bucket_arn: Input[str],
    prefix: str,
    namespace: str,
    opts: ResourceOptions,
    *,
    scheduled: bool = False,
) -> list[Resource]:
    """Declare who the workloads are that reach the store; return what must be there before their pods start.

    Serving is nobody: models come to it through the tracking server.

    Args:
        names: of the environment.
        ground: with the cluster and the key of the store.
        bucket_arn: the bucket.
        prefix: below which everything of the environment lies in it, with a slash at the end; empty in its own bucket.
        namespace: of the workloads.
        opts: of the foundation.
        scheduled: whether newer data are looked for by the clock: who does may read them, and nothing else.
    """
    key = ground.keys.data
    tracking = iam.write_artifacts(bucket_arn, key, [f"{prefix}{MLFLOW}/"])
    # a policy names each of its statements differently
    data: list[iam.Statement] = [
        {**one, "Sid": f"{one['Sid']}OfData"} for one in iam.read_artifacts(bucket_arn, key, [f"{prefix}{DATA}/"])
    ]
    training = [*iam.write_artifacts(bucket_arn, key, [f"{prefix}{CHECKPOINTS}/"]), *data]
    wanted: dict[str, list[iam.Statement]] = {"tracking": tracking, "training": training}
    if scheduled:
        wanted[SCHEDULE_ACCOUNT] = data
    made = [_identity(names, ground, role, (namespace, role), allowed, opts) for role, allowed in wanted.items()]
    return [resource for one in made for resource in one.ready]


def _identity(
    names: Names,
    ground: Ground,
    role: str,
    account: tuple[str, str],
    statements: list[iam.Statement],
    opts: ResourceOptions,
) -> WorkloadIdentity:
    namespace, service_account = account
    args = WorkloadIdentityArgs(
        names=names,
        role=role,
        cluster_name=ground.cluster.cluster_name,
        namespace=namespace,
        service_account=service_account,
        statements=statements,
    )
    return WorkloadIdentity(f"identity-{role}", args, opts)


def preview_access(config: AwsConfig, opts: ResourceOptions) -> None:
    """Bound what workflows that preview may do inside the cluster."""
    if config.github is not None:
        PreviewAccess("preview-access", PreviewAccessArgs(), opts)
