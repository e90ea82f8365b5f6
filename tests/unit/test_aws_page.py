"""docs/aws.md against what it describes: prices, variables, commands, names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.aws.instance_types import lookup
from infra.aws.cost import HOURS_IN_A_MONTH, at_rest, per_hour
from infra.aws.settings import AwsConfig
from infra.engine.manifests import DEVICE_PLUGIN, KUBERAY
from infra.kubernetes.secrets import TRACKING_ROLE
from stacks.config import load
from tests.stack_files import committed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "aws.md").read_text()


@pytest.mark.parametrize("stack", ["staging", "prod", "gpu"])
def test_the_table_of_costs_is_what_the_command_says(stack: str) -> None:
    found = re.search(rf"^\| `{stack}` \| ([0-9.]+) \| ([0-9]+) \|", PAGE, re.MULTILINE)
    assert found is not None
    env = load(committed(stack))
    assert isinstance(env.substrate, AwsConfig)
    hour = per_hour(at_rest(env.substrate, env.ground()))
    assert hour is not None
    assert float(found[1]) == pytest.approx(hour, abs=0.005)
    assert int(found[2]) == pytest.approx(hour * HOURS_IN_A_MONTH, abs=1)


def test_prices_of_machines_are_those_of_the_table() -> None:
    assert f"A g6.2xlarge (one L4) is {lookup('g6.2xlarge').usd_per_hour:.2f} an hour" in PAGE
    assert re.search(rf"p5\.48xlarge\s+{lookup('p5.48xlarge').usd_per_hour}", PAGE)


def test_the_way_to_a_served_model_has_three_commands() -> None:
    block = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)[0]
    assert [line.partition("#")[0].strip() for line in block.splitlines()] == [
        "./pulumiw up -s prod",
        "make push STACK=prod",
        "./pulumiw up -s prod",
    ]
    assert re.search(r"^push:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_variables_of_the_workflow_are_those_of_the_page() -> None:
    workflow = (ROOT / ".github" / "workflows" / "preview.yml").read_text()
    used = set(re.findall(r"(?:vars|secrets)\.(\w+)", workflow))
    assert used, "the control: it uses some"
    assert {name for name in used if f"`{name}`" not in PAGE} == set()


def test_versions_and_names_are_those_of_the_code() -> None:
    assert f"kuberay/operator:v{KUBERAY.version}" in PAGE
    assert f"k8s-device-plugin:v{DEVICE_PLUGIN.version}" in PAGE
    assert f"the role `{TRACKING_ROLE}`" in PAGE


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
