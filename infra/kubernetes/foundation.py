"""KubernetesFoundation: a cluster that exists as the ground; the environment's namespace in it and what it needs.

`environment` is the same for whoever made the cluster: it takes a provider, not a kubeconfig.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import pulumi_kubernetes as k8s
from pulumi import (
    ComponentResource,
    ProviderResource,
    Resource,
    ResourceOptions,
    ResourceTransformationArgs,
    ResourceTransformationResult,
)

from components.kubernetes.device_plugin import DevicePluginArgs
from components.kubernetes.environment_namespace import (
    Account,
    EnvironmentNamespace,
    EnvironmentNamespaceArgs,
    Quota,
    account_with_identity,
)
from components.kubernetes.kuberay import KubeRayArgs
from components.kubernetes.network_policies import ANYWHERE, NetworkPolicies, Paths
from components.kubernetes.operators import Operators, OperatorsArgs
from components.kubernetes.platforms import PLATFORMS, Endpoint
from components.seam import GroundSpec, Place, StoreHandle, StoreSpec
from components.settings import SettingError
from infra.engine.layout import StopError
from infra.engine.manifests import DEVICE_PLUGIN, KUBERAY, Source, folder
from infra.kubernetes import names, secrets, storage
from infra.kubernetes.names import Context, Made, short_digest
from infra.kubernetes.runtime import KubernetesRuntime
from infra.kubernetes.settings import KubernetesConfig, Target

_LONGEST_NAME = 63
_API_PORTS = (443, 6443)


class KubernetesFoundation(ComponentResource):
    """The environment's namespace on a given cluster, and the runtime in it."""

    runtime: KubernetesRuntime
    address: Mapping[str, str | None]
    missing = None
    usd_per_hour = None

    def __init__(self, place: Place, config: KubernetesConfig, _: GroundSpec) -> None:
        super().__init__("slipway:index:Foundation", "foundation", None, None)
        there = config.model_copy(update={"kubeconfig": kubeconfig(place, config)})
        provider = k8s.Provider(
            "cluster",
            context=there.context,
            kubeconfig=there.kubeconfig,
            # another context is another cluster: everything moves; another path to the kubeconfig is nothing
            cluster_identifier=config.context,
            enable_server_side_apply=True,
            # an `up` that was killed has made objects that its state does not know: the next one takes them over;
            # the preflight refuses a namespace or definitions that are somebody else's
            upsert_existing_objects=True,
            # pods find both by name, and read anew what they must: no moment without them
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            opts=ResourceOptions(parent=self),
        )
        self.runtime = environment(place, there, provider, parent=self)
        self.address = {
            "context": config.context,
            "kubeconfig": config.kubeconfig,
            "namespace": self.runtime.context.namespace,
        }
        self.register_outputs({"namespace": self.runtime.context.namespace})

    @property
    def secrets(self) -> Mapping[str, str]:
        """Where the environment's secrets are kept: NAMESPACE/NAME of each Secret."""
        return self.runtime.secrets

    def object_store(self, name: str, spec: StoreSpec, opts: ResourceOptions) -> StoreHandle:
        """Take the given bucket, or make a volume."""
        return self.runtime.object_store(name, spec, opts)


def kubeconfig(place: Place, config: KubernetesConfig) -> str | None:
    """Return the kubeconfig's path; None: the provider looks where kubectl does."""
    return None if config.kubeconfig is None else str(place.root / Path(config.kubeconfig).expanduser())


def namespace_of(place: Place, config: KubernetesConfig) -> str:
    """Return the environment's namespace: the configured one, or PROJECT-STACK as a DNS label."""
    return default_namespace(place) if config.namespace is None else config.namespace


def default_namespace(place: Place) -> str:
    """Return PROJECT-STACK as a DNS label; two stacks never have the same."""
    wanted = f"{place.project}-{place.stack}"
    label = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")
    if label == wanted and len(label) <= _LONGEST_NAME:
        return label
    digest = short_digest(wanted)  # `a.b` and `a-b` are two stacks
    return f"{label[: _LONGEST_NAME - len(digest) - 1].strip('-')}-{digest}"


