"""The addresses of a network, for every size that AWS allows: inside, apart, large enough, and never moved."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.aws.addressing import LARGEST, SMALLEST, Plan, overlaps, plan

ZONES = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
PREFIXES = range(LARGEST, SMALLEST + 1)
AWS_SUBNETS = range(16, 29)
AWS_TAKES = 5  # addresses of each subnet


def subnets(made: Plan) -> list[IPv4Network]:
    return [IPv4Network(block) for block in (*made.private.values(), *made.public.values())]


def assert_sound(cidr: str, made: Plan) -> None:
    blocks = subnets(made)
    assert all(block.subnet_of(IPv4Network(cidr)) for block in blocks), "a subnet lies outside of its network"
    assert not [pair for pair in combinations(blocks, 2) if pair[0].overlaps(pair[1])], "two subnets share addresses"
    assert all(block.prefixlen in AWS_SUBNETS for block in blocks), "AWS makes no such subnet"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("count", [2, 3])
def test_every_size_of_network_is_laid_out(prefix: int, count: int) -> None:
    cidr = f"10.32.0.0/{prefix}"
    made = plan(cidr, ZONES[:count])
    assert list(made.private) == list(made.public) == ZONES[:count]
    assert len(subnets(made)) == 2 * count
    assert_sound(cidr, made)
    for zone in made.private:
        private, public = IPv4Network(made.private[zone]), IPv4Network(made.public[zone])
        assert private.num_addresses - AWS_TAKES >= 251, "every pod takes an address"
        assert public.num_addresses - AWS_TAKES >= 16, "load balancers want 8 free addresses, EKS 6 and 16 to be safe"
        assert private.num_addresses == 4 * public.num_addresses


@given(st.integers(LARGEST, SMALLEST), st.integers(0, 2**24 - 1), st.integers(2, 3), st.permutations(ZONES))
def test_wherever_the_network_lies(prefix: int, host: int, count: int, zones: list[str]) -> None:
    block = IPv4Network((f"10.{host >> 16}.{host >> 8 & 255}.{host & 255}", prefix), strict=False)
    assert_sound(str(block), plan(str(block), zones[:count]))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_third_zone_moves_no_subnet(prefix: int) -> None:
    two, three = plan(f"10.0.0.0/{prefix}", ZONES[:2]), plan(f"10.0.0.0/{prefix}", ZONES)
    assert {zone: three.private[zone] for zone in ZONES[:2]} == two.private
    assert {zone: three.public[zone] for zone in ZONES[:2]} == two.public


def test_a_network_as_it_is_read() -> None:
    """The figures by hand, so that a change of the layout, which would replace every subnet, is seen."""
    made = plan("10.0.0.0/16", ZONES)
    assert list(made.private.values()) == ["10.0.0.0/18", "10.0.64.0/18", "10.0.128.0/18"]
    assert list(made.public.values()) == ["10.0.192.0/20", "10.0.208.0/20", "10.0.224.0/20"]


@pytest.mark.parametrize("prefix", [prefix for prefix in range(33) if prefix not in PREFIXES])
def test_every_other_size_is_refused(prefix: int) -> None:
    cidr = str(IPv4Network(f"10.0.0.0/{prefix}", strict=False))
    with pytest.raises(ValueError, match=rf"is a /{prefix}: a network has between /16 and /22"):
        plan(cidr, ZONES)


@pytest.mark.parametrize(
    ("cidr", "zones", "message"),
    [
        ("10.0.0.0", ZONES, "is not how the block is written: write 10.0.0.0/32"),
        ("10.0.3.0/16", ZONES, r"10\.0\.3\.0/16 is not how the block is written: write 10\.0\.0\.0/16"),
        ("10.0.0.0/255.255.0.0", ZONES, r"is not how the block is written: write 10\.0\.0\.0/16"),
        ("fd00::/56", ZONES, "is no block of IPv4 addresses"),
        ("ten", ZONES, "is no block of IPv4 addresses: write one such as"),
        ("54.0.0.0/16", ZONES, "holds public addresses.*choose a block within 10.0.0.0/8"),
        ("172.32.0.0/16", ZONES, "holds public addresses"),
        ("10.0.0.0/16", ZONES[:1], r"1 zones \(eu-central-1a\): a network spans two or three"),
        ("10.0.0.0/16", [], "0 zones"),
        ("10.0.0.0/16", [*ZONES, "eu-central-1d"], "4 zones"),
        ("10.0.0.0/16", [ZONES[0], ZONES[0]], "eu-central-1a is named twice.*name each once"),
    ],
)
def test_what_cannot_be_is_refused_with_its_fix(cidr: str, zones: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(cidr, zones)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="public addresses") as caught:
        plan("54.0.0.1/12", ["a", "a", "b", "c"])
    assert str(caught.value).count(";") == 4 + 1, str(caught.value)


@pytest.mark.parametrize("block", ["10.0.0.0/16", "172.31.0.0/16", "192.168.0.0/16", "100.64.0.0/16"])
def test_every_private_range_is_taken(block: str) -> None:
    assert_sound(block, plan(block, ZONES))


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_blocks_overlap_when_they_share_an_address(one: int, bits: int, other: int, bits2: int) -> None:
    a, b = IPv4Network((one, bits), strict=False), IPv4Network((other, bits2), strict=False)
    shared = a.network_address <= b.broadcast_address and b.network_address <= a.broadcast_address
    assert overlaps(str(a), str(b)) == shared == overlaps(str(b), str(a))


def test_overlap_of_known_blocks() -> None:
    assert overlaps("10.0.0.0/16", "10.0.255.0/24")
    assert not overlaps("10.0.0.0/16", "10.1.0.0/16")
    with pytest.raises(ValueError, match="ten"):
        overlaps("ten", "10.0.0.0/16")
