"""The cluster of a test session: given by SLIPWAY_TEST_KUBECONFIG, else this machine's own node, else a skip."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.node.cluster import Cluster, UnavailableError, cluster_for_tests
from tests.cluster.node.layout import layout


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real cluster. Whoever changes more than a namespace of its own puts it back."""
    try:
        with cluster_for_tests(layout()) as found:
            yield found
    except UnavailableError as error:
        pytest.skip(f"no cluster here: {error}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """What a given cluster lacks is a skip with its reason."""
    try:
        return (yield)
    except UnavailableError as error:
        pytest.skip(str(error))