def environment(
    place: Place,
    config: KubernetesConfig,
    provider: ProviderResource,
    *,
    parent: ComponentResource,
    after: Sequence[Resource] = (),
    made: Made | None = None,
) -> KubernetesRuntime:
    """Lay out the environment's namespace on a cluster and return the runtime in it.

    Args:
        place: which environment it is.
        config: what the stack file says; the provider decides which cluster it is.
        provider: the cluster, with server-side apply.
        parent: the foundation.
        after: what of the cluster must be there first: nodes, add-ons.
        made: what the maker of the cluster adds; None for a given one.
    """
    namespace = namespace_of(place, config)
    labelled = partial(_labelled, names.object_labels(place))
    child = ResourceOptions(parent=parent, provider=provider, depends_on=list(after), transformations=[labelled])
    space = EnvironmentNamespace("namespace", _namespace(place, config, namespace), opts=child)
    inside = ResourceOptions.merge(child, ResourceOptions(depends_on=[space]))
    installed = operators_of(config, namespace) if made is None else made.operators
    operators = Operators("operators", installed, opts=inside)
    paths = _paths(config, identities=made is not None)
    policies = NetworkPolicies("network", paths, namespace=space.namespace, opts=inside)
    ground = Context(
        place=place,
        config=config,
        namespace=namespace,
        provider=provider,
        ready=[*after, *operators.ready, space, policies],
        made=made,
    )
    if made is not None:
        ground = _with_cloud_login(ground, ResourceOptions(parent=parent))
    filled = secrets.fill(ground, "secrets", ResourceOptions(parent=parent))
    return KubernetesRuntime(ground.after(filled))


def _with_cloud_login(ground: Context, opts: ResourceOptions) -> Context:
    """Declare the login to the cloud's APIs first, where pods have no identity there: the Job `secrets` calls them."""
    login = storage.credentials(ground, "store-credentials", opts)
    return ground if login is None else ground.after(login)


def _labelled(labels: Mapping[str, str], args: ResourceTransformationArgs) -> ResourceTransformationResult | None:
    """Write on an object whose it is: preflight and `slipway` tell the environment's own from others' by it."""
    metadata = args.props.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    marked = {**metadata, "labels": {**metadata.get("labels", {}), **labels}}
    return ResourceTransformationResult(props={**args.props, "metadata": marked}, opts=args.opts)


def operators_of(config: KubernetesConfig, namespace: str) -> OperatorsArgs:
    """Say what this stack installs; their manifests lie in the cache, since a preview fetches nothing."""
    images = config.operator_images
    if config.operators == "external" or images.kuberay is None:
        return OperatorsArgs()
    kuberay = KubeRayArgs(
        manifests=_cached(KUBERAY),
        image=images.kuberay,
        namespace=config.operator_namespace,
        watch=[namespace],  # it can read Secrets: of this environment, not of the whole cluster
    )
    if images.device_plugin is None:
        return OperatorsArgs(kuberay=kuberay)
    plugin = DevicePluginArgs(manifests=_cached(DEVICE_PLUGIN), image=images.device_plugin, platform=config.platform)
    return OperatorsArgs(kuberay=kuberay, device_plugin=plugin)


def _cached(source: Source) -> Path:
    try:
        return folder(source)
    except StopError as error:
        raise SettingError(f"slipway:substrate.operators = managed: {error}") from None


def _namespace(place: Place, config: KubernetesConfig, namespace: str) -> EnvironmentNamespaceArgs:
    quota = config.quota
    return EnvironmentNamespaceArgs(
        namespace=namespace,
        accounts=[_account(name, config) for name in get_args(names.Account)],
        quota=Quota(cpu=quota.cpu, memory=quota.memory, pods=quota.pods, gpus=quota.gpus),
        labels=names.object_labels(place),
    )


def _account(name: str, config: KubernetesConfig) -> Account:
    return account_with_identity(name, config.platform, config.identities.model_dump().get(name))


def _paths(config: KubernetesConfig, *, identities: bool) -> Paths:
    platform, egress = PLATFORMS[config.platform], config.egress
    gateway = [] if config.gateway is None else [config.gateway.namespace]
    proxies = [] if config.gateway is None else platform.gateway_networks
    identities = identities or any(config.identities.model_dump().values())
    return Paths(
        operator_namespace=config.operator_namespace,
        api_server=Endpoint(cidr=config.api_server_cidr or ANYWHERE, ports=_API_PORTS),
        object_store=_endpoints(egress.object_store),
        store_in=egress.object_store_in,
        database=() if config.database.image is not None else _endpoints(egress.database),
        identity=platform.identity.endpoints if identities else (),
        dns=[*platform.dns, *egress.dns],
        ingress_from=[*config.ingress_from, *gateway],
        ingress_networks=[*proxies, *config.ingress_networks],
    )


def _endpoints(targets: Sequence[Target]) -> list[Endpoint]:
    return [Endpoint(cidr=target.cidr, ports=target.ports) for target in targets]
