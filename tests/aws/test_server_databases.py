"""Instances of RDS on the AWS test server: their address and their administrator's login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.standins.aws_server import AwsServer


def made(server: AwsServer, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        Port=5432,
        MasterUsername="owner",
        ManageMasterUserPassword=True,
    )["DBInstance"]
    return found


@pytest.fixture
def instances(server: AwsServer) -> Iterator[list[dict[str, Any]]]:
    """Two instances, one of them made when the server is known."""
    rds = server.client("rds")
    found = [made(server, "one")]
    server.databases_are_at("127.0.0.9")
    yield [*found, made(server, "two")]
    server.databases_are_at("")
    for name in ("one", "two"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def test_an_instance_is_where_the_test_says(server: AwsServer, instances: list[dict[str, Any]]) -> None:
    assert instances[0]["Endpoint"]["Address"].endswith(".rds.amazonaws.com"), "the control: nothing was said yet"
    described = server.client("rds").describe_db_instances()["DBInstances"]
    assert {entry["Endpoint"]["Address"] for entry in described} == {"127.0.0.9"}
    assert instances[1]["Endpoint"]["Port"] == 5432


def test_every_instance_has_a_password_of_its_own_kept_in_secrets_manager(
    server: AwsServer, instances: list[dict[str, Any]]
) -> None:
    kept = server.client("secretsmanager")
    logins = [
        json.loads(kept.get_secret_value(SecretId=entry["MasterUserSecret"]["SecretArn"])["SecretString"])
        for entry in instances
    ]
    assert {login["username"] for login in logins} == {"owner"}
    assert len({login["password"] for login in logins}) == 2
