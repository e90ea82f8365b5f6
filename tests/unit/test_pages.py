"""README.md and docs/ against what they speak of: settings, outputs, metrics, commands, figures, links."""

from __future__ import annotations

import argparse
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pydantic import BaseModel

from stacks import cli, outputs
from stacks.config import SECRETS, EnvironmentConfig, load
from training import dataset
from training.contracts import TrainSettings
from training.metrics import CLASSIFICATION, REGRESSION
from training.spec import Data

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
README = (ROOT / "README.md").read_text()
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text()


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models(inner)


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner in models(field.annotation):
            yield from settings(inner, f"{prefix}{name}.")


def keys(section: str) -> Iterator[str]:
    """The keys in the first cell of each row, those that are said behind a former one in full."""
    for cell in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE):
        first = ""
        for key in re.findall(r"`([^`]+)`", cell):
            first = first or key
            yield first.rpartition(".")[0] + key if key.startswith(".") else key


def test_every_setting_that_is_documented_exists() -> None:
    named = {re.sub(r"\[\]|\.POOL\b", "", key) for key in keys(CONFIGURATION.partition("## Outputs")[0])}
    known = {*settings(EnvironmentConfig), *SECRETS}
    assert {"gpu_pools.cpus", "substrate.gpu_nodes.efa"} <= named & known, "the control: both are read"
    assert named - known == set()


def test_the_outputs_that_are_documented_are_those_that_are_exported() -> None:
    parts = {"substrate": ("kind", *outputs._PLACE), "training": outputs._TRAINING}
    parts["serving"] = ("model_name", *outputs._SERVING)
    single = {"contract", "artifact_store.uri", "tracking.uri", "ray.dashboard_url", "cost.per_hour", "monitoring.url"}
    exported = {f"{part}.{key}" for part, inner in parts.items() for key in inner} | single | {"secrets"}
    assert set(keys(CONFIGURATION.partition("## Outputs")[2])) == exported


def test_every_metric_that_a_floor_may_name_is_documented() -> None:
    section = CONFIGURATION.partition("### Metrics")[2].partition("##")[0]
    assert [name for name in (*CLASSIFICATION, *REGRESSION) if f"`{name}`" not in section] == []


def test_the_settings_that_the_readme_shows_are_valid_together() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)]
    shown: dict[str, Any] = {"substrate": {"kind": "local"}}
    for block in blocks:
        shown.update({key.removeprefix("slipway:"): value for key, value in block.items()})
    env = load(shown)
    assert (env.data.target, env.training.entrypoint) == ("churned", "churn.fit:train")


def test_the_training_that_the_readme_shows_learns_from_rows_with_missing_values() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(code, shown)  # noqa: S102  the project's own page
    rows = 60
    columns = {
        "age": [None if n % 7 == 0 else float(n) for n in range(rows)],
        "plan": [None if n % 5 == 0 else ("basic", "plus")[n % 2] for n in range(rows)],
        "churned": ["yes" if n > rows / 2 else "no" for n in range(rows)],
    }
    found = dataset.Findings()
    read = dataset.read(pa.table(columns), Data(uri="x.csv", target="churned"), found)
    everything = np.ones(rows, dtype=bool)
    data = dataset.encoded(read, dataset.describe(read, "binary", ("no", "yes"), everything))
    settings = TrainSettings(task="binary", params={"c": 0.5}, rounds=1, seed=7)
    model = shown["train"](data, settings).model
    assert (model.predict(data.frame) == data.labels).mean() > 0.8
    assert found.problems == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) - targets == set()
    (subparsers,) = (one for one in cli._parser()._actions if isinstance(one, argparse._SubParsersAction))
    named = set(re.findall(r"(?:`|^)slipway ([a-z-]+)", text, re.MULTILINE))
    assert named - set(subparsers.choices) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", page.read_text()):
        target = page.parent / link if link else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, anchor


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    table = README.partition("## What it costs")[2].partition("## More")[0]
    rows = {name: float(value) for name, value in re.findall(r"\| ([^|]+) \| \*\*([0-9.]+)\*\* \|", BENCHMARKS)}
    up, again, preview = rows["nothing to first prediction"], rows["no-op `up`"], rows["`preview`"]
    assert f"| {up:g} s, " in table
    assert f"| {again:g} s, {preview:g} s |" in table
    assert f"| {rows['retrain with release']:g} s, {rows['`destroy`']:g} s |" in table
    served = [line for line in BENCHMARKS.splitlines() if line.startswith("| **slipway, one tensor**")]
    one, many = ([cell.strip(" *") for cell in line.split("|")] for line in served)
    assert f"| {many[6]}, {many[8]} |" in table
    assert f"| {one[7]} |" in table
