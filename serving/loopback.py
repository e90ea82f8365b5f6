"""Keeps Ray's own gRPC server inside a replica on loopback where the whole node is.

Ray binds that server to every interface, whatever the address of its node, and has no setting for it.  On a node with
another address, where replicas do call each other from outside, nothing is changed.  The name is private to Ray: the
test that lists every listening socket of an environment fails when it moves.
"""

from __future__ import annotations

import importlib
from typing import Any

import ray

_LOOPBACK = "127.0.0.1"


def keep_on_loopback() -> None:
    """Make the replica of this process, which is still being constructed, listen on 127.0.0.1 alone."""
    node_address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    if node_address != _LOOPBACK:
        return
    replica: Any = importlib.import_module("ray.serve._private.replica")
    bind = replica.add_port_to_grpc_server

    def bind_to_loopback(server: Any, address: str) -> int:
        return int(bind(server, address.replace("[::]", _LOOPBACK)))

    replica.add_port_to_grpc_server = bind_to_loopback
