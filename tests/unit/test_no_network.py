"""The guard of the tests itself."""

from __future__ import annotations

import socket

import pytest


def test_a_connection_that_leaves_the_machine_is_refused() -> None:
    with socket.socket() as client, pytest.raises(AssertionError, match="nothing but loopback"):
        client.connect(("192.0.2.1", 80))


def test_a_connection_to_loopback_is_let_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
