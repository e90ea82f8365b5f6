"""The `slipway` command: looks at an environment, asks its model, and hands requests to the release controller.

It changes infrastructure never: that is `./pulumiw up`.
"""

from __future__ import annotations

import argparse
import getpass
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from components.settings import SettingError
from serving.errors import ModelUnusable, RegistryUnavailable
from serving.registry import Registry
from stacks.config import json_schema
from stacks.files import stack_file
from stacks.ground import GROUND, ROOT, Finding, Reached, Unreached, reach
from stacks.live import NoEnvironment, observe, outputs, release_state

COMMAND_TAG = "slipway.release.command"
_COMMAND_TIMEOUT_S = 60
_WIDE = 200  # columns where the output is no terminal
_console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


class CommandError(Exception):
    """A command cannot be carried out; the text says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 1 when it could not be carried out or something is unhealthy."""
    options = _parser().parse_args(arguments)
    try:
        sys.exit(options.run(options))
    except (NoEnvironment, CommandError, Unreached, SettingError, RegistryUnavailable, ModelUnusable) as error:
        sys.exit(f"slipway: {error}")


def status(options: argparse.Namespace) -> int:
    """Print one table: what runs, versions, health and URLs."""
    found = outputs(options.stack)
    with reach(found) as reached:
        parts = observe(found, reached)
    if options.json:
        print(json.dumps([vars(part) for part in parts], indent=2))
    else:
        table = Table(title=f"environment {options.stack}", title_justify="left", box=None, pad_edge=False)
        for column in ("", "part", "state", "version", "url"):
            table.add_column(column, overflow="fold", no_wrap=column == "part")
        marks = {True: "[green]ok[/]", False: "[red]!![/]", None: ".."}
        for part in parts:
            table.add_row(marks[part.healthy], part.name, part.state, part.version, part.url)
        _console.print(table)
    return 0 if all(part.healthy is not False for part in parts) else 1


