"""AwsFoundation: an account as the ground; a network, an EKS cluster and what is around it, and the runtime on it.

It composes; each thing is a component of `components.aws`, and workloads are the Kubernetes runtime's.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, ResourceOptions

from components.aws.artifact_store import MLFLOW, ArtifactBucket, ArtifactBucketArgs
from components.aws.naming import Names, stem
from components.seam import GroundSpec, Place, StoreHandle, StoreSpec
from infra.aws import cost, kubeconfig, sizes, workloads
from infra.aws.ground import Plot, lay
from infra.aws.provider import provider, tags
from infra.aws.settings import AwsConfig
from infra.kubernetes.foundation import default_namespace, environment
from infra.kubernetes.names import Made
from infra.kubernetes.runtime import KubernetesRuntime

_NO_IMAGE = (
    "only the ground is made: slipway:substrate.image is not set, so there is nothing to run on it yet. Build it, push "
    "it to the environment's registry and pin it by: make push STACK={stack}; then: ./pulumiw up -s {stack}"
)


class AwsFoundation(ComponentResource):
    """The environment's account, region and cluster, and the runtime on it once there is an image."""

    address: Mapping[str, Input[str] | None]
    missing: str | None
    usd_per_hour: float | None

    def __init__(self, place: Place, config: AwsConfig, asked: GroundSpec) -> None:
        super().__init__("slipway:index:Foundation", "foundation", None, None)
        self._place, self._config, self._asked = place, config, asked
        self._names = Names(stem(place.project, place.stack), config.account, config.region)
        labels = tags(place, config, asked)
        self._aws = ResourceOptions(parent=self, provider=provider(config, labels, ResourceOptions(parent=self)))
        running = sizes.now(config, self._names.name("cluster"))
        plot = Plot(names=self._names, config=config, asked=asked, tags=labels, opts=self._aws, sizes=running)
        self._ground = lay(plot)
        self._namespace = default_namespace(place)
        self.missing = None if config.image else _NO_IMAGE.format(stack=place.stack)
        self._runtime = None if self.missing else self._workloads(config)
        self.usd_per_hour = cost.per_hour(cost.at_rest(config, asked))
        self.address = self._address()
        self.register_outputs({"cluster": self._ground.cluster.name, "registry": self._ground.registry.url})

    @property
    def runtime(self) -> KubernetesRuntime:
        """The runtime on the cluster.

        Raises:
            RuntimeError: `missing` says what workloads wait for.
        """
        if self._runtime is None:
            raise RuntimeError(self.missing)
        return self._runtime

    @property
    def secrets(self) -> Mapping[str, Input[str]]:
        """Where the environment's secrets are kept; the database's is an ARN."""
        database = self._ground.database
        kept = {} if database is None else {"database_administrator": database.master_secret_arn}
        return {**kept, **(self._runtime.secrets if self._runtime else {})}

    def object_store(self, name: str, spec: StoreSpec, opts: ResourceOptions) -> StoreHandle:
        """Make a bucket, or take the given one; workloads get their rights on it and nothing else."""
        config, ground = self._config, self._ground
        if spec.uri is None:
            args = ArtifactBucketArgs(names=self._names, key=ground.keys.data, retain=spec.retain, protect=spec.retain)
            own = ResourceOptions(provider=self._aws.provider)
            bucket = ArtifactBucket(f"{name}-bucket", args, ResourceOptions.merge(opts, own))
            uri, arn, prefix, ready = bucket.uri, bucket.arn, "", list(bucket.ready)
        else:
            given = urlsplit(spec.uri)
            uri = Output.from_input(f"{spec.uri.rstrip('/')}/{MLFLOW}")
            arn = Output.from_input(f"arn:{self._names.partition}:s3:::{given.netloc}")
            prefix, ready = _below(given.path), []
        where = (self._names, ground, arn, prefix, self._namespace, self._aws)
        ready += workloads.store_identities(*where, scheduled=self._asked.scheduled)
        reached = workloads.storage(config, uri)
        if self._runtime is not None:
            self._runtime.reach_store(reached, after=ready)
        return StoreHandle(uri=uri, environment=reached.environment)

    def _workloads(self, config: AwsConfig) -> KubernetesRuntime:
        place, ground = self._place, self._ground
        there = workloads.cluster_config(place, config, ground.cluster.name)
        cluster = k8s.Provider(
            "cluster",
            kubeconfig=self._kubeconfig(),
            # the cluster's name: a changed address or certificate replaces nothing
            cluster_identifier=ground.cluster.name,
            enable_server_side_apply=True,
            upsert_existing_objects=True,
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            opts=ResourceOptions(parent=self, depends_on=list(ground.ready)),
        )
        early = workloads.early_identities(self._names, ground, self._namespace, self._aws)
        database = [] if ground.database is None else list(ground.database.ready)
        made = Made(
            operators=workloads.operators(config, there, self._namespace, ground),
            database=workloads.managed_database(config, ground),
            environment=workloads.client_environment(config),
        )
        workloads.preview_access(config, ResourceOptions(parent=self, provider=cluster))
        after = [*ground.ready, *early, *database]
        return environment(place, there, cluster, parent=self, after=after, made=made)

    def _kubeconfig(self) -> Input[str]:
        cluster, config = self._ground.cluster, self._config
        there = (cluster.name, cluster.endpoint, cluster.certificate, config.region)
        file = self._place.root / kubeconfig.relative(self._place.stack)
        kubeconfig.keep(file, *there, endpoint_url=config.endpoint_url)
        return kubeconfig.document(*there, endpoint_url=config.endpoint_url)

    def _address(self) -> Mapping[str, Input[str] | None]:
        return {
            "region": self._config.region,
            "cluster": self._ground.cluster.name,
            "context": self._ground.cluster.name,
            "kubeconfig": kubeconfig.relative(self._place.stack),
            "namespace": self._namespace,
            "registry": self._ground.registry.url,
            "endpoint_url": self._config.endpoint_url,
        }


def _below(path: str) -> str:
    """Return the prefix of a given store with a slash at its end; nothing for a whole bucket."""
    inner = path.strip("/")
    return f"{inner}/" if inner else ""
