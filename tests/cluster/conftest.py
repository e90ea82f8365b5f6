"""The cluster of a test session: given by SLIPWAY_TEST_KUBECONFIG, else this machine's own node, else a skip.

And one environment on it for all tests that can share one: each takes it as the one before left it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node.cluster import Cluster, UnavailableError, cluster_for_tests
from tests.cluster.node.layout import layout
from tests.cluster.project import ClusterProject, object_store, project_on

HERE = Path(__file__).parent
TEST_LIMIT_S = 600
LAST = "test_teardown.py"
"""Destroys the shared environment."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real cluster. Whoever changes more than a namespace of its own puts it back."""
    try:
        with cluster_for_tests(layout()) as found:
            yield found
    except UnavailableError as error:
        pytest.skip(f"no cluster here: {error}")


@pytest.fixture(scope="session")
def shared_project(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProject]:
    """A checkout whose stack is configured for the cluster; whatever the tests left is destroyed."""
    with object_store(cluster):
        made = project_on(cluster, tmp_path_factory.mktemp("checkout"))
        yield made
        if made.outputs():
            made.pulumi("destroy").must_succeed()


@pytest.fixture(scope="session")
def environment(shared_project: ClusterProject) -> ClusterProject:
    """The environment that tests share, up and serving; its operator and definitions are the cluster's only ones."""
    shared_project.up().must_succeed()
    return shared_project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bringing a node up may take longer than any test may: the limit is on the tests, not on what they are given.

    Tests of the shared environment come after all others, which install operators of their own.
    """
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S, func_only=True))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if not item.path.is_relative_to(HERE) or "environment" not in getattr(item, "fixturenames", ()):
        return 0
    return 2 if item.path.name == LAST else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """What a given cluster lacks is a skip with its reason."""
    try:
        return (yield)
    except UnavailableError as error:
        pytest.skip(str(error))
