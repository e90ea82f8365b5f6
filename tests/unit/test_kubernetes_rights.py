"""The table of rights is what the program really registers, and what the page shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from infra.kubernetes.rights import ENVIRONMENT, OPERATORS, ROUTE, Right, table

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/programs/golden/Pulumi.cluster.yaml.json"
"""Every resource of the example stack file, as the program registers it."""


def uncovered(types: Iterable[str], rights: Iterable[Right]) -> list[str]:
    """Return the types (`kubernetes:apps/v1:Deployment`) that no right lets anybody make."""
    may = {(right.group, right.resource) for right in rights if "create" in right.verbs}
    return sorted(name for name in set(types) if name.startswith("kubernetes:") and _resource(name) not in may)


def _resource(name: str) -> tuple[str, str]:
    _, version, kind = name.split(":")
    group = version.partition("/")[0]
    return "" if group == "core" else group, _plural(kind.lower())


def _plural(kind: str) -> str:
    return f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"


def test_whatever_the_program_registers_is_in_the_table() -> None:
    types = [entry[0] for entry in json.loads(GOLDEN.read_text())]
    assert "kubernetes:ray.io/v1:RayService" in types, "the control: this is the golden file of a cluster"
    assert uncovered(types, [*ENVIRONMENT, *ROUTE]) == []


def test_a_type_that_is_not_in_the_table_would_be_found() -> None:
    types = ["kubernetes:apps/v1:DaemonSet", "kubernetes:networking.k8s.io/v1:NetworkPolicy", "slipway:index:Ray"]
    assert uncovered(types, ENVIRONMENT) == ["kubernetes:apps/v1:DaemonSet"]


# provider/pkg/await/{deployment,statefulset,job,service}.go of pulumi/pulumi-kubernetes: what each wait watches
WATCHED = {
    "apps/v1:Deployment": ["apps/deployments", "apps/replicasets", "/pods", "/persistentvolumeclaims"],
    "apps/v1:StatefulSet": ["apps/statefulsets", "/pods"],
    "batch/v1:Job": ["batch/jobs", "/pods"],
    "core/v1:Service": ["/services", "/endpoints"],
}


def watchable(rights: Iterable[Right]) -> set[str]:
    return {f"{right.group}/{right.resource}" for right in rights if {"get", "list", "watch"} <= set(right.verbs)}


def test_whatever_pulumi_watches_while_it_waits_may_be_watched() -> None:
    registered = {entry[0].removeprefix("kubernetes:") for entry in json.loads(GOLDEN.read_text())}
    assert registered >= WATCHED.keys(), "the control: the program makes each of these kinds, and waits for it"
    assert {name for names in WATCHED.values() for name in names} - watchable(ENVIRONMENT) == set()
    assert set(WATCHED["apps/v1:Deployment"]) - watchable(OPERATORS) == set(), "the operator's: another namespace"


def test_the_page_shows_the_table() -> None:
    assert table() in (ROOT / "docs/kubernetes.md").read_text()


def test_nothing_is_asked_for_twice() -> None:
    names = [(right.group, right.resource, right.namespaced) for right in ENVIRONMENT]
    assert len(names) == len(set(names))
