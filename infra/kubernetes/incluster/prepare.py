"""Before a service starts: its config files with the database's address, and its database's migrations.

    python -m infra.kubernetes.incluster.prepare SPEC_JSON

SPEC_JSON is `{variable, folder, files: {name: template}, commands: [[module, argument, ...]]}`.  In templates and
arguments `{database}` becomes the value of the environment variable `variable`: the address holds a password, and
neither the pod's specification nor any argument list may.  Copies that start together take turns.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy

PLACEHOLDER = "{database}"
_WAIT_S = 180
_POLL_S = 2
_LOCK = 511_793
"""Any number: it names the lock that copies of the service take turns by."""


def main(arguments: Sequence[str]) -> None:
    """Write the files, then run the commands one after the other."""
    spec = json.loads(arguments[0])
    url = os.environ[spec["variable"]]
    folder = Path(spec["folder"])
    for name, template in spec["files"].items():
        (folder / name).write_text(filled(name, template, url), encoding="utf-8")
    with turn(url):
        for module, *rest in spec["commands"]:
            run(module, [text.replace(PLACEHOLDER, url) for text in rest])


def filled(name: str, template: str, url: str) -> str:
    """Return a config file's text; Python's INI reader takes a per cent sign for the start of a reference."""
    value = url.replace("%", "%%") if name.endswith(".ini") else url
    return template.replace(PLACEHOLDER, value)


@contextlib.contextmanager
def turn(url: str) -> Iterator[None]:
    """Hold the database's migration lock, once the database answers.

    Raises:
        SystemExit: it does not answer; the text says where, without the password.
    """
    engine = sqlalchemy.create_engine(url)
    with contextlib.closing(_connected(engine)) as connection:
        if engine.dialect.name == "postgresql":
            # of this session: it ends with the process, whatever becomes of it
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
        yield
    engine.dispose()


def _connected(engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return engine.connect()
        except sqlalchemy.exc.OperationalError as error:
            if time.monotonic() > deadline:
                where = engine.url.render_as_string(hide_password=True)
                raise SystemExit(f"the database {where} does not answer: {error.orig}") from None
            time.sleep(_POLL_S)


def run(module: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m` would, in this process: the arguments are in no argument list.

    Raises:
        SystemExit: the module ended with anything but success.
    """
    before = sys.argv
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code not in (None, 0):
            raise
    finally:
        sys.argv = before


if __name__ == "__main__":
    main(sys.argv[1:])
