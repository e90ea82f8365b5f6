"""Ports for the servers of tests: different ones, free ones, and none that an outgoing connection could have."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.free_ports import free_block, free_ports


def test_ports_are_all_different_and_free() -> None:
    found = free_ports(50)
    assert len(set(found)) == 50
    for port in found:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_is_not_given() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_ports(1)[0]))
        taken = server.getsockname()[1]
        with pytest.raises(RuntimeError, match="stop what holds them"):
            free_ports(1000)
        assert taken not in free_ports(900)


def test_they_are_not_those_of_outgoing_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(free_ports(900)) < first


def test_a_row_of_ports_is_free_from_its_first_to_its_last() -> None:
    first = free_block(20)
    with socket.socket() as server:
        server.bind(("127.0.0.1", first + 19))
        assert free_block(20) != first
