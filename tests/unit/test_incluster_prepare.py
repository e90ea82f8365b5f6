"""What is done before a service starts: config files, migrations one copy at a time, and no password in sight."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from infra.kubernetes.incluster import prepare
from tests.postgres_server import ADMINISTRATOR, PASSWORD, Postgres, postgres

VARIABLE = "STORE_ADDRESS"
STEP = """
import json, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + chr(10))
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/100%25.db"
    monkeypatch.setenv(VARIABLE, url)
    return url


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that logs its arguments and one that fails; where the log is."""
    log = tmp_path / "log"
    (tmp_path / "step_that_logs.py").write_text(STEP.format(log=str(log)))
    (tmp_path / "step_that_fails.py").write_text("raise SystemExit('no such table')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return log


def prepared(folder: Path, *commands: list[str], files: dict[str, str] | None = None) -> None:
    spec: dict[str, Any] = {"variable": VARIABLE, "folder": str(folder), "files": files or {}, "commands": commands}
    prepare.main([json.dumps(spec)])


def test_files_get_the_address_in_the_way_of_their_reader(address: str, tmp_path: Path) -> None:
    prepared(tmp_path, files={"auth.ini": "uri = {database}\n", "env": "URI={database}\n"})
    assert (tmp_path / "auth.ini").read_text() == f"uri = {address.replace('%', '%%')}\n"
    assert (tmp_path / "env").read_text() == f"URI={address}\n"


def test_migrations_run_in_order_with_the_address_and_no_argument_list_holds_it(
    address: str, steps: Path, tmp_path: Path
) -> None:
    before = list(sys.argv)
    prepared(tmp_path, ["step_that_logs", "upgrade", "{database}"], ["step_that_logs", "second"])
    assert [json.loads(line) for line in steps.read_text().splitlines()] == [["upgrade", address], ["second"]]
    assert sys.argv == before
    assert address not in Path("/proc/self/cmdline").read_text()


@pytest.mark.usefixtures("address")
def test_a_migration_that_fails_ends_it_before_the_next(steps: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such table"):
        prepared(tmp_path, ["step_that_fails"], ["step_that_logs"])
    assert not steps.exists()


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


def url_of(database: Postgres, port: int | None = None) -> str:
    made = URL.create(
        "postgresql+psycopg2", ADMINISTRATOR, PASSWORD, "127.0.0.1", port or database.port, "postgres",
        {"sslmode": "require"},
    )  # fmt: skip
    return made.render_as_string(hide_password=False)


def test_copies_that_start_together_take_turns(
    database: Postgres, steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url_of(database))
    other = threading.Thread(target=prepared, args=(tmp_path, ["step_that_logs"]))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
    with prepare.turn(url_of(database)):
        other.start()
        while database.superuser(waiting) != [(1,)]:
            assert other.is_alive(), "it has ended: both migrate at once"
        assert not steps.exists()
    other.join(60)
    assert steps.exists(), "the second one's turn comes"


def test_a_database_that_does_not_answer_is_named_without_its_password(
    database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_WAIT_S", 0)
    monkeypatch.setattr(prepare, "_POLL_S", 0)
    with (
        pytest.raises(SystemExit, match=r"127\.0\.0\.1:1/postgres\S* does not answer") as caught,
        prepare.turn(url_of(database, port=1)),
    ):
        pass
    assert PASSWORD not in str(caught.value)
