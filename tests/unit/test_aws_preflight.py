"""What is asked of an AWS account before anything is made, against moto: each refusal with its fix, all at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.ray_cluster import GpuPool
from components.seam import Place
from infra.aws import api, kubeconfig, preflight, quotas
from infra.aws.api import AwsUnusable
from infra.aws.preflight import PreflightFailed
from infra.aws.settings import GpuNodeSettings
from infra.aws.versions import STANDARD_UNTIL
from infra.kubernetes.findings import Finding
from stacks.config import load
from stacks.ground import GROUND
from tests.stack_files import ACCOUNT, REGION, committed, least_on_aws

ROOT = Path(__file__).parents[2]
GPU = GpuPool(name="l4", gpus=1, cpus=6, memory_gib=26, max=4)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("SLIPWAY_OFFLINE", raising=False)


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day on which every version of the table is far from its end."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Clock:
            return cls(2026, 9, 1, tzinfo=tz)

    monkeypatch.setattr(preflight, "datetime", Clock)


def environment(*pools: GpuPool, **changes: Any) -> Any:
    return SimpleNamespace(substrate=least_on_aws(**changes), gpu_pools=pools, budget=None)


def place(folder: Path) -> Place:
    return Place(project="slipway", stack="prod", root=folder)


def examined(folder: Path, env: Any) -> Mapping[str, Finding]:
    return {finding.name: finding for finding in preflight.examine(place(folder), env)}


def with_quota(monkeypatch: pytest.MonkeyPatch, **values: float) -> None:
    """Answer for the quotas, which moto knows only of other services."""
    real = api.ask

    def ask(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation != "get_service_quota":
            return real(client, operation, **parameters)
        code = parameters["QuotaCode"].replace("-", "_")
        if code not in values:
            raise AwsUnusable("get_service_quota was refused: AccessDeniedException", "AccessDeniedException")
        return {"Quota": {"Value": values[code]}}

    monkeypatch.setattr(api, "ask", ask)


@pytest.mark.usefixtures("aws", "today")
def test_an_account_that_can_take_the_environment_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quota(monkeypatch, L_F678F1CE=5, L_0263D0A3=5)
    found = examined(tmp_path, environment())
    assert all(finding.ok for finding in found.values()), found
    assert list(found) == ["credentials", "account", "Kubernetes version", "zones", "VPCs", "Elastic IPs", "cluster"]
    assert "slipway-prod-cluster is not made yet" in found["cluster"].seen
    assert preflight.require(place(tmp_path), environment()) == []


@pytest.mark.usefixtures("aws", "today")
def test_credentials_of_another_account_are_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(PreflightFailed, match=f"account: {ACCOUNT}, and the stack file says 999999999999") as failed:
        preflight.require(place(tmp_path), environment(account="999999999999"))
    assert "AWS_PROFILE" in str(failed.value)
    assert "nothing was changed" in str(failed.value)


def test_no_credentials_are_one_finding_and_nothing_more_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = examined(tmp_path, environment())
    assert list(found) == ["credentials", "Kubernetes version"]
    assert found["credentials"].ok is False
    assert "SLIPWAY_OFFLINE=1" in found["credentials"].fix


@pytest.mark.parametrize(
    ("code", "name", "fix"),
    [
        ("ExpiredToken", "credentials", "log in again"),
        ("InvalidClientTokenId", "region", "enable-region"),
        ("AccessDenied", "credentials", "AWS_PROFILE"),
    ],
)
def test_what_sts_refuses_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str, fix: str
) -> None:
    def ask(client: Any, operation: str, **_: Any) -> dict[str, Any]:
        assert operation == "get_caller_identity"
        if client.meta.region_name == "us-east-1":
            return {"Account": ACCOUNT, "Arn": "arn:aws:iam::123456789012:user/a"}
        raise AwsUnusable(f"refused: {code}", code)

    monkeypatch.setattr(api, "ask", ask)
    found = examined(tmp_path, environment(region="me-central-1", zones=["me-central-1a", "me-central-1b"]))
    assert found[name].ok is False
    assert fix in found[name].fix


@pytest.mark.usefixtures("aws")
def test_zones_that_are_not_there_and_zones_without_eks_are_told(tmp_path: Path) -> None:
    found = examined(tmp_path, environment(zones=["us-east-1a", "us-east-1z"]))
    assert found["zones"].ok is False
    assert "us-east-1z is not there" in found["zones"].seen
    ids = {
        zone["ZoneId"]: zone["ZoneName"]
        for zone in boto3.client("ec2", region_name=REGION).describe_availability_zones()["AvailabilityZones"]
    }
    other = "us-east-1a" if ids["use1-az3"] != "us-east-1a" else "us-east-1b"
    found = examined(tmp_path, environment(zones=[other, ids["use1-az3"]]))
    assert f"{ids['use1-az3']} is use1-az3, where EKS takes no subnets" in found["zones"].seen


@pytest.mark.parametrize(("vcpus", "ok"), [(0, False), (7, False), (8, None), (31, None), (32, True)])
@pytest.mark.usefixtures("aws", "today")
def test_quotas_are_held_against_one_node_and_against_the_most(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vcpus: float,
    ok: bool | None,  # noqa: FBT001
) -> None:
    """A g6.2xlarge has 8 vCPUs: none can start below that, and four of them need 32."""
    with_quota(monkeypatch, L_DB2E81BA=vcpus)
    env = environment(GPU, gpu_nodes={"l4": {"instance_types": ["g6.2xlarge"]}})
    finding = examined(tmp_path, env)["quota Running On-Demand G and VT instances"]
    assert finding.ok is ok, finding
    if ok is not True:
        assert "--quota-code L-DB2E81BA --desired-value 32" in finding.fix
    if ok is False:
        with pytest.raises(PreflightFailed, match="one node of the pool l4 has 8"):
            preflight.require(place(tmp_path), env)


@pytest.mark.usefixtures("aws", "today")
def test_a_quota_that_cannot_be_read_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quota(monkeypatch)
    env = environment(GPU, gpu_nodes={"l4": {"instance_types": ["g6.2xlarge"]}})
    warnings = {warning.name: warning for warning in preflight.require(place(tmp_path), env)}
    assert list(warnings) == ["quota Running On-Demand G and VT instances", "VPCs", "Elastic IPs"]
    for warning in warnings.values():
        assert warning.ok is None
        assert "servicequotas:GetServiceQuota" in warning.fix


def test_each_family_counts_against_its_own_quotas() -> None:
    pools = [
        GPU,
        GpuPool(name="spot", gpus=1, max=2, spot=True),
        GpuPool(name="fallback", gpus=8, max=1, spot=True),
        GpuPool(name="block", gpus=8, max=9),
        GpuPool(name="h100", gpus=8, max=1),
    ]
    nodes = {
        "l4": ["g6.2xlarge"],
        "spot": ["g6.xlarge", "g6.4xlarge"],
        "fallback": ["p4d.24xlarge"],
        "block": ["p5.48xlarge"],
        "h100": ["p5.48xlarge"],
    }
    more: dict[str, dict[str, Any]] = {
        "fallback": {"on_demand_fallback": True},
        "block": {"capacity_block": "cr-01234567"},
    }
    settings = {
        name: GpuNodeSettings.model_validate({"instance_types": tuple(types), **more.get(name, {})})
        for name, types in nodes.items()
    }
    found = {need.quota.code: (need.one_node, need.at_most, need.pools) for need in quotas.needs(pools, settings)}
    assert found == {
        "L-DB2E81BA": (8, 32, ("l4",)),
        "L-3819A6DF": (16, 32, ("spot",)),
        "L-7212CCBC": (96, 96, ("fallback",)),
        "L-417A185B": (192, 288, ("fallback", "h100")),
    }
    assert quotas.quotas_of("p6-b200.48xlarge") == (quotas.FAMILIES["p"][0], None), "no spot quota is known for P6"
    assert quotas.quotas_of("m7i.large") is None


@pytest.mark.parametrize("version", sorted(STANDARD_UNTIL))
def test_a_version_is_refused_after_its_end_and_told_of_before(version: str) -> None:
    config = environment(cluster={"version": version}).substrate
    until = STANDARD_UNTIL[version]
    (before,) = preflight._version(config, date(2026, 1, 1))
    (soon,) = preflight._version(config, until)
    (after,) = preflight._version(config, date.fromordinal(until.toordinal() + 1))
    assert [before.ok, soon.ok, after.ok] == [True, None, False]
    assert f"on {until}" in after.seen
    assert "cluster.version to 1.36" in after.fix


@pytest.mark.usefixtures("aws", "today")
def test_the_kubeconfig_follows_the_cluster(tmp_path: Path) -> None:
    path = tmp_path / kubeconfig.relative("prod")
    eks = boto3.client("eks", region_name=REGION)
    eks.create_cluster(name="slipway-prod-cluster", roleArn=f"arn:aws:iam::{ACCOUNT}:role/eks", resourcesVpcConfig={})
    assert "is ACTIVE" in examined(tmp_path, environment())["cluster"].seen
    assert json.loads(path.read_text())["current-context"] == "slipway-prod-cluster"
    eks.delete_cluster(name="slipway-prod-cluster")
    examined(tmp_path, environment())
    assert not path.exists(), "what leads nowhere is not left"


@pytest.mark.usefixtures("today")
def test_a_cluster_that_is_being_deleted_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: None
) -> None:
    state = api.ClusterState(name="c", status="DELETING", version="1.35", endpoint="https://x", certificate="Q0E=")
    monkeypatch.setattr(api, "cluster", lambda *_: state)
    finding = examined(tmp_path, environment())["cluster"]
    assert finding.ok is False
    assert "aws eks wait cluster-deleted" in finding.fix


def test_offline_nothing_is_asked_by_the_program_or_by_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("AWS was asked")

    monkeypatch.setattr(api, "client", refuse)
    with pytest.raises(AssertionError, match="AWS was asked"):
        GROUND["aws"].require(place(tmp_path), environment())  # the control
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    assert GROUND["aws"].require(place(tmp_path), environment()) == []
    (finding,) = GROUND["aws"].examine(place(tmp_path), environment())
    assert finding.ok is None


@pytest.mark.parametrize(("gpus", "fits"), [(1, True), (4, False)])
def test_pods_that_fit_no_pool_are_told_without_asking_anybody(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    fits: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    env = load({**committed("prod"), "training": {"resources": {"workers": 1, "cpus": 4, "gpus": gpus}}})
    if fits:
        assert GROUND["aws"].require(place(tmp_path), env) == []
    else:
        with pytest.raises(PreflightFailed, match=r"GPU pools: .*asks for 4 GPUs, a node has 1"):
            GROUND["aws"].require(place(tmp_path), env)


@pytest.mark.usefixtures("today")
def test_every_problem_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: None) -> None:
    with_quota(monkeypatch, L_DB2E81BA=0)
    env = environment(GPU, gpu_nodes={"l4": {"instance_types": ["g6.2xlarge"]}}, zones=["us-east-1y", "us-east-1z"])
    with pytest.raises(PreflightFailed, match="2 problems") as failed:
        preflight.require(place(tmp_path), env)
    assert str(failed.value).count("fix: ") == 2
