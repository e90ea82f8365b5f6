"""What a GPU node pool costs a preview: `python -m benchmarks.pools [10 50 100] [--runs 3]`, on an idle machine.

Each figure is the fastest of whole offline previews, since other work on the machine only adds, of Pulumi.prod.yaml
with that many pools in the place of its own, in a copy of this checkout; sizes take turns. The mark is the time for one
pool more, in the upper half of the range against the lower half: what grows faster than the pools do grows there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.preview import preview_s
from infra.engine import manifests
from tests.stacks.project import ROOT, Project, checkout

STACK = "prod"
SIZES = (10, 50, 100)
MOST_TIMES_STEEPER = 1.5


def with_pools(count: int) -> dict[str, Any]:
    """Return production's stack file with `count` pools like its first one."""
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())
    config = content["config"]
    first = config["slipway:gpu_pools"][0]
    nodes = config["slipway:substrate"]["gpu_nodes"]
    names = [f"pool{index:03}" for index in range(count)]
    config["slipway:gpu_pools"] = [{**first, "name": name} for name in names]
    config["slipway:substrate"]["gpu_nodes"] = {name: dict(nodes[first["name"]]) for name in names}
    return content


def measured(project: Project, sizes: Sequence[int], runs: int) -> dict[int, tuple[list[float], str]]:
    """Return the seconds of each run by size, and what was declared."""
    found: dict[int, tuple[list[float], str]] = {size: ([], "") for size in sizes}
    for run in range(runs + 1):
        for size in sizes:
            (project.root / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(with_pools(size)))
            took, first, count = preview_s(project, STACK)
            if run:  # the first of each warms the caches
                found[size] = ([*found[size][0], took], count)
            else:
                print(f"  {size} pools: {first}", file=sys.stderr)
    return found


def main() -> int:
    """Print a table; the exit status says whether the mark holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES), help="how many pools; three sizes")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    low, middle, high = sorted(options.sizes)
    manifests.fetch(*manifests.SOURCES)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        project = checkout(Path(folder), "bench")
        found = measured(project, (low, middle, high), options.runs)
    fastest = {size: min(times) for size, (times, _) in found.items()}
    print(
        f"{psutil.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, the fastest of {options.runs} after one unmeasured"
    )
    print(f"| pools | preview | all | times {low} pools | declared |\n|---|---|---|---|---|")
    for size, (times, count) in found.items():
        every = ", ".join(f"{one:.1f}" for one in times)
        print(f"| {size} | {fastest[size]:.1f} s | {every} | {fastest[size] / fastest[low]:.2f} | {count} |")
    lower, upper = (
        (fastest[end] - fastest[start]) / (end - start) * 1000 for start, end in ((low, middle), (middle, high))
    )
    holds = upper <= MOST_TIMES_STEEPER * lower
    verdict = f"at most {MOST_TIMES_STEEPER:g} times steeper: {'holds' if holds else 'MISSED'}"
    print(f"\none pool more: {lower:.0f} ms from {low} to {middle}, {upper:.0f} ms from {middle} to {high}; {verdict}")
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
