"""The ground of an environment in an AWS account: everything that is there before the first pod of ours.

It puts the building blocks of `components.aws` together, in the order in which they need each other; destroy goes
the other way.  What runs on the cluster is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import Input, Resource, ResourceOptions

from components.aws import iam
from components.aws.addons import AddonsArgs, NetworkAddons, WorkloadAddons, WorkloadAddonsArgs
from components.aws.budget import Budget, BudgetArgs
from components.aws.database import Database, DatabaseArgs
from components.aws.eks_cluster import EksCluster, EksClusterArgs
from components.aws.github_access import GithubAccess, GithubAccessArgs
from components.aws.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from components.aws.keys import Keys, KeysArgs
from components.aws.naming import Names
from components.aws.network import Network, NetworkArgs, NetworkHandle, given_network
from components.aws.node_group import Size
from components.aws.node_role import NodeRole, NodeRoleArgs
from components.aws.registry import Registry, RegistryArgs
from components.aws.system_node_pool import SystemNodePool, SystemNodePoolArgs
from components.aws.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from components.seam import GroundSpec
from infra.aws import pools
from infra.aws.ownership import PROJECT, STACK
from infra.aws.settings import AwsConfig


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Where on AWS an environment lies, and what is asked of it."""

    names: Names
    config: AwsConfig
    asked: GroundSpec
    tags: Mapping[str, str]
    opts: ResourceOptions
    """The foundation as parent, and the one provider."""
    sizes: Mapping[str, Size] | None = None
    """Of the node groups now; None where nobody asked."""

    @property
    def ephemeral(self) -> bool:
        """Whether the environment keeps nothing."""
        return self.asked.lifetime is not None


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What was made, as far as others need it."""

    keys: Keys
    cluster: EksCluster
    registry: Registry
    database: Database | None
    priorities: Mapping[int, Sequence[str]]
    """Which node groups the autoscaler takes first."""
    ready: Sequence[Resource]
    """What whatever runs on the cluster depends on."""


def lay(plot: Plot) -> Ground:
    """Declare keys, network, cluster, nodes, registry, database and budget."""
    config, names, opts = plot.config, plot.names, plot.opts
    keys = Keys(
        "keys", KeysArgs(names=names, deletion_days=7 if plot.ephemeral else 30, retain_data=plot.asked.retain), opts
    )
    network = _network(plot, keys)
    cluster = _cluster(plot, keys, network)
    base = NetworkAddons("addons", AddonsArgs(cluster=cluster, versions=config.cluster.addon_versions), opts)
    role = NodeRole("nodes", NodeRoleArgs(names=names), opts)
    after = [*cluster.ready, *base.ready, *network.ready]
    system = _system_nodes(plot, cluster, network, role, after)
    gpu = [_gpu_nodes(plot, name, cluster, network, role, after) for name in config.gpu_nodes]
    addons = _workload_addons(plot, cluster, [*system.ready, *base.ready])
    registry = Registry("registry", RegistryArgs(names=names, key=keys.data, force_delete=plot.ephemeral), opts)
    database = None if config.database.image else _database(plot, keys, network, cluster)
    if plot.asked.budget is not None:
        _budget(plot, keys)
    return Ground(
        keys=keys,
        cluster=cluster,
        registry=registry,
        database=database,
        priorities=_priorities(gpu),
        ready=[
            *after,
            *system.ready,
            *addons.ready,
            *(one for pool in gpu for one in pool.ready),
            *_github(plot, cluster),
        ],
    )


def _network(plot: Plot, keys: Keys) -> NetworkHandle:
    config, vpc = plot.config, plot.config.vpc
    if vpc is not None:
        private = {zone: vpc.private_subnets[zone] for zone in config.zones}
        return given_network(vpc.id, vpc.cidr, private, vpc.public_subnets)
    args = NetworkArgs(
        names=plot.names,
        cidr=config.network.cidr,
        zones=config.zones,
        nat=config.network.nat,
        endpoints=config.network.endpoints,
        flow_log_days=config.network.flow_log_days,
        log_key=keys.logs,
    )
    return Network("network", args, plot.opts).handle


def _cluster(plot: Plot, keys: Keys, network: NetworkHandle) -> EksCluster:
    settings, names = plot.config.cluster, plot.names
    # the deployments' role has an entry already (github_access.py), and EKS takes each principal once
    own = {names.role_arn("deploy")} if plot.config.github else set()
    args = EksClusterArgs(
        names=names,
        version=settings.version,
        network=network,
        key=keys.cluster,
        log_key=keys.logs,
        public_cidrs=settings.public_cidrs,
        admins=[arn for arn in settings.admins if arn not in own],
        log_days=settings.log_days,
        deletion_protection=plot.asked.retain,
        service_cidr=settings.service_cidr,
    )
    return EksCluster("cluster", args, plot.opts)


def _system_nodes(
    plot: Plot, cluster: EksCluster, network: NetworkHandle, role: NodeRole, after: Sequence[Resource]
) -> SystemNodePool:
    nodes = plot.config.system_nodes
    args = SystemNodePoolArgs(
        names=plot.names,
        cluster=cluster,
        network=network,
        role=role,
        instance_types=nodes.instance_types,
        min=nodes.min,
        max=nodes.max,
        disk_gib=nodes.disk_gib,
        version=plot.config.cluster.version,
        tags=plot.tags,
        after=after,
        sizes=plot.sizes,
    )
    return SystemNodePool("system", args, plot.opts)


def _gpu_nodes(
    plot: Plot, name: str, cluster: EksCluster, network: NetworkHandle, role: NodeRole, after: Sequence[Resource]
) -> GpuNodePool:
    settings = plot.config.gpu_nodes[name]
    pool = next(one for one in plot.asked.gpu_pools if one.name == name)
    args = GpuNodePoolArgs(
        names=plot.names,
        pool=pool,
        nodes=pools.machines(pool, settings),
        labels=pools.labels(pool),
        taints=pools.taints(pool),
        cluster=cluster,
        network=network,
        role=role,
        version=plot.config.cluster.version,
        tags=plot.tags,
        after=after,
        sizes=plot.sizes,
    )
    return GpuNodePool(f"gpu-{name}", args, plot.opts)


def _workload_addons(plot: Plot, cluster: EksCluster, nodes: Sequence[Resource]) -> WorkloadAddons:
    driver = WorkloadIdentityArgs(
        names=plot.names,
        role="ebs-csi",
        cluster_name=cluster.name,
        namespace="kube-system",
        service_account="ebs-csi-controller-sa",
        statements=iam.ebs_csi(cluster.name, partition=plot.names.partition),
        associate=False,  # the add-on makes the association itself
    )
    args = WorkloadAddonsArgs(
        cluster=cluster,
        versions=plot.config.cluster.addon_versions,
        ebs_role=WorkloadIdentity("ebs-csi", driver, plot.opts).role_arn,
        volume_tags=plot.tags,
        nodes=nodes,
    )
    return WorkloadAddons("workload-addons", args, plot.opts)


def _database(plot: Plot, keys: Keys, network: NetworkHandle, cluster: EksCluster) -> Database:
    settings = plot.config.database
    clients: list[Input[str]] = [cluster.security_group]
    args = DatabaseArgs(
        names=plot.names,
        network=network,
        clients=clients,
        key=keys.data,
        instance_class=settings.instance_class,
        storage_gib=settings.storage_gib,
        max_storage_gib=settings.max_storage_gib,
        multi_az=settings.multi_az,
        backup_days=settings.backup_days,
        deletion_protection=plot.asked.retain,
        final_snapshot=plot.asked.retain,
        log_key=keys.logs,
    )
    return Database("database", args, plot.opts)


def _budget(plot: Plot, keys: Keys) -> None:
    budget = plot.asked.budget
    if budget is not None:
        counted = {key: plot.tags[key] for key in (PROJECT, STACK)}
        args = BudgetArgs(
            names=plot.names, monthly_usd=budget.monthly_usd, notify=budget.notify, tags=counted, key=keys.logs
        )
        Budget("budget", args, plot.opts)


def _github(plot: Plot, cluster: EksCluster) -> Sequence[Resource]:
    """Declare what workflows may do, before workloads: who deploys may enter the cluster until these are gone."""
    github = plot.config.github
    if github is None:
        return []
    args = GithubAccessArgs(
        names=plot.names,
        repository=github.repository,
        cluster=cluster,
        provider_arn=github.provider_arn,
        environment=github.deploy_environment,
    )
    return GithubAccess("github", args, plot.opts).ready


def _priorities(groups: Sequence[GpuNodePool]) -> dict[int, list[str]]:
    """Return every pool's patterns by priority, for one autoscaler."""
    merged: dict[int, list[str]] = {}
    for group in groups:
        for priority, patterns in group.priorities.items():
            merged.setdefault(priority, []).extend(patterns)
    return merged
