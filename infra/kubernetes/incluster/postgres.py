"""A role and a database of its own for the tracking server, on a PostgreSQL server that a cloud manages.

The administrator's password stays where the cloud keeps and rotates it; it is read here, used, and forgotten.  The
role's password comes from a Secret of the namespace; what is sent to the server is its SCRAM verifier, so that no
server log can hold it.  Doing it again changes nothing unless something is missing or another password is wanted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from infra.kubernetes.incluster.ending import Failure, say

_CONNECT_S = 10
_LONGEST_PAUSE_S = 5.0
_MAINTENANCE = "postgres"
"""The database that every server has."""
_WRONG_PASSWORD = ("28P01", "28000")
_NO_DATABASE = "3D000"
_MODES = ("require", "verify-ca", "verify-full")
_REFUSED_FOR_GOOD = {"ResourceNotFoundException", "InvalidRequestException", "ValidationException"}
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A rule's value: which server, whose secret administers it, and what is made on it."""

    secret: str
    """ARN or name of the administrator's secret, `{"username": ..., "password": ...}`."""
    region: str
    host: str
    port: int
    role: str
    database: str
    tls: Mapping[str, str] = field(default_factory=lambda: {"sslmode": "require"})
    """`sslmode`, and `sslrootcert` (a file) with the modes that verify."""

    @classmethod
    def parse(cls, rule: Any) -> Server | None:
        """Return the rule's server; None when it is no such rule."""
        kinds = {"port": int, "tls": dict}
        names = {one.name for one in fields(cls)}
        if not isinstance(rule, dict) or not names - {"tls"} <= rule.keys() <= names:
            return None
        if not all(isinstance(value, kinds.get(key, str)) and value for key, value in rule.items()):
            return None
        found = cls(**rule)
        verifies = found.tls.get("sslmode") != "require"
        wanted = {"sslmode", "sslrootcert"} if verifies else {"sslmode"}
        return found if found.tls.keys() == wanted and found.tls["sslmode"] in _MODES else None

    def url(self, password: str) -> str:
        """Return the SQLAlchemy URL of the role's database."""
        login = f"{quote(self.role, safe='')}:{quote(password, safe='')}"
        return f"postgresql+psycopg2://{login}@{self.host}:{self.port}/{self.database}?{urlencode(self.tls)}"

    def __str__(self) -> str:
        return f"the PostgreSQL server {self.host}:{self.port}"


def ensure(server: Server, password: str, patience_s: float = 180) -> None:
    """Make the role log in with this password, and own its database.

    Raises:
        Failure: the server, or the secret of its administrator, cannot be used; the text says why and what to do.
    """
    driver = _driver()
    until = time.monotonic() + patience_s
    if _patiently(lambda: _complete(driver, server, password), driver.OperationalError, until, f"{server}: "):
        say(f"{server}: the role {server.role} and its database {server.database} are there")
        return
    administrator = _administrator(server, until)
    _patiently(lambda: _make(driver, server, administrator, password), driver.OperationalError, until, f"{server}: ")
    if not _complete(driver, server, password):
        raise Failure(
            f"{server}: the role {server.role} was made, and cannot log in to its database {server.database}: "
            "another program changes it too; leave the role to this environment"
        )
    say(f"{server}: made the role {server.role} and its database {server.database}")


def _complete(driver: Any, server: Server, password: str) -> bool:
    """Whether the role logs in with this password to a database that it owns."""
    try:
        with _connection(driver, server, (server.role, password), server.database) as connection:
            owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
            return bool(_one(connection, owner) == server.role)
    except driver.OperationalError as error:
        if _is_refusal(error):
            return False
        raise


def _is_refusal(error: Any) -> bool:
    """Whether the server answered, and refused: libpq gives a failed login no code of its own, only text."""
    said = str(error)
    return getattr(error, "pgcode", None) in (*_WRONG_PASSWORD, _NO_DATABASE) or any(
        words in said for words in ("password authentication failed", "does not exist", "no pg_hba.conf entry")
    )


def _make(driver: Any, server: Server, administrator: tuple[str, str], password: str) -> None:
    sql = driver.sql
    role, database = sql.Identifier(server.role), sql.Identifier(server.database)
    try:
        with _connection(driver, server, administrator, _MAINTENANCE) as connection:
            verifier = driver.extensions.encrypt_password(password, server.role, connection, "scram-sha-256")
            login = sql.SQL("ROLE {} LOGIN PASSWORD {}")
            there = _one(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", server.role)
            verb = sql.SQL("ALTER " if there else "CREATE ")
            _do(connection, verb + login.format(role, sql.Literal(verifier)))
            # who administers without being a superuser must be a member of the role that he gives something to
            _do(connection, sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
            found = _one(connection, owner, server.database)
            if found is None:
                _do(connection, sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
            elif found != server.role:
                _do(connection, sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
    except driver.OperationalError as error:
        if not _is_refusal(error):
            raise
        raise Failure(
            f"{server} refuses its administrator {administrator[0]}: {_line(error)}; was the password changed by "
            f"hand? It must be the one in {server.secret}: aws secretsmanager rotate-secret --secret-id {server.secret}"
        ) from None
    except driver.Error as error:
        raise Failure(f"{server}: {administrator[0]} may not make the role {server.role}: {_line(error)}") from None


@contextmanager
def _connection(driver: Any, server: Server, login: tuple[str, str], database: str) -> Iterator[Any]:
    user, password = login
    connection = driver.connect(
        host=server.host,
        port=server.port,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=_CONNECT_S,
        application_name="slipway-secrets",
        **server.tls,
    )
    try:
        connection.autocommit = True  # a database cannot be made inside a transaction
        yield connection
    finally:
        connection.close()


def _one(connection: Any, query: str, *values: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row = cursor.fetchone()
    return row[0] if row else None


def _do(connection: Any, statement: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _administrator(server: Server, until: float) -> tuple[str, str]:
    """Return the administrator's login as the cloud keeps it now."""
    import boto3  # noqa: PLC0415  only where there is such a database
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    def read() -> str:
        try:
            client = boto3.client("secretsmanager", region_name=server.region)
            return str(client.get_secret_value(SecretId=server.secret)["SecretString"])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _REFUSED_FOR_GOOD:
                raise Failure(f"the secret {server.secret}: {error}; run `up --refresh`") from None
            raise

    # rights that were just given to the pod's identity take a while to hold everywhere
    fix = "the ServiceAccount `secrets` needs a role that may read it; "
    text = _patiently(read, (BotoCoreError, ClientError), until, f"the secret {server.secret} cannot be read; {fix}")
    try:
        found = json.loads(text)
        return str(found["username"]), str(found["password"])
    except (ValueError, KeyError, TypeError):
        raise Failure(f'the secret {server.secret} is no {{"username": ..., "password": ...}}') from None


def _patiently(
    action: Callable[[], Result], again: type[Exception] | tuple[type[Exception], ...], until: float, what: str
) -> Result:
    pause = 0.25
    while True:
        try:
            return action()
        except again as error:
            if time.monotonic() + pause > until:
                raise Failure(f"{what}{_line(error)}") from None
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _driver() -> Any:
    import psycopg2  # type: ignore[import-untyped]  # noqa: PLC0415
    import psycopg2.extensions  # type: ignore[import-untyped]  # noqa: PLC0415
    import psycopg2.sql  # type: ignore[import-untyped]  # noqa: PLC0415

    return psycopg2
