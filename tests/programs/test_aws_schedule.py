"""Scheduled retraining on AWS: who looks for newer data may read them, and is there only while there is a date."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest

from tests.mock_engine import Engine
from tests.programs import aws_program
from tests.programs.aws_program import deployed, settings

POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"


@pytest.fixture(scope="module")
def engine() -> Engine:
    def scheduled(stack: str, **substrate: Any) -> dict[str, Any]:
        return {**settings(stack, **substrate), "training": {"schedule": "0 3 * * *"}}

    with mock.patch.object(aws_program, "settings", scheduled):
        return deployed("staging")[0]


def test_who_looks_for_newer_data_may_read_them_and_nothing_else(engine: Engine) -> None:
    accounts = {item.inputs["serviceAccount"] for item in engine.all(ASSOCIATION)}
    assert "schedule" in accounts
    policies = {item.name: item.inputs["policy"] for item in engine.all("aws:iam/rolePolicy:RolePolicy")}
    allowed = json.loads(policies["identity-schedule-policy"])["Statement"]
    actions = {action for statement in allowed for action in statement["Action"]}
    assert "s3:GetObject" in actions
    assert not any("Put" in action or "Delete" in action for action in actions), actions
    objects = [statement["Resource"] for statement in allowed if "s3:GetObject" in statement["Action"]]
    assert all(resource.endswith("/data/*") for resources in objects for resource in resources), objects


def test_its_pods_reach_the_agent_that_says_who_they_are(engine: Engine) -> None:
    policy = next(item.inputs for item in engine.all(POLICY) if item.name == "training-schedule-network")
    reached = [rule["to"][0]["ipBlock"]["cidr"] for rule in policy["spec"]["egress"]]
    assert "169.254.170.23/32" in reached


def test_without_a_date_there_is_nobody() -> None:
    accounts = {item.inputs["serviceAccount"] for item in deployed("staging")[0].all(ASSOCIATION)}
    assert "schedule" not in accounts
    assert "training" in accounts, "the control: the others are there"
