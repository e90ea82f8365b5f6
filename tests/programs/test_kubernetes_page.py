"""The stack files that docs/kubernetes.md shows are valid, and ask for what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.seam import Place
from infra.kubernetes import demand
from infra.kubernetes.findings import OFFLINE
from infra.kubernetes.preflight import require
from stacks.config import EnvironmentConfig, load
from stacks.problems import ConfigError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/kubernetes.md").read_text()
SECRETS = ("database_url", "artifacts_credentials")
GIB = 2**30


def shown() -> list[dict[str, Any]]:
    """The settings of each stack file on the page, with a digest where it has dots."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    files = [yaml.safe_load(block.replace("sha256:...", f"sha256:{'0' * 64}"))["config"] for block in blocks]
    return [{key.removeprefix("slipway:"): value for key, value in file.items() if "slipway:" in key} for file in files]


def checked(settings: dict[str, Any], secrets: tuple[str, ...]) -> EnvironmentConfig:
    env = load(settings, dict.fromkeys(secrets, "x"))
    require(demand.needs(Place(project="slipway", stack="prod", root=ROOT, secrets={}), env))
    return env


def test_both_stack_files_are_valid_and_fit_their_own_pools_and_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    smallest, large = shown()
    assert checked(smallest, ()).substrate.model_dump()["volume"] == {"size": "20Gi"}
    assert checked(large, SECRETS).gpu_pools[0].accelerator == "nvidia-l4"
    with pytest.raises(ConfigError, match="MLflow needs one PostgreSQL database"):
        checked(large, ())


def test_the_smallest_asks_for_what_the_page_says() -> None:
    env = load(shown()[0], {})
    needs = demand.needs(Place(project="slipway", stack="prod", root=ROOT, secrets={}), env)
    always = [pod for pod in needs.pods if "training" not in pod.name]
    cpus, memory = sum(pod.cpu * pod.count for pod in always), sum(pod.memory * pod.count for pod in always) / GIB
    assert f"asks for {cpus:g} CPUs and {memory:g} GiB at rest" in PAGE
