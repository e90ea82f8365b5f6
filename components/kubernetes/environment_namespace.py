"""EnvironmentNamespace: where one environment's workloads run, what they may ask for, and as whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.kubernetes.manifest import PART_OF, Manifest, declare, namespace
from components.kubernetes.platforms import PLATFORMS, PlatformName


@dataclass(frozen=True, kw_only=True)
class Account:
    """A ServiceAccount; its pods get no token of the API server unless they mount one themselves."""

    name: str
    annotations: Mapping[str, Input[str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most that the namespace may ask for at once."""

    cpu: str
    memory: str
    pods: int
    volumes: int = 20
    gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a container asks for that names nothing: a quota refuses it otherwise. KubeRay's helpers are such."""

    cpu: str = "100m"
    cpu_limit: str = "1"
    memory: str = "256Mi"
    memory_limit: str = "512Mi"


@dataclass(frozen=True, kw_only=True)
class EnvironmentNamespaceArgs:
    """What the namespace is made of. Everything but identities is plain: it decides which objects there are."""

    namespace: str
    accounts: Sequence[Account]
    quota: Quota | None
    defaults: Defaults = field(default_factory=Defaults)
    labels: Mapping[str, str] = field(default_factory=dict)


def account_with_identity(name: str, platform: PlatformName, principal: Input[str] | None) -> Account:
    """Return the account that is `principal` in the platform's cloud, by the platform's own annotation.

    Raises:
        ValueError: the platform has no such annotation.
    """
    if principal is None:
        return Account(name=name)
    identity = PLATFORMS[platform].identity
    if identity.annotation is None:
        raise ValueError(f"platform {platform} gives ServiceAccounts no cloud identity: use a Secret with credentials")
    return Account(name=name, annotations={identity.annotation: principal}, labels=identity.account_labels)


def manifests(args: EnvironmentNamespaceArgs, name: Input[str] | None = None) -> Iterator[tuple[str, Manifest]]:
    """Return each object of the namespace by its role; `name` is the namespace, once made."""
    inside: Any = name if name is not None else args.namespace
    if args.quota is not None:
        yield "quota", _object("v1", "ResourceQuota", "environment", inside, spec={"hard": _hard(args.quota)})
        yield "defaults", _object("v1", "LimitRange", "defaults", inside, spec={"limits": [_limits(args.defaults)]})
    for account in args.accounts:
        made = _object("v1", "ServiceAccount", account.name, inside, automountServiceAccountToken=False)
        made["metadata"]["labels"] = {**PART_OF, **account.labels}
        if account.annotations:
            made["metadata"]["annotations"] = dict(account.annotations)
        yield f"account-{account.name}", made


class EnvironmentNamespace(ComponentResource):
    """A namespace held to Pod Security `restricted`, with a quota and one ServiceAccount a workload.

    Destroying it deletes everything in it, whoever made it: that is why it waits for nothing else.
    """

    namespace: Output[str]
    """The namespace's name, known once it exists."""

    def __init__(self, name: str, args: EnvironmentNamespaceArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:EnvironmentNamespace", name, None, opts)
        child = ResourceOptions(parent=self)
        made = declare(f"{name}-namespace", namespace(args.namespace, level="restricted", labels=args.labels), child)
        self.namespace = cast("Any", made).metadata["name"]
        inside = ResourceOptions(parent=self, depends_on=[made])
        self.children: Sequence[Resource] = [
            made,
            *(declare(f"{name}-{role}", manifest, inside) for role, manifest in manifests(args, self.namespace)),
        ]
        self.register_outputs({"namespace": self.namespace})


def _object(version: str, kind: str, name: str, inside: Any, **more: Any) -> Manifest:
    metadata = {"name": name, "namespace": inside, "labels": dict(PART_OF)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _hard(quota: Quota) -> dict[str, str]:
    return {
        "requests.cpu": quota.cpu,
        "requests.memory": quota.memory,
        "pods": str(quota.pods),
        "persistentvolumeclaims": str(quota.volumes),
        "requests.nvidia.com/gpu": str(quota.gpus),
    }


def _limits(defaults: Defaults) -> Manifest:
    return {
        "type": "Container",
        "defaultRequest": {"cpu": defaults.cpu, "memory": defaults.memory},
        "default": {"cpu": defaults.cpu_limit, "memory": defaults.memory_limit},
    }
