"""A checkout of its own for tests of whole environments: own folder, own state, own ports; run as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEADLINE_S = 420

SETTINGS: dict[str, Any] = {
    "substrate": {"kind": "local"},
    "data": {"uri": "sklearn:breast_cancer", "target": "target"},
    "gate": {"floors": {"accuracy": 0.8}},
}


@dataclass(frozen=True)
class Answer:
    """How a command ended, and everything it said."""

    code: int
    output: str

    def must_succeed(self) -> Answer:
        assert self.code == 0, f"exit {self.code}:\n{self.output}"
        return self

    def must_fail(self) -> Answer:
        assert self.code != 0, f"it succeeded, but should not have:\n{self.output}"
        return self


@dataclass(frozen=True)
class Project:
    """A copy of the project's files at `root`, with one stack."""

    root: Path
    stack: str
    temporary: Path | None = None
    """Where its commands are told to put temporary files; None: where everybody's are."""
    deadline_s: float = DEADLINE_S
    """How long one command may take."""

    def configure(self, **settings: Any) -> None:
        """Write the stack file: the default settings, with whole top-level keys replaced."""
        merged = {f"slipway:{key}": value for key, value in {**SETTINGS, **settings}.items()}
        content = {"config": {"pulumi:disable-default-providers": ["*"], **merged}}
        (self.root / f"Pulumi.{self.stack}.yaml").write_text(yaml.safe_dump(content))

    def pulumi(self, *arguments: str) -> Answer:
        """Run one verb to its end."""
        return self.finish(self.start(*arguments))

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a verb in a process group of its own and return at once."""
        return self._start([str(self.root / "pulumiw"), *arguments, "--stack", self.stack], variables)

    def _start(self, command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
        temporary = {"TMPDIR": str(self.temporary)} if self.temporary else {}
        return subprocess.Popen(
            [*self.within(), *command],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(), **temporary, **variables},
            start_new_session=True,
        )

    def within(self) -> list[str]:
        """Return what stands before every command."""
        return []

    def begin(self, verb: str, resource: str) -> subprocess.Popen[str]:
        """Start a verb, and return once the engine has begun to create, update or delete a resource."""
        events = self.root / f"events-{time.monotonic_ns()}.json"
        process = self.start(verb, "--skip-preview", "--event-log", str(events), PULUMI_DEBUG_COMMANDS="true")
        wait_until(lambda: resource in _begun(events) or process.poll() is not None, f"`{verb}` works on {resource}")
        if resource not in _begun(events):
            raise AssertionError(f"`{verb}` ended without working on {resource}:\n{self.finish(process).output}")
        return process

    def finish(self, process: subprocess.Popen[str]) -> Answer:
        """Wait for a started command."""
        try:
            output, _ = process.communicate(timeout=self.deadline_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"{process.args!r} took longer than {self.deadline_s} s:\n{output}") from None
        return Answer(process.returncode, output)

    def up(self, *arguments: str) -> Answer:
        """Run `up` without the preview that comes before it: what a preview says has tests of its own."""
        return self.pulumi("up", "--skip-preview", *arguments)

    def outputs(self) -> dict[str, Any]:
        answer = subprocess.run(
            [*self.within(), str(self.root / "pulumiw"), "stack", "output", "--json", "--stack", self.stack],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
            timeout=DEADLINE_S,
        )
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def slipway(self, *arguments: str) -> Answer:
        """Run the `slipway` command of this checkout."""
        command = [str(self.root / ".venv/bin/python"), "-m", "stacks.cli", *arguments, "--stack", self.stack]
        return self.finish(self._start(command, {}))

    @property
    def home(self) -> Path:
        return self.root / ".slipway" / self.stack

    def record(self, name: str) -> dict[str, Any]:
        """Return the provider's record of a supervised process."""
        found: dict[str, Any] = json.loads((self.home / "state" / "records" / f"{name}.json").read_text())
        return found

    def processes(self) -> dict[int, str]:
        """Return every live process that belongs to this checkout, by pid, with its command line."""
        return dict(_mentioning(str(self.root)))

    def left(self) -> dict[int, str]:
        """Return the processes that stay: a plugin outlives its engine by the moment in which it notices the end."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.processes(), "nothing runs any more", deadline_s=30)
        return self.processes()

    def runs(self) -> list[dict[str, Any]]:
        """Return every run of the default model in this environment's tracking server."""
        uri = self.outputs()["tracking"]["uri"]
        experiment = call(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name=slipway/default")["experiment"]
        body = {"experiment_ids": [experiment["experiment_id"]], "max_results": 100}
        found: list[dict[str, Any]] = call(f"{uri}/api/2.0/mlflow/runs/search", body).get("runs", [])
        return found


def environment() -> dict[str, str]:
    """Return the environment of a user who has configured nothing: no backend, no passphrase of the caller."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "MLFLOW_", "RAY_"))}
    return {**kept, "NO_COLOR": "1"}


def checkout(folder: Path, stack: str, temporary: Path | None = None) -> Project:
    """Copy the project's files, tracked or new, into `folder`; dependencies are those of this checkout."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
    project = Project(folder, stack, temporary)
    project.configure()
    return project


def call(url: str, body: Any = None) -> Any:
    """Send one JSON request and return the JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def status_of(url: str) -> int:
    """Return the status of a GET; 0 when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = 120) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.1)


def _begun(events: Path) -> set[str]:
    """Return the names of the resources that the engine's event log tells the beginning of."""
    lines = events.read_text().split("\n")[:-1] if events.exists() else []  # the last may be half a line
    steps = [json.loads(line).get("resourcePreEvent", {}).get("metadata", {}) for line in lines]
    return {step["urn"].rsplit("::", 1)[1] for step in steps if step.get("op") not in (None, "same")}


def _mentioning(text: str) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environ = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if text in command or f"PWD={text}" in environ or text in environ:
                yield int(entry.name), command
