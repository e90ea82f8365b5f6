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
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.critical_path import measure_starts
from serving.registry import Registry
from tests.stacks.asking import version_that_answers
from tests.stacks.project import Answer, Project, call, checkout, wait_until

MARKS = {
    "first prediction": 30.0,
    "no-op up": 6.0,
    "preview": 4.0,
    "retrain with release": 20.0,
    "champion moved in the registry, until it answers": 5.0,
    "destroy": 15.0,
    "memory at rest (MB)": 2000.0,
}
_NOTHING_S = 0.2
"""Folders are not worth a line."""


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
    phases = up_with_phases(project, events)
    watch.taken["up"].append(time.monotonic() - begin)
    project.slipway("predict").must_succeed()
    watch.taken["first prediction"].append(time.monotonic() - begin)
    for name, (begun, ended) in phases.items():
        if ended - begun < _NOTHING_S:
            continue
        watch.taken[f"  {name}: seconds"].append(ended - begun)
        watch.taken[f"  {name}: done after"].append(ended - begin)
    with watch.time("no-op up"):
        project.up("--expect-no-changes").must_succeed()
    with watch.time("preview"):
        project.pulumi("preview").must_succeed()
    watch.taken["memory at rest (MB)"].append(memory(project))
    project.configure(training={"rounds": 60 + number})
    with watch.time("retrain with release"):
        project.up().must_succeed()
    watch.taken["champion moved in the registry, until it answers"].append(followed(project))
    with watch.time("destroy"):
        project.pulumi("destroy").must_succeed()


def followed(project: Project) -> float:
    """Return how long it takes until a version that a person makes champion answers.

    The version is new, so that it has to be loaded: the first one, registered once more.
    """
    outputs = project.outputs()
    tracking, url, name = outputs["tracking"]["uri"], outputs["serving"]["url"], outputs["serving"]["model_name"]
    models = f"{tracking}/api/2.0/mlflow"
    first = call(f"{models}/model-versions/get?name={name}&version=1")["model_version"]
    source = first["source"]
    registered = {
        "name": name,
        "source": source,
        "run_id": first["run_id"],
        "model_id": source.removeprefix("models:/"),
    }
    version = str(call(f"{models}/model-versions/create", registered)["model_version"]["version"])
    example = Registry(tracking).read(Registry(tracking).artifact_root(name, version), "serving_input_example.json")
    if example is None:
        raise RuntimeError(f"version {version} of model {name} is stored without an example")
    payload = json.loads(example)
    begin = time.monotonic()
    call(f"{models}/registered-models/alias", {"name": name, "alias": "champion", "version": version})
    wait_until(lambda: version_that_answers(url, payload) == version, f"version {version} answers")
    return time.monotonic() - begin


def up_with_phases(project: Project, events: Path) -> dict[str, tuple[float, float]]:
    """Run `up`; returns when each resource of the local provider was begun and done, by the clock of the reader.

    The engine's own event log is what is read; the times that it carries are whole seconds.
    """
    up = project.start("up", "--event-log", str(events), PULUMI_DEBUG_COMMANDS="true")
    finished: list[Answer] = []
    waiting = threading.Thread(target=lambda: finished.append(project.finish(up)))
    waiting.start()
    begun: dict[str, float] = {}
    phases: dict[str, tuple[float, float]] = {}
    read = 0
    while waiting.is_alive() or read < len(_lines(events)):
        new, now = _lines(events)[read:], time.monotonic()
        for line in new:
            kind, name = _event(line)
            if kind == "resourcePreEvent":
                begun[name] = now
            elif kind == "resOutputsEvent" and name in begun:
                phases[name] = (begun[name], now)
        read += len(new)
        time.sleep(0.02)
    finished[0].must_succeed()
    if not phases:
        raise RuntimeError(f"the engine's event log {events} names no resource of the local provider")
    return phases


def _lines(events: Path) -> list[str]:
    """Return the whole lines that were written so far."""
    return events.read_text().split("\n")[:-1] if events.exists() else []


def _event(line: str) -> tuple[str, str]:
    """Return the kind of an event and the name of the local resource that it is about; empty for any other."""
    event = json.loads(line)
    for kind in ("resourcePreEvent", "resOutputsEvent"):
        urn: str = event.get(kind, {}).get("metadata", {}).get("urn", "")
        if "slipway:local" in urn:
            return kind, urn.rsplit("::", 1)[1]
    return "", ""


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
