"""One AWS test server for a session: moto takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.account import Account
from tests.standins.aws_server import AwsServer, running

SETTLE_S = 0.05


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    """A server that every test of the session shares: nobody resets it, everybody uses names of their own."""
    with running(tmp_path_factory.mktemp("aws") / "server.log", SETTLE_S) as started:
        yield started


@pytest.fixture
def account(server: AwsServer) -> Account:
    return Account(server)