def predict(options: argparse.Namespace) -> int:
    """Ask the served model; without rows, with the example that was stored with the champion."""
    found = outputs(options.stack)
    url = f"{found['serving']['url']}/invocations"
    given = _rows(Path(options.file)) if options.file else None
    try:
        with reach(found) as reached:
            payload, kind = given or (_example(found, reached.registry()), "application/json")
            answer, served = _ask(reached, payload, kind, options.timeout)
    except urllib.error.HTTPError as error:
        raise CommandError(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from None
    except OSError as error:
        raise CommandError(f"{url} does not answer ({error}). See: slipway status --stack {options.stack}") from None
    _console.print(f"{found['serving']['model_name']} version {served} at {url}")
    _console.print(f"predictions: {json.dumps(answer['predictions'], ensure_ascii=False)}")
    return 0


def _rows(file: Path) -> tuple[bytes, str]:
    """Read the rows before anything is asked: a file that is missing is not a model that does not answer."""
    try:
        return file.read_bytes(), "text/csv" if file.suffix.lower() == ".csv" else "application/json"
    except OSError as error:
        raise CommandError(
            f"rows cannot be read from {file}: {error.strerror}. Name a JSON or CSV file with --file"
        ) from None


def _ask(reached: Reached, payload: bytes, kind: str, timeout_s: float) -> tuple[Any, str | None]:
    headers = {"Content-Type": kind, **reached.serving_headers}
    request = urllib.request.Request(f"{reached.url('serving')}/invocations", data=payload, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
        return json.load(response), response.headers.get("X-Slipway-Model-Version")


def _example(found: dict[str, Any], registry: Registry) -> bytes:
    model = found["serving"]["model_name"]
    champion = registry.alias(model, "champion")
    if champion is None:
        raise CommandError(f"the model {model} has no champion: nothing was released yet")
    example = registry.read(registry.artifact_root(model, champion), "serving_input_example.json")
    if example is None:
        raise CommandError(f"version {champion} of {model} has no example. Give rows: slipway predict --file ROWS.json")
    return example


def rollback(options: argparse.Namespace) -> int:
    """Ask the release controller to return to the former champion, and wait until it has."""
    found = outputs(options.stack)
    with reach(found) as reached:
        return _roll_back(reached.registry(), found["serving"]["model_name"], options.reason)


def _roll_back(registry: Registry, model: str, reason: str) -> int:
    command = {
        "id": str(uuid.uuid4()),
        "action": "rollback",
        "by": getpass.getuser(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason,
    }
    before = release_state(registry, model)
    if not before.get("previous"):
        raise CommandError(f"the model {model} has no former champion to return to. See: slipway release history")
    registry.set_model_tag(model, COMMAND_TAG, json.dumps(command))
    state = _await_command(registry, model, command["id"])
    if state["champion"] == before["champion"]:
        raise CommandError(f"the release controller left version {state['champion']}: {state['history'][-1]['reason']}")
    _console.print(f"champion of {model}: {before['champion']} -> {state['champion']}")
    return 0


def _await_command(registry: Registry, model: str, command: str) -> dict[str, Any]:
    deadline = time.monotonic() + _COMMAND_TIMEOUT_S
    while time.monotonic() < deadline:
        state = release_state(registry, model)
        if state.get("last_command") == command and not state.get("intent"):
            return state
        time.sleep(0.2)
    raise CommandError(
        f"the release controller did not act within {_COMMAND_TIMEOUT_S} s; it will when it runs. See: slipway status"
    )


def history(options: argparse.Namespace) -> int:
    """Print the releases of the served model, newest first."""
    found = outputs(options.stack)
    with reach(found) as reached:
        state = release_state(reached.registry(), found["serving"]["model_name"])
    table = Table(title=f"releases of {found['serving']['model_name']}", title_justify="left", box=None, pad_edge=False)
    for column in ("epoch", "at", "from", "to", "by", "reason"):
        table.add_column(column, overflow="fold")
    for entry in reversed(state.get("history", [])):
        table.add_row(*(str(entry.get(column) or "-") for column in ("epoch", "at", "from", "to", "by", "reason")))
    _console.print(table)
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Check what this machine must have, as `./pulumiw doctor` does; with a stack, what its cluster must have."""
    if options.stack:
        return _doctor_of(options.stack, as_json=options.json)
    arguments = ["--json"] if options.json else []
    return subprocess.run([str(ROOT / "pulumiw"), "doctor", *arguments], check=False).returncode


def _doctor_of(stack: str, *, as_json: bool) -> int:
    place, env = stack_file(ROOT, stack)
    findings = GROUND[env.substrate.kind].examine(place, env)
    if as_json:
        print(json.dumps([vars(finding) for finding in findings], indent=2))
        return _status_of(findings)
    table = Table(title=f"where {stack} runs", title_justify="left", box=None, pad_edge=False)
    for column in ("", "what", "seen"):
        table.add_column(column, overflow="fold", no_wrap=column == "what")
    marks = {True: "[green]ok[/]", False: "[red]!![/]", None: "[yellow]?[/]"}
    for finding in findings:
        fix = f"\n-> {finding.fix}" if finding.fix else ""
        table.add_row(marks[finding.ok], finding.name, Text(finding.seen + fix))
    _console.print(table if findings else f"{stack} runs on this machine: slipway doctor")
    return _status_of(findings)


def _status_of(findings: Sequence[Finding]) -> int:
    return 0 if all(finding.ok is not False for finding in findings) else 1


def cost(options: argparse.Namespace) -> int:
    """Print what an environment costs an hour while it only waits, from its stack file: nothing is asked or made."""
    _, env = stack_file(ROOT, options.stack)
    bill = GROUND[env.substrate.kind].bill(env)
    if bill is None:
        print(f"nobody sends a bill for {options.stack}: its substrate is {env.substrate.kind}")
        return 0
    if options.json:
        charges = [{"what": one.what, "count": one.count, "usd_each": one.each} for one in bill.charges]
        print(json.dumps({"per_hour": bill.per_hour, "charges": charges, "source": bill.source}, indent=2))
        return 0
    table = Table(title=f"{options.stack} at rest, USD an hour", title_justify="left", box=None, pad_edge=False)
    for column in ("what", "count", "each", "together"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for one in bill.charges:
        known = one.each is not None
        table.add_row(
            one.what, f"{one.count:g}", f"{one.each:.4f}" if known else "?", f"{one.usd:.3f}" if known else "?"
        )
    known = bill.per_hour is not None
    table.add_row("sum", "", "", f"{bill.per_hour:.2f}" if known else "not all prices are known")
    _console.print(table, Text(bill.source, style="dim"), sep="\n")
    return 0


def schema(_: argparse.Namespace) -> int:
    """Print the JSON schema of a stack file."""
    print(json.dumps(json_schema(), indent=2))
    return 0


def eks_token(options: argparse.Namespace) -> int:
    """Print a token for an EKS cluster, as kubectl and other clients ask for it; a kubeconfig names this command."""
    from infra.aws.token import credential  # noqa: PLC0415  its SDK costs half a second

    print(json.dumps(credential(options.cluster, options.region)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slipway",
        description="Look at an environment and its model. What changes one is ./pulumiw up.",
        epilog="example: slipway status --stack dev",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "status", status, "what runs, versions, health and URLs", "slipway status --stack dev", as_json=True)
    asked = _add(commands, "predict", predict, "ask the served model", "slipway predict --file rows.json")
    asked.add_argument(
        "--file", help='rows as MLflow takes them: {"dataframe_records": [{"column": value}]}, or a .csv with a header'
    )
    asked.add_argument("--timeout", type=float, default=30, help="seconds to wait for the answer")
    release = commands.add_parser(
        "release", help="releases of the served model: history, rollback", epilog="example: slipway release history"
    )
    releases = release.add_subparsers(required=True, metavar="ACTION")
    _add(releases, "history", history, "which version was champion when, and why", "slipway release history")
    back = _add(
        releases, "rollback", rollback, "return to the former champion", 'slipway release rollback --reason "too slow"'
    )
    back.add_argument("--reason", default="asked for by hand", help="recorded in the history")
    healthy = _add(
        commands, "doctor", doctor, "what machine or cluster must have", "slipway doctor", as_json=True, stack=False
    )
    healthy.add_argument("-s", "--stack", help="the environment whose cluster is looked at; this machine if absent")
    _add(commands, "cost", cost, "what it costs at rest", "slipway cost --stack prod", as_json=True)
    asked = _add(
        commands,
        "eks-token",
        eks_token,
        "a token for an EKS cluster, for kubectl",
        "slipway eks-token --cluster NAME --region eu-central-1",
        stack=False,
    )
    asked.add_argument("--cluster", required=True, help="the cluster's name")
    asked.add_argument("--region", required=True, help="the region it is in")
    _add(commands, "schema", schema, "the JSON schema of a stack file", "slipway schema > schema.json", stack=False)
    return parser


def _add(
    commands: Any, name: str, run: Any, summary: str, example: str, *, as_json: bool = False, stack: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=run.__doc__, epilog=f"example: {example}"
    )
    parser.set_defaults(run=run)
    if stack:
        parser.add_argument("-s", "--stack", default="dev", help="the environment (default: dev)")
    if as_json:
        parser.add_argument("--json", action="store_true", help="for programs rather than people")
    return parser


if __name__ == "__main__":
    main()
