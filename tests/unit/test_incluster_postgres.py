"""The Job's rule for a managed database, against a real PostgreSQL server and moto's Secrets Manager."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg2  # type: ignore[import-untyped]
import pytest
from moto import mock_aws
from sqlalchemy import create_engine, text

from infra.kubernetes.incluster import postgres as rule
from infra.kubernetes.incluster import secrets
from infra.kubernetes.incluster.api import Api
from infra.kubernetes.incluster.ending import Failure
from infra.kubernetes.incluster.postgres import Server, ensure
from tests.postgres_server import ADMINISTRATOR, PASSWORD, Postgres, certificate, postgres
from tests.unit import test_incluster as jobs
from tests.unit.test_incluster import NAMESPACE, Cluster

REGION = "eu-central-1"
api, cluster = jobs.api, jobs.cluster


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture
def database(running: Postgres) -> Iterator[Postgres]:
    """The server, with nothing of ours on it."""
    yield running
    running.superuser("DROP DATABASE IF EXISTS tracking WITH (FORCE)")
    running.superuser("DROP ROLE IF EXISTS tracking")
    running.superuser(f"ALTER ROLE {ADMINISTRATOR} PASSWORD '{PASSWORD}'")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Secrets Manager, and keys that it takes."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture
def arn(aws: Any) -> str:
    login = json.dumps({"username": ADMINISTRATOR, "password": PASSWORD})
    return str(aws.create_secret(Name="rds!db-1", SecretString=login)["ARN"])


def server(database: Postgres, arn: str, **changes: Any) -> Server:
    values: dict[str, Any] = {
        "secret": arn,
        "region": REGION,
        "host": "localhost",
        "port": database.port,
        "role": "tracking",
        "database": "tracking",
        **changes,
    }
    return Server(**values)


def answer(url: str, statement: str = "SELECT current_user") -> Any:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            found = connection.execute(text(statement))
            return found.scalar() if found.returns_rows else None
    finally:
        engine.dispose()


def test_the_role_gets_a_database_of_its_own_that_its_url_opens_over_tls(database: Postgres, arn: str) -> None:
    password = "it's: a/pass%word@{x}"
    ensure(server(database, arn), password)
    url = server(database, arn).url(password)
    assert answer(url) == "tracking"
    assert answer(url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
    answer(url, "CREATE TABLE runs (id int)")
    rights = "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'tracking'"
    assert database.superuser(rights) == [(False, False, False)]


def test_a_wrong_password_does_not_open_it(database: Postgres, arn: str) -> None:
    """The control of the test above: the server does ask for one."""
    ensure(server(database, arn), "right")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        database.connect("tracking", "wrong", "tracking")


def test_a_second_time_needs_no_administrator_and_changes_nothing(database: Postgres, arn: str, aws: Any) -> None:
    ensure(server(database, arn), "kept")
    before = database.superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'tracking'")
    aws.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    ensure(server(database, arn), "kept")
    assert database.superuser("SELECT rolpassword FROM pg_authid WHERE rolname = 'tracking'") == before


def test_a_new_secret_sets_the_password_anew_after_the_administrators_was_rotated(
    database: Postgres, arn: str, aws: Any
) -> None:
    ensure(server(database, arn), "first")
    answer(server(database, arn).url("first"), "CREATE TABLE runs (id int)")
    database.superuser(f"ALTER ROLE {ADMINISTRATOR} PASSWORD 'rotated'")
    aws.put_secret_value(SecretId=arn, SecretString=json.dumps({"username": ADMINISTRATOR, "password": "rotated"}))
    ensure(server(database, arn), "second")
    assert answer(server(database, arn).url("second"), "SELECT count(*) FROM runs") == 0, "what was in it is kept"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        database.connect("tracking", "first", "tracking")


def test_a_database_that_the_administrator_owns_is_handed_over(database: Postgres, arn: str) -> None:
    """RDS itself makes the first database, and it is the administrator's."""
    connection = database.connect(ADMINISTRATOR, PASSWORD)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE tracking")
    connection.close()
    ensure(server(database, arn), "mine")
    answer(server(database, arn).url("mine"), "CREATE TABLE runs (id int)")


def test_a_role_that_was_dropped_by_half_is_completed(database: Postgres, arn: str) -> None:
    ensure(server(database, arn), "mine")
    database.superuser("DROP DATABASE tracking WITH (FORCE)")
    ensure(server(database, arn), "mine")
    assert answer(server(database, arn).url("mine")) == "tracking"


