"""One tracking server and one Ray head for all serving tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.deployed import Service
from tests.serving.environment import Environment, call, running, wait_for


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder: Path = tmp_path_factory.mktemp("serving")
    with running(folder) as environment:
        yield environment


@pytest.fixture(scope="module")
def service(environment: Environment) -> Iterator[Service]:
    service = Service(environment)
    environment.serve(service.name, None)
    wait_for("the service", lambda: call(service.url + "/v2/health/live")[0] == 200, 90)
    yield service
    environment.clear()


@pytest.fixture(scope="module")
def released(service: Service) -> Service:
    """The service, whose champion is a version released by the controller."""
    version = service.register()
    service.ask_for(version)
    service.wait_for_version(version)
    service.wait_for_phase(version, "released")
    return service
