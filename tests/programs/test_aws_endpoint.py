"""AWS's APIs somewhere else (LocalStack, a test server): who reaches them where, and with what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from stacks.config import load
from stacks.problems import ConfigError
from tests.mock_engine import Engine
from tests.programs.aws_program import deployed, settings

HERE, THERE = "http://127.0.0.1:4566", "http://172.30.0.1:9018"
KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "not-in-any-pod"}
JOB, POLICY = "kubernetes:batch/v1:Job", "kubernetes:networking.k8s.io/v1:NetworkPolicy"


@pytest.fixture(scope="module")
def engine() -> Engine:
    secrets = {"artifacts_credentials": json.dumps(KEYS)}
    return deployed("staging", secrets=secrets, endpoint_url=HERE, endpoint_url_in_cluster=THERE)[0]


def environments(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the environment of every container of an object, by name."""
    if isinstance(value, Mapping):
        if isinstance(value.get("env"), list):
            yield {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in value["env"]}
        for inner in value.values():
            yield from environments(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from environments(inner)


def test_the_provider_calls_one_address_and_pods_the_other(engine: Engine) -> None:
    provider = engine.all("pulumi:providers:aws")[0].inputs
    assert HERE in json.dumps(provider)
    assert THERE not in json.dumps(provider)
    inside = [item.inputs for item in engine.registrations if item.type.startswith("kubernetes:")]
    told = [found["AWS_ENDPOINT_URL"] for one in inside for found in environments(one) if "AWS_ENDPOINT_URL" in found]
    assert len(told) > 2
    assert set(told) == {THERE}


def test_without_an_address_of_their_own_pods_call_the_same() -> None:
    found = deployed("staging", endpoint_url=HERE)[0]
    told = [env.get("AWS_ENDPOINT_URL") for item in found.all(JOB) for env in environments(item.inputs)]
    assert HERE in told


def test_the_port_of_the_endpoint_is_open_to_whoever_calls_it(engine: Engine) -> None:
    for name in ("network-object-store", "secrets-network"):
        policy = next(item.inputs for item in engine.all(POLICY) if item.name == name)
        ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
        assert {443, 9018} <= set(ports), name


def test_who_calls_has_the_login_from_one_secret_that_is_there_first(engine: Engine) -> None:
    job = next(item for item in engine.all(JOB) if item.name == "secrets-job")
    (found,) = environments(job.inputs)
    reference = {"secretKeyRef": {"name": "artifacts-credentials", "key": "AWS_SECRET_ACCESS_KEY"}}
    assert found["AWS_SECRET_ACCESS_KEY"] == reference
    assert "store-credentials" in job.dependencies
    made = [item for item in engine.all("kubernetes:core/v1:Secret") if "stringData" in item.inputs]
    assert [item.inputs["metadata"]["name"] for item in made] == ["artifacts-credentials"]
    others = [item.inputs for item in engine.registrations if item not in made]
    assert KEYS["secret_access_key"] not in json.dumps(others, default=str)


def test_an_address_for_pods_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="endpoint_url_in_cluster"):
        load(settings("staging", endpoint_url_in_cluster=THERE), [])
