"""Instance types: what the table says, where it comes from, and which machines belong together."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from components.aws import instance_types, instance_types_update
from components.aws.gpu_nodes import GpuNodes, mismatches
from components.aws.instance_types import InstanceType, UnknownInstanceTypeError, lookup

ZONES = ["us-east-1a", "us-east-1b"]
L4 = GpuNodes(instance_types=["g6.xlarge", "g6.2xlarge"])
BLOCK = GpuNodes(
    instance_types=["p5.48xlarge"],
    capacity="capacity_block",
    capacity_block_id="cr-0123456789abcdef0",
    zones=["us-east-1a"],
)
PRICES = """// generated at 2026-07-06T14:20:29Z for us-east-1
var InitialOnDemandPricesAWS = map[string]map[ec2types.InstanceType]float64{
\t"us-east-1": {
\t\t"g6.xlarge": 0.804800, "m7i.xlarge": 0.201600,
\t},
\t"us-east-2": {
\t\t"g6.xlarge": 9.000000,
\t},
}
"""


@pytest.mark.parametrize(
    ("name", "gpus", "gpu", "gib"),
    [
        ("g4dn.xlarge", 1, "T4", 16),
        ("g6.12xlarge", 4, "L4", 22.35),
        ("p4d.24xlarge", 8, "A100", 40),
        ("p5.4xlarge", 1, "H100", 80),
        ("p5.48xlarge", 8, "H100", 80),
        ("g6f.large", 1, "L4", 2.79),
    ],
)
def test_gpus_are_what_aws_says_they_are(name: str, gpus: int, gpu: str, gib: float) -> None:
    found = lookup(name)
    assert (found.gpus, found.gpu, found.gpu_memory_gib) == (gpus, gpu, gib)


def test_a_machine_without_gpus_has_none() -> None:
    found = lookup("m7i.xlarge")
    assert (found.gpus, found.gpu, found.accelerator, found.vcpus, found.memory_gib) == (0, None, None, 4, 16)


def test_accelerators_that_are_no_nvidia_gpus_are_not_counted() -> None:
    assert lookup("inf2.xlarge").gpus == 0
    assert lookup("trn1.2xlarge").gpus == 0


def test_an_unknown_type_names_the_nearest_with_a_rule_and_a_fix() -> None:
    with pytest.raises(
        UnknownInstanceTypeError, match=r"g6\.xlarg is no instance type .*did you mean g6\.xlarge"
    ) as got:
        lookup("g6.xlarg")
    rule, fix = got.value.rule_and_fix
    assert instance_types.dated() in rule
    assert "g6.xlarge" in fix
    assert isinstance(got.value, KeyError)
    with pytest.raises(UnknownInstanceTypeError, match=r"use a type of"):
        lookup("-")


def test_the_file_is_what_the_installed_source_says() -> None:
    """A newer moto may know more: then `python -m components.aws.instance_types_update` writes the file anew."""
    described = instance_types_update.moto_types()
    assert len(instance_types.names()) > 1000
    for name in instance_types.names():
        found = lookup(name)
        made = InstanceType(name=name, **instance_types_update.row(described[name], found.usd_per_hour))
        assert made == found


def test_the_file_says_where_it_comes_from_and_when() -> None:
    content = json.loads(instance_types.FILE.read_text())
    assert content["types_from"].startswith("moto ")
    assert "karpenter-provider-aws@v" in content["prices_from"]
    assert content["prices_dated"] == instance_types.dated() == "2026-07-06"


def test_no_price_is_made_up() -> None:
    dated, prices = instance_types_update.karpenter_prices(PRICES)
    assert dated == "2026-07-06"
    assert prices == {"g6.xlarge": 0.8048, "m7i.xlarge": 0.2016}, "of one region alone"
    described = instance_types_update.moto_types()
    text = instance_types_update.content(described, dated, prices, "v0")
    rows = json.loads(text)["types"]
    assert rows["g6.xlarge"]["usd_per_hour"] == 0.8048
    assert "usd_per_hour" not in rows["g6.2xlarge"]
    assert lookup("p5e.48xlarge").usd_per_hour is None, "the source has none"


def test_a_file_that_is_no_price_table_is_refused() -> None:
    with pytest.raises(ValueError, match="not Karpenter's price table"):
        instance_types_update.karpenter_prices("package pricing")


def test_larger_machines_of_a_family_cost_more() -> None:
    prices = [lookup(f"g6.{size}").usd_per_hour for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "48xlarge")]
    known = [price for price in prices if price is not None]
    assert len(known) == 5
    assert known == sorted(known)


def found(nodes: GpuNodes) -> str:
    return "\n".join(str(one) for one in mismatches(nodes, ZONES))


def test_machines_that_belong_together_are_taken() -> None:
    assert found(L4) == ""
    assert found(BLOCK) == ""
    assert found(GpuNodes(instance_types=["p5.48xlarge"], zones=["us-east-1a"], efa=True)) == ""


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (GpuNodes(instance_types=[]), "at least one type"),
        (GpuNodes(instance_types=["m7i.xlarge"]), "has no NVIDIA GPU"),
        (GpuNodes(instance_types=["g6.xlarge", "g5.xlarge"]), "g5.xlarge.*other GPUs than g6.xlarge, 1 x L4"),
        (GpuNodes(instance_types=["g6.xlarge", "g6.12xlarge"]), "g6.12xlarge.*other GPUs"),
        (GpuNodes(instance_types=["g6.2xlarge", "g6.xlarge"]), "g6.xlarge.*smallest type first"),
        (GpuNodes(instance_types=["g6.xlarge", "g6.xlarge"]), "twice"),
        (replace(L4, zones=["us-east-1f"]), "us-east-1f.*not in the network"),
        (replace(L4, efa=True, zones=["us-east-1a"]), "takes no Elastic Fabric Adapter"),
        (GpuNodes(instance_types=["p5.48xlarge"], efa=True), "do not reach into other zones"),
        (
            GpuNodes(instance_types=["g6e.12xlarge", "g6e.24xlarge"], efa=True, zones=["us-east-1a"]),
            "different numbers",
        ),
        (replace(L4, capacity_block_id="cr-0123456789abcdef0"), "do not belong together"),
        (replace(BLOCK, capacity_block_id=None), "do not belong together"),
        (replace(BLOCK, capacity_block_id="cr-1"), "is no reservation"),
        (replace(BLOCK, zones=()), "one instance type in one zone"),
        (replace(BLOCK, instance_types=["g6.xlarge"]), "not sold in capacity blocks"),
    ],
)
def test_machines_that_no_node_group_can_be_made_of_are_told_with_the_fix(nodes: GpuNodes, said: str) -> None:
    assert re.search(said, found(nodes)), found(nodes)


def test_every_mismatch_is_told_at_once() -> None:
    wrong = GpuNodes(instance_types=["g6.xlarge", "g5.xlarge"], zones=["us-east-1f", "us-east-1a"], efa=True)
    assert len(list(mismatches(wrong, ZONES))) >= 4
