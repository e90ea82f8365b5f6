"""An environment on the tests' own node that may be broken, and the lines that tell what was lost and how long it took.

One environment for all tests, which take it as they find it. Nothing here asserts about time: `tell` prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import faults
from tests.chaos.faults import Store
from tests.cluster.conftest import cluster
from tests.cluster.node.cluster import Cluster
from tests.cluster.project import ClusterProject, project_on

__all__ = ["cluster"]
HERE = Path(__file__).parent
LIMIT_S = 1500
_TOLD: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of it is by hand, and none of it is quick."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(LIMIT_S, func_only=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests told."""
    for line in _TOLD:
        terminalreporter.write_line(line)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say something for the record, in the summary."""

    def say(text: str) -> None:
        _TOLD.append(f"{request.node.name}: {text}")

    return say


@pytest.fixture(scope="session")
def store(cluster: Cluster) -> Iterator[Store]:
    """The object store of the environment."""
    if cluster.place is None:
        pytest.skip("only the tests' own node may be broken")
    with faults.object_store() as found:
        yield found


@pytest.fixture(scope="session")
def project(
    cluster: Cluster,
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ClusterProject]:
    """A checkout whose stack is configured for the cluster; whatever a test left is destroyed."""
    made = project_on(cluster, tmp_path_factory.mktemp("checkout"))
    yield made
    store.tell("start")
    made.pulumi("destroy").must_succeed()


@pytest.fixture(scope="session")
def environment(project: ClusterProject) -> ClusterProject:
    """The environment, up and serving."""
    project.up().must_succeed()
    return project
