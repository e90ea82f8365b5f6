"""What an environment on this machine costs: phases of `up`, no-op `up`, `preview`, retrain, `destroy`, memory.

    .venv/bin/python -m benchmarks.environment [--rounds 3]

Works in a checkout of its own with ports of its own.  Prints medians, and the first prediction against the critical
path: the slowest chain of separately measured starts (Ray, one empty Ray job, Serve with one constant model).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.critical_path import measure_starts
from tests.stacks.project import Project, checkout

MARKS = {
    "first prediction": 30.0,
    "no-op up": 6.0,
    "preview": 4.0,
    "retrain with release": 20.0,
    "destroy": 15.0,
    "memory at rest (MB)": 2000.0,
}


class Stopwatch:
    """Collects durations by name."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.taken[name].append(time.monotonic() - begin)


def one_round(project: Project, watch: Stopwatch, number: int) -> None:
    """Take one environment through its life."""
    events = project.root / f"events-{number}.json"
    begin = time.monotonic()
    project.configure()
    project.up("--event-log", str(events)).must_succeed()
    project.slipway("predict").must_succeed()
    watch.taken["first prediction"].append(time.monotonic() - begin)
    for name, seconds in phases(events).items():
        watch.taken[f"  up: {name}"].append(seconds)
    with watch.time("no-op up"):
        project.up("--expect-no-changes").must_succeed()
    with watch.time("preview"):
        project.pulumi("preview").must_succeed()
    watch.taken["memory at rest (MB)"].append(memory(project))
    project.configure(training={"rounds": 60 + number})
    with watch.time("retrain with release"):
        project.up().must_succeed()
    with watch.time("destroy"):
        project.pulumi("destroy").must_succeed()


def phases(events: Path) -> dict[str, float]:
    """Return seconds per resource from the engine's own events (whole seconds: that is what they carry)."""
    begun: dict[str, int] = {}
    taken: dict[str, float] = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            urn = event.get(kind, {}).get("metadata", {}).get("urn", "")
            if "slipway:local" in urn:
                if kind == "resourcePreEvent":
                    begun[urn] = event["timestamp"]
                elif urn in begun:
                    taken[urn.rsplit("::", 1)[1]] = float(event["timestamp"] - begun[urn])
    return {name: seconds for name, seconds in taken.items() if seconds > 0}


def memory(project: Project) -> float:
    """Return the memory (PSS, MB) of every process of the environment, shared pages counted once."""
    total = 0
    for pid in project.processes():
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**20


def table(watch: Stopwatch, critical: float) -> Iterator[str]:
    """Yield the lines of the result as a Markdown table."""
    yield "| what | median | all | mark | |"
    yield "|---|---|---|---|---|"
    for name, values in watch.taken.items():
        median = statistics.median(values)
        mark = MARKS.get(name)
        verdict = "" if mark is None else ("holds" if median <= mark else f"missed by {median - mark:.1f}")
        yield f"| {name} | {median:.1f} | {', '.join(f'{value:.1f}' for value in values)} | {mark or ''} | {verdict} |"
    ratio = statistics.median(watch.taken["first prediction"]) / critical
    yield f"| first prediction / critical path | {ratio:.2f} | | 1.5 | {'holds' if ratio <= 1.5 else 'missed'} |"  # noqa: PLR2004


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="environments to bring up (default: 3)")
    options = parser.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        project = checkout(Path(folder), "bench")
        project.pulumi("preview").must_succeed()  # creates the stack, so that no round pays for it
        starts = [measure_starts(project) for _ in range(options.rounds)]
        try:
            for number in range(options.rounds):
                one_round(project, watch, number)
        finally:
            project.pulumi("destroy", "--refresh")
            subprocess.run(["rm", "-rf", str(project.home)], check=False)
    for name in starts[0]:
        print(f"alone: {name}: {statistics.median(start[name] for start in starts):.1f} s")
    chain = ("ray", "empty job", "serve constant model")
    critical = statistics.median(sum(start[name] for name in chain) for start in starts)
    print(f"critical path ({' -> '.join(chain)}): {critical:.1f} s\n")
    print("\n".join(table(watch, critical)))


if __name__ == "__main__":
    main()
