"""What AWS left of an environment that was destroyed: told before `up` ends at it, with the command that ends it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.aws import api, leftovers
from infra.aws.api import AwsUnusable
from infra.kubernetes.findings import Finding
from tests.stack_files import REGION, least_on_aws

CLUSTER = "slipway-prod-cluster"
GROUP = f"/aws/eks/{CLUSTER}/cluster"
CONFIG = least_on_aws()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def found(*groups: tuple[str, dict[str, str]]) -> list[Finding]:
    with mock_aws():
        logs = boto3.client("logs", region_name=REGION)
        for name, tags in groups:
            logs.create_log_group(logGroupName=name, tags=tags)
        return list(leftovers.log_group(CLUSTER, CONFIG))


def test_a_log_group_that_eks_made_anew_after_a_destroy_is_refused_with_the_command_that_ends_it() -> None:
    (finding,) = found((GROUP, {"somebody": "else"}))
    assert finding.ok is False
    assert GROUP in finding.seen
    assert finding.fix == f"aws logs delete-log-group --region {REGION} --log-group-name {GROUP}"


def test_the_group_of_an_up_that_was_cut_short_and_one_of_another_cluster_are_not_left_over() -> None:
    assert found((GROUP, {"slipway:stack": "prod"}), (f"{GROUP}-of-another", {})) == []


def test_who_may_not_look_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any, **__: Any) -> Any:
        raise AwsUnusable("refused", "AccessDeniedException")

    monkeypatch.setattr(api, "ask", ask)
    assert found((GROUP, {"somebody": "else"})) == []
