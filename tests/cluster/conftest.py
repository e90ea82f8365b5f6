"""The cluster of a test session: given by SLIPWAY_TEST_KUBECONFIG, else this machine's own node, else a skip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node.cluster import Cluster, UnavailableError, cluster_for_tests
from tests.cluster.node.layout import layout

HERE = Path(__file__).parent
TEST_LIMIT_S = 600


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real cluster. Whoever changes more than a namespace of its own puts it back."""
    try:
        with cluster_for_tests(layout()) as found:
            yield found
    except UnavailableError as error:
        pytest.skip(f"no cluster here: {error}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bringing a node up may take longer than any test may: the limit is on the tests, not on what they are given."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S, func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """What a given cluster lacks is a skip with its reason."""
    try:
        return (yield)
    except UnavailableError as error:
        pytest.skip(str(error))
