"""Destroys the environment that the tests before it shared, in whatever state they left it."""

from __future__ import annotations

import pytest

from tests.cluster.project import ClusterProject

pytestmark = pytest.mark.timeout(900, func_only=True)


def test_destroy_leaves_nothing(environment: ClusterProject) -> None:
    environment.pulumi("destroy").must_succeed()
    assert environment.cluster is not None
    found = environment.cluster.kubectl("get", "namespace", environment.namespace, "--ignore-not-found")
    assert found == "", "no namespace: no object, no finalizer, no pod"
    for kind in ("crds", "clusterroles", "clusterrolebindings", "namespaces"):
        assert "ray" not in environment.cluster.kubectl("get", kind, "-o", "name"), f"{kind} of the operator are gone"
