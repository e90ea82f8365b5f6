"""The stack file: what is accepted, and that every problem is told at once with its fix."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from stacks.config import EnvironmentConfig, json_schema, load
from stacks.problems import ConfigError

MINIMAL: dict[str, Any] = {"substrate": {"kind": "local"}, "data": {"uri": "sklearn:iris", "target": "target"}}


def problems_of(settings: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(settings)
    return [str(problem) for problem in caught.value.problems]


def test_the_least_that_must_be_said_is_where_and_which_data() -> None:
    config = load(MINIMAL)
    assert config.training.model_name == "default"
    assert config.serving.replicas.max == 1


def test_a_config_cannot_be_changed_after_loading() -> None:
    config = load(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.training.seed = 3


def test_zero_and_false_are_values_and_not_absence() -> None:
    config = load(
        {**MINIMAL, "training": {"seed": 0, "wait": False}, "release": {"wait": "started"}, "gate": {"tolerance": 0}}
    )
    assert config.training.seed == 0
    assert config.training.wait is False
    assert config.gate.tolerance == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"trainin": {}}, ["slipway:trainin", "not a known key", "did you mean training?"]),
        ({"data": {"uri": "x", "target": "t", "trget": "y"}}, ["slipway:data.trget", "did you mean target?"]),
        ({"data": {"uri": "x"}}, ["slipway:data.target", "is required", "config set --path slipway:data.target"]),
        ({"tracking": {"port": "5000"}}, ["slipway:tracking.port", '"5000"', "without quotes"]),
        ({"tracking": {"port": 80}}, ["slipway:tracking.port", "80", "greater than or equal to 1024"]),
        ({"data": {"uri": "x", "target": "t", "version": 1.3}}, ["slipway:data.version", "1.3", "quote it"]),
        ({"training": {"test_fraction": 1}}, ["slipway:training.test_fraction", "less than 1"]),
        ({"training": {"entrypoint": "no-colon"}}, ["slipway:training.entrypoint", "no-colon"]),
        ({"release": {"strategy": "wishful"}}, ["slipway:release.strategy", "wishful", "rolling"]),
        ({"gate": {"on_failure": "ignore"}}, ["slipway:gate.on_failure", "keep-champion", "fail"]),
        ({"substrate": {"kind": "moon"}}, ["slipway:substrate.kind", "moon", "local"]),
        ({"serving": {"replicas": {"min": 3, "max": 1}}}, ["slipway:serving.replicas", "above max", "3 or more"]),
        ({"gpu_pools": [{"name": "a100"}]}, ["slipway:gpu_pools", "a100", "substrate local has no GPU node pools"]),
        ({"training": {"wait": False}}, ["slipway:release.wait", "cannot wait", "started"]),
        ({"artifacts": {"endpoint": "http://x"}}, ["slipway:artifacts.endpoint", "s3://"]),
        ({"serving": {"port": 5000}, "tracking": {"port": 5000}}, ["slipway:tracking.port", "slipway:serving.port"]),
    ],
)
def test_a_wrong_setting_is_named_with_rule_and_fix(settings: dict[str, Any], told: list[str]) -> None:
    (message,) = problems_of({**MINIMAL, **settings})
    for text in told:
        assert text in message, f"the message must contain {text!r}"
    assert "fix: " in message


def test_all_problems_are_reported_together() -> None:
    found = problems_of({"substrate": {"kind": "local"}, "data": {}, "tracking": {"port": "x"}, "whim": 1})
    assert len(found) == 4, f"uri, target, port and whim, but got {found}"


def test_ports_that_differ_or_are_derived_do_not_clash() -> None:
    load({**MINIMAL, "serving": {"port": 5001}, "tracking": {"port": 5000}})
    load({**MINIMAL, "serving": {}, "tracking": {}})


def test_the_schema_for_editors_knows_every_setting() -> None:
    properties = json_schema()["properties"]["config"]["properties"]
    assert set(properties) == {f"slipway:{name}" for name in EnvironmentConfig.model_fields}


def setting_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        options = typing.get_args(field.annotation) if isinstance(field.annotation, types.UnionType) else ()
        nested = [
            option
            for option in (field.annotation, *options)
            if isinstance(option, type) and issubclass(option, BaseModel)
        ]
        for one in nested:
            yield from setting_paths(one, f"{prefix}{name}.")
        if not nested:
            yield f"{prefix}{name}"


def test_the_walk_over_settings_goes_into_every_substrate() -> None:
    paths = set(setting_paths(EnvironmentConfig))
    assert {"substrate.port_block", "substrate.context", "substrate.gateway.tls.section", "substrate.vpc.id"} <= paths


def test_every_setting_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    missing = [path for path in setting_paths(EnvironmentConfig) if f"| `{path}` |" not in text]
    assert missing == [], "each setting has a row in docs/configuration.md"
