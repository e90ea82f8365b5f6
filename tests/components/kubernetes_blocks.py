"""Building blocks of a cluster in a program of their own: what a test makes of them, on the recording engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from components.kubernetes.environment_namespace import (
    Account,
    EnvironmentNamespace,
    EnvironmentNamespaceArgs,
    Quota,
)
from components.kubernetes.operators import Operators, OperatorsArgs
from infra.engine import manifests
from tests.mock_engine import Engine, run

DIGEST = "sha256:" + "a" * 64
IMAGE = f"registry.example/operator@{DIGEST}"
IDENTIFIED = Account(name="training", annotations={"eks.amazonaws.com/role-arn": "arn:role"})
NAMESPACE_ARGS = EnvironmentNamespaceArgs(
    namespace="slipway-prod",
    accounts=[
        Account(name="training", annotations={"eks.amazonaws.com/role-arn": "arn:role"}),
        Account(name="serving"),
    ],
    quota=Quota(cpu="8", memory="32Gi", pods=50, gpus=4),
)
NAMESPACE = "kubernetes:core/v1:Namespace"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
DEFINITION = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"


def cached(source: manifests.Source) -> Path:
    """The release's files, as `./pulumiw setup --kubernetes` leaves them; fetched when they are not there."""
    manifests.fetch(source)
    return manifests.folder(source)


def on_cluster(make: Callable[[ResourceOptions], Any], *, preview: bool = False) -> Engine:
    """Run `make` with an explicit provider, as a program does."""

    def program() -> None:
        provider = k8s.Provider("cluster", context="test")
        make(ResourceOptions(provider=provider))

    return run(program, preview=preview)


def with_operators(args: OperatorsArgs, *, preview: bool = False) -> Engine:
    return on_cluster(lambda opts: Operators("operators", args, opts), preview=preview)


def with_namespace(args: EnvironmentNamespaceArgs = NAMESPACE_ARGS, *, preview: bool = False) -> Engine:
    return on_cluster(lambda opts: EnvironmentNamespace("namespace", args, opts), preview=preview)


def registered(engine: Engine) -> list[tuple[str, str]]:
    return sorted((item.type, item.name) for item in engine.registrations)
