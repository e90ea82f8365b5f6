"""The stack files of AWS, and what is refused while they are read: all at once, before any call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from components.seam import Place
from infra.aws.settings import AwsConfig
from infra.aws.workloads import cluster_config
from infra.kubernetes.settings import KubernetesConfig
from stacks.config import EnvironmentConfig, load
from stacks.problems import ConfigError
from tests.stack_files import committed

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
Path_ = tuple[str, ...]


def changed(stack: str = "prod", **changes: Any) -> dict[str, Any]:
    """Return a stack file's settings with some changed; `a__b` is the key b of a, and None removes."""
    settings = committed(stack)
    for path, value in changes.items():
        *outer, last = path.split("__")
        inner = settings
        for key in outer:
            inner = inner.setdefault(key, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    return settings


def problems_of(settings: dict[str, Any], *secrets: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(settings, secrets, now=NOW)
    return [str(problem) for problem in caught.value.problems]


def aws(config: EnvironmentConfig) -> AwsConfig:
    assert isinstance(config.substrate, AwsConfig)
    return config.substrate


@pytest.mark.parametrize("stack", ["staging", "prod", "gpu"])
def test_the_committed_stack_files_are_accepted(stack: str) -> None:
    config = load(committed(stack), now=NOW)
    assert aws(config).image is not None, "a preview of it shows the workloads too"


def test_a_repository_is_named_as_github_s_tokens_name_it() -> None:
    for name in ("example/slipway", "example@12/slipway@345"):
        github = aws(load(changed(substrate__github__repository=name), now=NOW)).github
        assert github is not None
        assert github.repository == name


def test_production_is_kept_and_experiments_are_not() -> None:
    assert load(committed("prod")).artifacts.retain
    gpu = load(committed("gpu"))
    assert gpu.lifetime is not None
    assert not gpu.artifacts.retain


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"substrate__region": None}, ["slipway:substrate.region", "is required"]),
    ({"substrate__account": "12"}, ["slipway:substrate.account", "12"]),
    ({"substrate__zones": ["us-east-1a"]}, ["slipway:substrate.zones", "at least 2"]),
    ({"substrate__zones": ["us-east-1a", "eu-west-1b"]}, ["eu-west-1b", "no availability zone of us-east-1"]),
    ({"substrate__zones": ["us-east-1a", "us-east-1a"]}, ["names a zone twice"]),
    ({"substrate__network__cidr": "172.20.0.0/16"}, ["overlaps 172.20.0.0/16", "service_cidr"]),
    (
        {"substrate__network__apart_from": ["10.20.128.0/20"]},
        ["slipway:substrate.network.cidr", "overlaps 10.20.128.0/20", "apart_from"],
    ),
    ({"substrate__network__cidr": "10.20.0.0/28"}, ["slipway:substrate.network.cidr", "10.20.0.0/28"]),
    (
        {
            "substrate__vpc": {
                "id": "vpc-0123456789abcdef0",
                "cidr": "10.0.0.0/16",
                "private_subnets": {"us-east-1a": "s", "us-east-1b": "t"},
            }
        },
        ["slipway:substrate.network", "there is a substrate.vpc too"],
    ),
    (
        {"substrate__cluster__version": "1.29"},
        ["slipway:substrate.cluster.version", "1.29", "standard support", "1.35"],
    ),
    (
        {"substrate__cluster__public_cidrs": []},
        ["slipway:substrate.cluster.public_endpoint", "answers the whole world"],
    ),
    ({"substrate__cluster__public_cidrs": ["0.0.0.0/0"]}, ["slipway:substrate.cluster.public_cidrs", "whole world"]),
    (
        {"substrate__cluster__public_cidrs": ["0.0.0.0/1", "128.0.0.0/1"]},
        ["128.0.0.0/1", "keeps nobody out"],
    ),
    ({"substrate__cluster__public_endpoint": False}, ["slipway:substrate.cluster.public_cidrs", "has no effect"]),
    ({"substrate__cluster__service_cidr": "100.64.0.0/16"}, ["slipway:substrate.cluster.service_cidr", "/12 to /24"]),
    ({"substrate__cluster__service_cidr": "172.20.0.0/28"}, ["slipway:substrate.cluster.service_cidr", "/12 to /24"]),
    ({"substrate__cluster__service_cidr": "999.20.0.0/16"}, ["slipway:substrate.cluster.service_cidr", "999"]),
    (
        {"substrate__cluster__public_cidrs": ["203.0.113.7/24"]},
        ["slipway:substrate.cluster.public_cidrs", "write 203.0.113.0/24"],
    ),
    ({"substrate__cluster__admins": []}, ["slipway:substrate.cluster.admins", "nobody may enter"]),
    (
        {"substrate__cluster__admins": ["arn:aws:sts::111122223333:assumed-role/Admin/ann"]},
        ["slipway:substrate.cluster.admins", "no IAM role or user", "arn:aws:iam::111122223333:role/Admin"],
    ),
    ({"substrate__cluster__admins": ["arn:aws:iam::111122223333:root"]}, ["no IAM role or user", "role/NAME"]),
    ({"substrate__cluster__admins": ["arn:aws:iam::111122223333:role/a/Admin"] * 2}, ["listed twice"]),
    ({"substrate__github__repository": "example@12/slipway"}, ["slipway:substrate.github.repository"]),
    ({"substrate__system_nodes__min": 9}, ["slipway:substrate.system_nodes", "min must not be above max"]),
    (
        {"substrate__system_nodes__instance_types": ["m7i.xlarge", "m99i.xlarge"]},
        ["slipway:substrate.system_nodes.instance_types", "m99i.xlarge", "is no instance type", "did you mean"],
    ),
    (
        {"substrate__system_nodes__instance_types": ["m7i.xlarge", "m7g.xlarge"]},
        ["slipway:substrate.system_nodes.instance_types", "ARM and x86", "one architecture"],
    ),
    ({"substrate__database__max_storage_gib": 20}, ["slipway:substrate.database.max_storage_gib", "tenth to grow"]),
    ({"substrate__gpu_nodes__l4": None}, ["slipway:substrate.gpu_nodes.l4", "is required"]),
    ({"substrate__gpu_nodes__other": {"instance_types": ["g6.xlarge"]}}, ["gpu_nodes.other", "no such pool"]),
    ({"substrate__gpu_nodes__l4__instance_types": ["g6.2xlrge"]}, ["instance_types", "g6.2xlrge"]),
    ({"substrate__gpu_nodes__l4__instance_types": ["g6.12xlarge"]}, ["g6.12xlarge", "has 4 GPUs", "gpus: 1"]),
    ({"substrate__gpu_nodes__l4__instance_types": ["m7i.2xlarge"]}, ["m7i.2xlarge", "GPU"]),
    (
        {"substrate__gpu_nodes__l4__instance_types": ["g6.xlarge"]},
        ["g6.xlarge", "4 vCPUs and 16 GiB", "asks for 6 and 26"],
    ),
    ({"substrate__gpu_nodes__l4__on_demand_fallback": True}, ["on_demand_fallback", "on demand already"]),
    (
        {"substrate__gpu_nodes__l4-spot__capacity_block": "cr-0123456789abcdef0"},
        ["slipway:substrate.gpu_nodes.l4-spot.capacity_block", "bought beforehand", "spot"],
    ),
    ({"substrate__gpu_nodes__l4__zones": ["us-east-1f"]}, ["gpu_nodes.l4.zones", "us-east-1f"]),
    ({"substrate__gpu_nodes__l4__efa": True}, ["gpu_nodes.l4.efa"]),
    ({"gpu_pools": [{"name": "l4", "min": 3, "max": 2, "cpus": 6, "memory_gib": 26}]}, ["min 3 is above max 2"]),
    ({"substrate__operator_images__kuberay": None}, ["slipway:substrate.operator_images.kuberay", "is required"]),
    ({"substrate__image": "slipway:latest"}, ["slipway:substrate.image", "slipway:latest"]),
    (
        {"substrate__database__image": f"postgres@sha256:{'5' * 64}"},
        ["slipway:artifacts.retain", "goes with the environment"],
    ),
    ({"artifacts__uri": "file:///models"}, ["slipway:artifacts.uri", "do not see the folders"]),
    ({"data__uri": "data.csv"}, ["slipway:data.uri", "does not see the files"]),
    ({"tracking__port": 5000}, ["slipway:tracking.port", "no ports to choose"]),
    ({"budget__notify": ["nobody"]}, ["slipway:budget.notify", "nobody"]),
    ({"lifetime": {"expires_at": "2026-11-24T11:00:00Z"}}, ["slipway:lifetime.expires_at", "is past", "destroy"]),
    ({"lifetime": {"hours": 4}}, ["slipway:artifacts.retain", "keeps nothing"]),
    ({"lifetime": {"expires_at": "tomorrow"}}, ["slipway:lifetime.expires_at", "tomorrow"]),
]


