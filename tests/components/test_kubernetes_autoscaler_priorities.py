"""Which node group the autoscaler takes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from components.kubernetes.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from tests.components.kubernetes_blocks import on_cluster
from tests.mock_engine import Engine

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
PLAIN = ClusterAutoscalerArgs(image=f"registry.example/autoscaler@sha256:{'a' * 64}", discovery="asg:tag=owned")
PRIORITIES = {10: [".*train-ab12cd.*"], 50: [".*train-34ef56.*", ".*eval-78ab90.*"]}


def up(args: ClusterAutoscalerArgs) -> Engine:
    return on_cluster(lambda opts: ClusterAutoscaler("autoscaler", args, opts))


def command(engine: Engine) -> list[str]:
    (container,) = engine.one("kubernetes:apps/v1:Deployment").inputs["spec"]["template"]["spec"]["containers"]
    found: list[str] = container["command"]
    return found


@pytest.fixture(scope="module")
def prioritised() -> Engine:
    return up(replace(PLAIN, priorities=PRIORITIES))


def test_priorities_come_first_and_waste_decides_among_equals(prioritised: Engine) -> None:
    assert "--expander=priority,least-waste" in command(prioritised)
    found = prioritised.one(CONFIG_MAP).inputs
    assert found["metadata"]["name"] == "cluster-autoscaler-priority-expander", "it looks for this name only"
    assert found["metadata"]["namespace"] == "cluster-autoscaler"
    assert yaml.safe_load(found["data"]["priorities"]) == PRIORITIES


def rules(engine: Engine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.one(ROLE).inputs["rules"]
    return found


def test_it_may_read_its_priorities_and_change_nothing_in_them(prioritised: Engine) -> None:
    named = [rule for rule in rules(prioritised) if "priority-expander" in str(rule.get("resourceNames"))]
    assert [rule["verbs"] for rule in named] == [["get"]]


def test_without_priorities_there_is_no_table_and_no_right_to_one() -> None:
    engine = up(PLAIN)
    assert "--expander=least-waste" in command(engine)
    assert engine.all(CONFIG_MAP) == []
    assert not [rule for rule in rules(engine) if "priority-expander" in str(rule)]


def test_the_table_is_there_before_the_autoscaler_starts(prioritised: Engine) -> None:
    assert "autoscaler-priorities" in prioritised.one("kubernetes:apps/v1:Deployment").dependencies
