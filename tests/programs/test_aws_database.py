"""The tracking server's database on RDS, as the program declares it: no password anywhere, and who may reach what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.kubernetes.incluster import secrets
from tests.mock_engine import Engine
from tests.programs.aws_program import deployed

JOB = "kubernetes:batch/v1:Job"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return deployed("staging")[0]


def one(engine: Engine, type_: str, name: str) -> dict[str, Any]:
    return next(item.inputs for item in engine.all(type_) if item.name == name)


def specification(engine: Engine) -> dict[str, Any]:
    namespace, text = one(engine, JOB, "secrets-job")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert namespace == "slipway-staging"
    return dict(secrets.parse(text))


def test_the_job_is_told_the_server_and_whose_secret_administers_it_and_no_password(engine: Engine) -> None:
    rule = specification(engine)["database"]
    assert rule["password"] == {"random": 32}
    server = rule["url"]["postgres"]
    assert (server["role"], server["database"]) == ("tracking", "tracking")
    assert server["port"] == 5432
    assert server["secret"].startswith("arn:")
    registered = json.dumps([item.inputs for item in engine.registrations])
    assert server["host"] in registered
    assert "postgresql+psycopg2://" not in registered, "the address with its password is only ever in a Secret"


def test_the_administrator_and_the_tracking_server_are_two_users(engine: Engine) -> None:
    """The Job sets the role's password: were it the administrator's, RDS could no longer log in or rotate."""
    master = engine.all("aws:rds/instance:Instance")[0].inputs["username"]
    assert master != specification(engine)["database"]["url"]["postgres"]["role"]


def test_a_preview_knows_the_job_by_the_same_name() -> None:
    names = {
        one(deployed("staging", preview=preview)[0], JOB, "secrets-job")["metadata"]["name"]
        for preview in (True, False)
    }
    assert len(names) == 1


def test_only_this_jobs_pods_reach_the_server_and_the_clouds_own_services(engine: Engine) -> None:
    pod = one(engine, JOB, "secrets-job")["spec"]["template"]["metadata"]["labels"]
    policy = one(engine, POLICY, "secrets-network")["spec"]
    wanted = policy["podSelector"]["matchLabels"]
    assert wanted.items() <= pod.items()
    others = [
        item.inputs["spec"]["template"]["metadata"]["labels"] for item in engine.all(JOB) if item.name != "secrets-job"
    ]
    assert others, "the control: there are other Jobs"
    assert not any(wanted.items() <= labels.items() for labels in others)
    reached = {rule["to"][0]["ipBlock"]["cidr"]: [port["port"] for port in rule["ports"]] for rule in policy["egress"]}
    database = one(engine, POLICY, "network-tracking-database")["spec"]["egress"][0]
    assert reached.pop(database["to"][0]["ipBlock"]["cidr"]) == [5432]
    assert reached == {"0.0.0.0/0": [443], "169.254.170.23/32": [80]}


def test_the_job_waits_for_its_identity_and_for_the_database(engine: Engine) -> None:
    job = next(item for item in engine.all(JOB) if item.name == "secrets-job")
    assert any("secrets" in name and "association" in name for name in job.dependencies), job.dependencies
    assert "secrets-network" in job.dependencies
    assert {"database-instance", "database-client-0"} <= set(job.dependencies), "it would find nobody, or no way"


def test_a_database_in_the_cluster_needs_none_of_it() -> None:
    found = deployed("staging", database={"image": f"docker.io/library/postgres@sha256:{'5' * 64}"})[0]
    text = one(found, JOB, "secrets-job")["spec"]["template"]["spec"]["containers"][0]["args"][1]
    assert set(json.loads(text)["database"]["url"]) == {"template"}
    assert not [item for item in found.all(POLICY) if item.name == "secrets-network"]
