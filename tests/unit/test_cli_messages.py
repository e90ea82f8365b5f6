"""What the `slipway` command says before there is an environment, and of rows that cannot be read."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stacks import cli, live
from stacks.ground import Reached


def run(*arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return str(ended.value.code)


def answered(monkeypatch: pytest.MonkeyPatch, status: int, out: str, err: str = "") -> None:
    """Let the engine answer the question for outputs."""
    done = subprocess.CompletedProcess((), status, out, err)
    monkeypatch.setattr("stacks.live.subprocess.run", lambda *_, **__: done)


def outputs(tracking: str | None) -> dict[str, Any]:
    return {"tracking": {"uri": tracking}, "serving": {"url": tracking, "model_name": "default"}}


@pytest.mark.parametrize("command", [["status"], ["predict"], ["release", "history"], ["release", "rollback"]])
def test_a_stack_that_is_not_there_is_told_with_the_command_that_makes_it(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    answered(monkeypatch, 255, "", "error: no stack named 'prod' found")
    told = run(*command, "-s", "prod")
    assert "make up STACK=prod" in told
    assert "error:" not in told


def test_what_else_the_engine_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, 255, "", "error: incorrect passphrase")
    assert "incorrect passphrase" in run("status")


def test_an_account_with_the_ground_alone_is_told_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, 0, json.dumps(outputs(None)))
    assert "make push STACK=prod, then ./pulumiw up -s prod" in run("status", "-s", "prod")
    answered(monkeypatch, 0, json.dumps(outputs("http://127.0.0.1:1")))
    assert live.outputs("prod") == outputs("http://127.0.0.1:1"), "the control"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, str]]:
    """What the model is asked: body and kind."""
    asked: list[tuple[bytes, str]] = []

    @contextmanager
    def reach(_: object) -> Iterator[Reached]:
        yield Reached(urls={}, ray=lambda: (None, "", ""), folders_here=True)

    def ask(_: Reached, payload: bytes, kind: str, __: float) -> tuple[Any, str]:
        asked.append((payload, kind))
        return {"predictions": ["ja ✓"]}, "3"

    monkeypatch.setattr(cli, "outputs", lambda _: outputs("http://127.0.0.1:1"))
    monkeypatch.setattr(cli, "reach", reach)
    monkeypatch.setattr(cli, "_ask", ask)
    return asked


def test_a_file_of_rows_that_is_missing_is_not_told_as_a_model_that_is_down(
    sent: list[tuple[bytes, str]], tmp_path: Path
) -> None:
    told = run("predict", "--file", str(tmp_path / "rows.json"))
    assert "rows.json: No such file" in told
    assert "does not answer" not in told
    assert sent == []


def test_rows_are_sent_as_what_they_are(
    sent: list[tuple[bytes, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("rows.json", "{}"), ("ROWS.CSV", "a\n1\n")):
        (tmp_path / name).write_text(content)
        assert run("predict", "--file", str(tmp_path / name)) == "0"
    assert sent == [(b"{}", "application/json"), (b"a\n1\n", "text/csv")]
    assert 'predictions: ["ja ✓"]' in capsys.readouterr().out, "labels are shown as they stand in the data"


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from commands(one)


def test_every_command_shows_an_example() -> None:
    found = {one.prog: one.epilog or "" for one in commands(cli._parser())}
    assert {"slipway", "slipway release", "slipway release rollback"} <= found.keys()
    assert {prog for prog, epilog in found.items() if not epilog.startswith(f"example: {prog}")} == set()
