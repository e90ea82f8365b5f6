"""A real PostgreSQL server on loopback that only speaks TLS, as managed ones do; its administrator is no superuser.

Tests that need one are skipped, with the reason, where PostgreSQL's own programs are not installed.
"""

from __future__ import annotations

import datetime as dt
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.free_ports import free_port

ADMINISTRATOR, PASSWORD = "slipway", "first master:pass/word"
_START_S = 60


@dataclass(frozen=True)
class Postgres:
    port: int
    folder: Path

    def connect(self, user: str, password: str, database: str = "postgres", **more: Any) -> Any:
        """Open a connection; close it."""
        login = {"user": user, "password": password, "dbname": database, "connect_timeout": 5, "sslmode": "require"}
        return psycopg2.connect(host="localhost", port=self.port, **{**login, **more})

    def superuser(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser that a managed server's customer never is, through the local socket."""
        connection = psycopg2.connect(host=str(self.folder), port=self.port, user="owner", dbname="postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    @property
    def authority(self) -> Path:
        """The certificate that signed the server's: its own."""
        return self.folder / "server.crt"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server in a folder of its own."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (initdb): sudo apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="slipway-postgres-"))
    account = _account()
    try:
        certificate(folder)
        for path in (folder, *folder.iterdir()):
            if account is not None:
                shutil.chown(path, account)
        yield from _served(programs, folder, account)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _served(programs: Path, folder: Path, account: str | None) -> Iterator[Postgres]:
    data, log = folder / "data", folder / "log"
    start: dict[str, Any] = {"user": account, "cwd": folder, "env": {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}}
    made: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "--username=owner",
        "--auth=trust",
        "--no-sync",
        "--encoding=UTF8",
    ]
    subprocess.run(made, check=True, capture_output=True, **start)
    (data / "pg_hba.conf").write_text("local all owner trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "ssl": "on",
        "ssl_cert_file": folder / "server.crt",
        "ssl_key_file": folder / "server.key",
        "fsync": "off",
        "log_statement": "all",
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    with log.open("wb") as out:
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], stdout=out, stderr=out, **start)
    found = Postgres(port, folder)
    try:
        _await(found, server, log)
        found.superuser(f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'")
        yield found
    finally:
        server.terminate()
        server.wait(_START_S)


def _await(found: Postgres, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            found.superuser("SELECT 1")
        except psycopg2.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _programs() -> Path | None:
    on_path = shutil.which("initdb")
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)  # noqa: PTH207
    return Path(folders[0]) if folders else Path(on_path).resolve().parent if on_path else None


def _account() -> str | None:
    """Return as whom the server runs: never as root, which it refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def certificate(folder: Path) -> None:
    """Write a certificate that signs itself, `server.crt`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.key"
    path.write_bytes(private)
    path.chmod(0o600)
