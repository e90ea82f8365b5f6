"""Makes instance_types.json from two public sources, both machine-made from AWS' own interfaces.

    python -m components.aws.instance_types_update --prices zz_generated.pricing_aws.go --version v1.14.0

Types come from the answer of DescribeInstanceTypes that moto is packaged with; prices from the table that Karpenter's
provider for AWS is released with (module github.com/aws/karpenter-provider-aws, folder pkg/providers/pricing), which
is generated from AWS' price list. Prices are never typed in by hand: a type that the table lacks has none.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.aws.instance_types import FILE

MODULE = "github.com/aws/karpenter-provider-aws"
REGION = "us-east-1"
LEFT_OUT = re.compile(r"mac|u-|hs1|cc2|cr1")
"""Not sold as nodes: Apple hosts, high-memory hosts, what was retired."""


def moto_types() -> dict[str, Any]:
    """Return what the installed moto answers for every type.

    Raises:
        ModuleNotFoundError: moto is not installed.
    """
    found = importlib.util.find_spec("moto")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "moto is not installed: run this in the development environment (./pulumiw setup --dev)"
        )
    packed = Path(found.origin).parent / "ec2" / "resources" / "instance_types.json.gz"
    types: dict[str, Any] = json.loads(gzip.decompress(packed.read_bytes()))
    return {name: row for name, row in types.items() if not LEFT_OUT.match(name)}


def karpenter_prices(source: str) -> tuple[str, dict[str, float]]:
    """Return the date and the prices by type in the text of Karpenter's table.

    Raises:
        ValueError: the text is not that table.
    """
    dated = re.search(r"// generated at (\d{4}-\d{2}-\d{2})", source)
    region = re.search(rf'"{REGION}": \{{(.*?)\n\t\}}', source, re.DOTALL)
    if dated is None or region is None:
        raise ValueError(f"this is not Karpenter's price table: it has no date, or no prices of {REGION}")
    found = re.findall(r'"([a-z0-9-]+\.[a-z0-9-]+)": ([0-9.]+)', region.group(1))
    return dated.group(1), {name: float(price) for name, price in found}


def row(described: Mapping[str, Any], usd: float | None) -> dict[str, Any]:
    """Return one row, without what is as by default."""
    made: dict[str, Any] = {
        "vcpus": described["VCpuInfo"]["DefaultVCpus"],
        "memory_gib": _gib(described["MemoryInfo"]["SizeInMiB"]),
    }
    if described["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"]:
        made["arm"] = True
    gpus = [gpu for gpu in described.get("GpuInfo", {}).get("Gpus", []) if gpu["Manufacturer"] == "NVIDIA"]
    if gpus:
        made["gpus"] = sum(gpu.get("LogicalGpuCount", gpu["Count"]) for gpu in gpus)
        made["gpu"] = gpus[0]["Name"]
        made["gpu_memory_gib"] = _gib(gpus[0]["MemoryInfo"]["SizeInMiB"])
    network = described["NetworkInfo"]
    if adapters := network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0):
        made["efa"] = adapters
        cards = network.get("NetworkCards", [])
        first = next((card["NetworkCardIndex"] for card in cards if "efa" in card.get("InterfaceTypes", ["efa"])), 0)
        made.update({"efa_first_card": first} if first else {})
    if "capacity-block" in described.get("SupportedUsageClasses", []):
        made["capacity_block"] = True
    return {**made, **({} if usd is None else {"usd_per_hour": usd})}


def _gib(mib: int) -> float:
    return round(mib / 1024, 2)


def content(types: Mapping[str, Any], dated: str, prices: Mapping[str, float], version: str) -> str:
    """Return the text of the file: a line for each type, so that a change shows as what it is."""
    head = {
        "types_from": f"moto {importlib.metadata.version('moto')}: ec2/resources/instance_types.json.gz",
        "prices_from": f"{MODULE}@{version}: pkg/providers/pricing/zz_generated.pricing_aws.go",
        "prices_dated": dated,
        "prices_are": f"USD per hour, on demand, Linux, {REGION}",
    }
    rows = [f"    {json.dumps(name)}: {json.dumps(row(types[name], prices.get(name)))}" for name in sorted(types)]
    return json.dumps(head, indent=2)[:-2] + ',\n  "types": {\n' + ",\n".join(rows) + "\n  }\n}\n"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prices", type=Path, required=True, help="zz_generated.pricing_aws.go of Karpenter's module")
    parser.add_argument("--version", required=True, help="the module's version")
    given = parser.parse_args()
    dated, prices = karpenter_prices(given.prices.read_text())
    FILE.write_text(content(moto_types(), dated, prices, given.version))


if __name__ == "__main__":
    main()
