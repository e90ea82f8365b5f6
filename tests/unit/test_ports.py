"""Port blocks: no two uses share a port, and a stack keeps its block."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from infra.local.ports import BLOCK_SIZE, PortBlock, block_at, derived_block


def used(block: PortBlock) -> list[int]:
    ports: list[int] = []
    for field in fields(block):
        value = getattr(block, field.name)
        ports += range(value[0], value[1] + 1) if isinstance(value, tuple) else [value]
    return ports


def test_no_two_uses_share_a_port() -> None:
    ports = used(block_at(12000))
    assert len(ports) == len(set(ports)), "each use needs a port of its own"


def test_every_port_lies_inside_the_block() -> None:
    assert all(12000 <= port < 12000 + BLOCK_SIZE for port in used(block_at(12000)))


def test_a_stack_always_gets_the_same_block_and_others_get_another() -> None:
    here, there = Path("/a/checkout"), Path("/another/checkout")
    assert derived_block(here, "dev") == derived_block(here, "dev")
    assert derived_block(here, "dev") != derived_block(here, "pr-42")
    assert derived_block(here, "dev") != derived_block(there, "dev")


def test_derived_blocks_stay_below_the_ephemeral_ports() -> None:
    for number in range(500):
        ports = used(derived_block(Path("/checkout"), f"stack-{number}"))
        assert min(ports) >= 1024
        assert max(ports) < 32768
