"""Serving against bare FastAPI + uvicorn and ``mlflow models serve``: one row of 30 features per request.

``python -m benchmarks.serving [--seconds 5] [--runs 3] [--connections 1 32]`` starts everything itself, measures the
servers in turn, and prints medians with ratios and the memory of the environment at rest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import Figures
from tests.serving.environment import ROOT, Environment, Process, call, running, session_members, wait_for
from tests.serving.registering import register
from tests.serving.small_models import features, tabular

_WIDTH, _ROUNDS, _NAME = 30, 50, "default"
_ROW = [round(0.1 * position - 1.0, 3) for position in range(_WIDTH)]
_INFER = {"inputs": [{"name": "rows", "shape": [1, _WIDTH], "datatype": "FP64", "data": _ROW}]}
_COLUMNS = [
    {"name": f"x{position}", "shape": [1], "datatype": "FP64", "data": [value]} for position, value in enumerate(_ROW)
]
_SPLIT = {"dataframe_split": {"columns": [f"x{position}" for position in range(_WIDTH)], "data": [_ROW]}}


@dataclass(frozen=True)
class Target:
    """Something to measure."""

    name: str
    url: str
    body: Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder, running(Path(folder)) as environment:
        with comparisons(Path(folder), environment) as targets:
            measured = {(target.name, connections): [] for connections in options.connections for target in targets}  # type: dict[tuple[str, int], list[Figures]]
            for _ in range(options.runs):
                for connections in options.connections:
                    for target in targets:
                        figures = load(target, connections, options.seconds)
                        measured[target.name, connections].append(figures)
            report(targets, options.connections, measured)
        print(memory(environment))


@contextlib.contextmanager
def comparisons(folder: Path, environment: Environment) -> Iterator[list[Target]]:
    """The three servers with the same model, answering."""
    model = tabular(features(width=_WIDTH), rounds=_ROUNDS)
    (folder / "model").mkdir()
    model.write(folder / "model")
    version = register(environment.tracking_uri, _NAME, model)
    environment.serve(_NAME, version)
    ports = environment.ports
    fastapi, mlflow = ports.base + 30, ports.base + 31
    started = [
        Process(
            [sys.executable, "-m", "uvicorn", "benchmarks.bare_fastapi:app", "--port", str(fastapi), "--no-access-log"],
            {"MODEL": str(folder / "model"), "OMP_NUM_THREADS": "1"}, folder / "fastapi.log", ROOT,
        ),
        Process(
            [str(Path(sys.executable).parent / "mlflow"), "models", "serve", "-m", f"models:/{_NAME}/{version}",
             "--env-manager", "local", "--port", str(mlflow)],
            {"MLFLOW_TRACKING_URI": environment.tracking_uri, "PYTHONPATH": str(ROOT),
             "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, folder / "mlflow.log", folder,
        ),
    ]  # fmt: skip
    infer = f"/v2/models/{_NAME}/infer"
    targets = [
        Target("bare FastAPI", f"http://127.0.0.1:{fastapi}{infer}", _INFER),
        Target("slipway", environment.url + infer, _INFER),
        Target("slipway, a tensor per column", environment.url + infer, {"inputs": _COLUMNS}),
        Target("slipway, /invocations", f"{environment.url}/invocations", _SPLIT),
        Target("mlflow models serve", f"http://127.0.0.1:{mlflow}/invocations", _SPLIT),
    ]
    try:
        for target in targets:
            wait_for(target.name, _answers(target), 120)
        yield targets
    finally:
        for process in started:
            process.stop()


def _answers(target: Target) -> Callable[[], bool]:
    return lambda: call(target.url, method="POST", body=target.body)[0] == HTTPStatus.OK


def load(target: Target, connections: int, seconds: float) -> Figures:
    """Measure a target from another process.

    Raises:
        RuntimeError: a request failed.
    """
    command = [sys.executable, "-m", "benchmarks.load", target.url, str(connections), str(seconds)]
    done = subprocess.run(command, input=json.dumps(target.body).encode(), capture_output=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{target.name}: {done.stderr.decode()}")
    figures = Figures(**json.loads(done.stdout))
    if figures.failures:
        raise RuntimeError(f"{target.name}: {figures.failures} requests failed")
    return figures


def report(targets: list[Target], connections: list[int], measured: dict[tuple[str, int], list[Figures]]) -> None:
    """Print medians over the runs, and ratios within the same number of connections."""
    print(f"{'':30} {'conn':>5} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'req/s vs FastAPI':>17}"
          f" {'p50 vs FastAPI':>15} {'req/s vs mlflow':>16}")  # fmt: skip
    for count in connections:
        medians = {target.name: median(measured[target.name, count]) for target in targets}
        bare, mlflow = medians["bare FastAPI"], medians["mlflow models serve"]
        for name, m in medians.items():
            print(f"{name:30} {count:5} {m.requests_per_s:8.0f} {m.p50_ms:8.2f} {m.p99_ms:8.1f}"
                  f" {m.requests_per_s / bare.requests_per_s:16.2f}x {m.p50_ms / bare.p50_ms:14.2f}x"
                  f" {m.requests_per_s / mlflow.requests_per_s:15.1f}x")  # fmt: skip


def median(runs: list[Figures]) -> Figures:
    """Return the median of each figure on its own."""
    return Figures(
        requests_per_s=statistics.median(run.requests_per_s for run in runs),
        p50_ms=statistics.median(run.p50_ms for run in runs),
        p99_ms=statistics.median(run.p99_ms for run in runs),
        failures=0,
    )


def memory(environment: Environment) -> str:
    """Return the memory (PSS, counted once) of every process of the environment, largest first."""
    sizes: list[tuple[int, str]] = []
    for process in (environment.tracking, environment.ray):
        assert process is not None
        for pid in session_members(process.pid):
            with contextlib.suppress(psutil.Error):
                found = psutil.Process(pid)
                sizes.append((found.memory_full_info().pss, " ".join(found.cmdline())[:70]))
    lines = [f"{size / 2**20:8.0f} MiB  {name}" for size, name in sorted(sizes, reverse=True)[:12]]
    total = sum(size for size, _ in sizes) / 2**30
    return "\n".join([f"memory at rest: {total:.2f} GiB in {len(sizes)} processes", *lines])


if __name__ == "__main__":
    main()