@pytest.mark.parametrize(
    ("changes", "told"), BAD, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_a_bad_setting_is_refused_with_its_path_value_rule_and_fix(changes: dict[str, Any], told: list[str]) -> None:
    found = problems_of(changed(**changes))
    assert any(all(part in one for part in told) for one in found), f"{told} not in any of {found}"


def test_all_problems_are_told_at_once() -> None:
    found = problems_of(
        changed(
            substrate__zones=["us-east-1a", "us-east-1a"],
            substrate__cluster__version="1.2",
            substrate__gpu_nodes__l4=None,
            tracking__port=5000,
        )
    )
    assert len(found) == 4, found


def test_an_end_that_is_still_to_come_is_accepted_and_an_end_needs_its_time_zone() -> None:
    later = (NOW + timedelta(hours=1)).isoformat()
    assert load(changed("gpu", lifetime__expires_at=later), now=NOW).lifetime is not None
    assert "timezone" in problems_of(changed("gpu", lifetime__expires_at="2027-01-01T00:00:00"))[0]


def test_gpu_nodes_of_an_ephemeral_environment_start_at_zero() -> None:
    pool = {"name": "gpu", "cpus": 6, "memory_gib": 26, "min": 1, "max": 2, "spot": True}
    assert "set it to 0" in problems_of(changed("gpu", gpu_pools=[pool]))[0]


def test_keys_are_no_way_into_the_bucket_but_for_a_test_server() -> None:
    assert "Pod Identity" in problems_of(changed(), "artifacts_credentials")[0]
    load(changed(substrate__endpoint_url="http://127.0.0.1:5000"), ["artifacts_credentials"])


def test_a_budget_or_an_end_means_nothing_where_nobody_sends_a_bill() -> None:
    local = {"substrate": {"kind": "local"}, "data": {"uri": "sklearn:iris", "target": "target"}}
    found = problems_of({**local, "budget": {"monthly_usd": 5, "notify": ["a@example.com"]}, "lifetime": {}})
    assert {one.split(" ")[0] for one in found} == {"slipway:budget", "slipway:lifetime"}


def test_what_is_said_of_the_workloads_reaches_the_cluster_s_runtime() -> None:
    said: dict[str, Any] = {
        "quota": {"gpus": 3},
        "tracking_replicas": 2,
        "ingress_from": ["shop"],
        "ingress_networks": ["10.9.0.0/23"],
        "gateway": {"name": "public", "namespace": "edge", "hostname": "models.example.com"},
    }
    given = changed(**{f"substrate__{key}": value for key, value in said.items()})
    config = aws(load(given, now=NOW))
    there = cluster_config(Place(project="slipway", stack="prod", root=ROOT), config, "slipway-prod-cluster")
    shared = set(AwsConfig.model_fields) & set(KubernetesConfig.model_fields)
    same = shared - {"kind", "database", "operator_images"}
    assert said.keys() | {"image", "incremental_upgrade"} == same, "another shared setting belongs in this test"
    assert {key: getattr(there, key) for key in same} == {key: getattr(config, key) for key in same}
    assert all(getattr(config, key) != AwsConfig.model_fields[key].get_default() for key in said), "the control"
