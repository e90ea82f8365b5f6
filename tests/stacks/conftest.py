"""Whole environments for tests: one is brought up per module and destroyed at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stacks.project import Project, checkout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A checkout with the stack `test`; whatever a test left running is destroyed."""
    made = checkout(tmp_path_factory.mktemp("checkout"), "test", tmp_path_factory.mktemp("tmp"))
    yield made
    if (made.root / ".slipway").is_dir():
        made.pulumi("destroy", "--refresh").must_succeed()


@pytest.fixture(scope="module")
def environment(project: Project) -> Project:
    """The environment of `project`, up and serving."""
    project.up().must_succeed()
    return project
