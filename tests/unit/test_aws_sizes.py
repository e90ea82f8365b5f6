"""How many nodes there are, asked of EKS: every group, and what it means that nobody can be asked."""

from __future__ import annotations

from typing import Any

import pytest

from components.aws.node_group import Size
from infra.aws import api, sizes
from infra.aws.api import AwsUnusable
from tests.stack_files import least_on_aws

CONFIG = least_on_aws()
CLUSTER = "slipway-prod-cluster"
ABSENT = AwsUnusable("refused", "ResourceNotFoundException")
GROUPS = {
    "system": {"minSize": 2, "maxSize": 4, "desiredSize": 3},
    "l4": {"minSize": 0, "maxSize": 2, "desiredSize": 1},
}


class Eks:
    """EKS, two groups to a page of one; `refused` by what is asked, or by the name of a group."""

    def __init__(self, **refused: AwsUnusable) -> None:
        self._refused = refused

    def ask(self, _: Any, operation: str, **given: Any) -> dict[str, Any]:
        name = given.get("nodegroupName", "")
        for one in (operation, name):
            if one in self._refused:
                raise self._refused[one]
        assert given["clusterName"] == CLUSTER
        if operation == "describe_nodegroup":
            return {"nodegroup": {"scalingConfig": GROUPS[name]}}
        if "nextToken" in given:
            return {"nodegroups": ["l4"]}
        return {"nodegroups": ["system"], "nextToken": "more"}


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_OFFLINE", raising=False)
    monkeypatch.setattr(api, "client", lambda *_: None)


def asked(monkeypatch: pytest.MonkeyPatch, **refused: AwsUnusable) -> Any:
    monkeypatch.setattr(api, "ask", Eks(**refused).ask)
    return sizes.now(CONFIG, CLUSTER)


def test_every_group_of_every_page_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch) == {"system": Size(min=2, max=4, desired=3), "l4": Size(min=0, max=2, desired=1)}


def test_a_cluster_that_is_not_there_has_no_groups_and_one_that_goes_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asked(monkeypatch, list_nodegroups=ABSENT) == {}
    assert asked(monkeypatch, l4=ABSENT) == {"system": Size(min=2, max=4, desired=3)}


def test_who_may_not_look_or_is_offline_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = AwsUnusable("refused", "AccessDeniedException")
    assert asked(monkeypatch, list_nodegroups=denied) is None
    assert asked(monkeypatch, describe_nodegroup=denied) is None
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    assert asked(monkeypatch) is None