def test_the_password_is_neither_printed_nor_in_the_servers_log(
    database: Postgres, arn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure(server(database, arn), "very-secret-value")
    log = (database.folder / "log").read_text()
    assert "LOGIN PASSWORD 'SCRAM-SHA-256$" in log, "the control: the server logs every statement"
    assert "very-secret-value" not in log
    printed = capsys.readouterr().out
    assert "made the role tracking" in printed
    assert "very-secret-value" not in printed


def test_a_server_whose_certificate_is_verified(database: Postgres, arn: str, tmp_path: Path) -> None:
    tls = {"sslmode": "verify-full", "sslrootcert": str(database.authority)}
    verified = server(database, arn, tls=tls)
    ensure(verified, "mine")
    assert "sslmode=verify-full" in verified.url("mine")
    assert answer(verified.url("mine")) == "tracking"
    certificate(tmp_path)  # another authority's
    with pytest.raises(Failure, match=r"certificate verify failed|SSL error"):
        ensure(server(database, arn, tls={**tls, "sslrootcert": str(tmp_path / "server.crt")}), "mine", patience_s=0)


def test_an_administrator_that_is_refused_is_named_with_the_fix(database: Postgres, arn: str, aws: Any) -> None:
    aws.put_secret_value(SecretId=arn, SecretString=json.dumps({"username": ADMINISTRATOR, "password": "stale"}))
    with pytest.raises(Failure, match=r"refuses its administrator slipway.*rotate-secret"):
        ensure(server(database, arn), "mine", patience_s=0)


def test_a_secret_that_is_gone_or_no_login_is_named(database: Postgres, arn: str, aws: Any) -> None:
    with pytest.raises(Failure, match=r"rds!other.*up --refresh"):
        ensure(server(database, arn, secret="rds!other"), "mine", patience_s=0)
    aws.put_secret_value(SecretId=arn, SecretString="no login")
    with pytest.raises(Failure, match="is no"):
        ensure(server(database, arn), "mine", patience_s=0)


def test_a_server_that_is_away_is_waited_for_and_then_named(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    away = Server(secret=arn, region=REGION, host="localhost", port=1, role="tracking", database="tracking")
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    with pytest.raises(Failure, match=r"PostgreSQL server localhost:1: .*refused"):
        ensure(away, "mine", patience_s=5)
    assert len(naps) > 1


@pytest.mark.parametrize(
    "change",
    [
        {"port": "5432"},
        {"host": ""},
        {"more": "x"},
        {"tls": {"sslmode": "disable"}},
        {"tls": {"sslmode": "verify-full"}},
    ],
)
def test_a_rule_that_is_none_is_refused_before_anything_happens(change: dict[str, Any]) -> None:
    good = {"secret": "a", "region": "b", "host": "c", "port": 5432, "role": "d", "database": "e"}
    spec = {"database": {"password": {"random": 32}, "url": {"postgres": {**good, **change}}}}
    with pytest.raises(Failure, match=r"database\.url"):
        secrets.parse(json.dumps(spec))
    assert secrets.parse(json.dumps({"database": {"password": {"random": 32}, "url": {"postgres": good}}}))
    with pytest.raises(Failure, match="beside a key `password`"):
        secrets.parse(json.dumps({"database": {"url": {"postgres": good}}}))


def test_the_job_keeps_the_password_before_the_server_hears_of_it_and_writes_the_url(
    database: Postgres, arn: str, cluster: Cluster, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cluster.make("secrets", "database")
    kept: list[str] = []
    real = rule.ensure

    def watched(server: Server, password: str) -> None:
        kept.append(cluster.value(path, "password"))
        assert "url" not in cluster.objects[path]["data"]
        real(server, password)

    monkeypatch.setattr(rule, "ensure", watched)
    where = {"secret": arn, "region": REGION, "host": "localhost", "port": database.port}
    spec = {
        "database": {
            "password": {"random": 32},
            "url": {"postgres": {**where, "role": "tracking", "database": "tracking"}},
        }
    }
    secrets.fill(api, NAMESPACE, secrets.parse(json.dumps(spec)))
    url = cluster.value(path, "url")
    assert kept == [cluster.value(path, "password")]
    assert answer(url) == "tracking"
    monkeypatch.setattr(rule, "ensure", real)
    cluster.requests.clear()
    secrets.fill(api, NAMESPACE, secrets.parse(json.dumps(spec)))
    assert {verb for verb, _, _ in cluster.requests} == {"GET"}, "a second run changes nothing"
    assert cluster.value(path, "url") == url
