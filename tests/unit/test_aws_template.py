"""Values of the committed stack files that only documentation uses never reach an account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.seam import Place
from infra.aws import api, preflight, template
from infra.aws.api import AwsUnusable
from infra.aws.preflight import PreflightFailed
from infra.aws.settings import AwsConfig
from stacks.config import EnvironmentConfig, load
from tests.stack_files import committed

DIGEST = "sha256:" + "0123456789abcdef" * 4
MINE = "999988887777"


def of_mine(**substrate: Any) -> EnvironmentConfig:
    """The environment of Pulumi.prod.yaml with everything set that docs/aws.md asks for."""
    settings = committed("prod")
    wanted = settings["substrate"]
    wanted["account"] = MINE
    del wanted["image"]
    wanted["operator_images"] = {
        name: f"{image.partition('@')[0]}@{DIGEST}" for name, image in wanted["operator_images"].items()
    }
    wanted["cluster"] = {
        **wanted["cluster"],
        "public_cidrs": ["9.9.9.9/32"],
        "admins": [f"arn:aws:iam::{MINE}:role/team/deployer"],
    }
    wanted["github"]["repository"] = "mine/slipway"
    settings["budget"]["notify"] = ["me@mine.io"]
    return load({**settings, "substrate": {**wanted, **substrate}})


def found(env: EnvironmentConfig) -> Mapping[str, str]:
    assert isinstance(env.substrate, AwsConfig)
    return {one.name.removeprefix("slipway:"): one.fix for one in template.left(env.substrate, env.budget)}


def test_every_value_of_an_example_is_found_with_what_to_write_instead() -> None:
    left = found(load(committed("prod")))
    assert set(left) == {
        "substrate.account",
        "substrate.image",
        "substrate.operator_images.kuberay",
        "substrate.operator_images.device_plugin",
        "substrate.operator_images.autoscaler",
        "substrate.cluster.public_cidrs",
        "substrate.cluster.admins",
        "substrate.github.repository",
        "budget.notify",
    }
    assert "make push" in left["substrate.image"]
    assert "quay.io/kuberay/operator:TAG" in left["substrate.operator_images.kuberay"]
    assert "could deploy" in left["substrate.github.repository"]


@pytest.mark.parametrize("stack", ["staging", "gpu"])
def test_the_other_examples_hold_some_too(stack: str) -> None:
    assert "substrate.operator_images.kuberay" in found(load(committed(stack)))


def test_a_stack_file_of_ones_own_holds_none() -> None:
    assert found(of_mine()) == {}


def test_an_endpoint_that_is_not_of_aws_may_have_them() -> None:
    settings = committed("prod")
    settings["substrate"]["endpoint_url"] = "http://127.0.0.1:5000"
    assert found(load(settings)) == {}


def asked_as(monkeypatch: pytest.MonkeyPatch, arn: str) -> None:
    """Let AWS know nothing but who asks."""

    def ask(_: Any, operation: str, **__: Any) -> dict[str, Any]:
        if operation != "get_caller_identity":
            raise AwsUnusable("no", "AccessDenied")
        return {"Arn": arn, "Account": MINE}

    monkeypatch.setattr(api, "client", lambda *_: None)
    monkeypatch.setattr(api, "ask", ask)
    monkeypatch.delenv("SLIPWAY_OFFLINE", raising=False)


def place(folder: Path) -> Place:
    return Place(project="slipway", stack="prod", root=folder)


def test_they_are_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked_as(monkeypatch, f"arn:aws:iam::{MINE}:user/me")
    settings = committed("prod")
    settings["substrate"]["account"] = MINE
    with pytest.raises(PreflightFailed, match=r"example/slipway is what the example says.*\n *fix: your own"):
        preflight.require(place(tmp_path), load(settings))
    preflight.require(place(tmp_path), of_mine())


@pytest.mark.parametrize(
    ("arn", "enters"),
    [
        (f"arn:aws:sts::{MINE}:assumed-role/deployer/session", True),
        (f"arn:aws:sts::{MINE}:assumed-role/slipway-prod-preview/GitHubActions", True),
        (f"arn:aws:sts::{MINE}:assumed-role/other/session", False),
        (f"arn:aws:iam::{MINE}:user/deployer", False),
        (f"arn:aws:iam::{MINE}:root", False),
    ],
)
def test_who_could_not_enter_the_cluster_is_told_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arn: str, *, enters: bool
) -> None:
    asked_as(monkeypatch, arn)
    warned = {one.name: one for one in preflight.examine(place(tmp_path), of_mine())}
    assert ("administrators" not in warned) is enters
    if not enters:
        assert warned["administrators"].ok is None
        assert "cluster.admins" in warned["administrators"].seen
