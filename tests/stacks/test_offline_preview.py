"""Offline previews of the committed stack files by the real engine: nothing but this checkout is needed or touched."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.engine import manifests
from tests.stacks.project import Project, checkout, environment

AT_LEAST = {"staging": 150, "prod": 200, "gpu": 150}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout; the shell has no credentials, no home of AWS or Kubernetes, and a proxy that leads nowhere."""
    manifests.fetch(*manifests.SOURCES)
    return checkout(tmp_path_factory.mktemp("offline"), "prod-is-committed", tmp_path_factory.mktemp("tmp"))


def ask(clone: Project, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in environment().items() if not name.startswith(("AWS_", "KUBE"))}
    nowhere = "http://127.0.0.1:9"
    shell = {
        **kept,
        "SLIPWAY_OFFLINE": "1",
        "TMPDIR": str(clone.temporary),
        "HTTPS_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "KUBECONFIG": "/nonexistent",
        **variables,
    }
    command = [str(clone.root / "pulumiw"), *arguments]
    return subprocess.run(
        command, cwd=clone.root, env=shell, capture_output=True, text=True, check=False, timeout=300,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def steps(said: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr[-4000:]
    found: list[dict[str, Any]] = json.loads(said.stdout)["steps"]
    return found


@pytest.mark.parametrize("stack", AT_LEAST)
def test_a_stack_file_previews_whole_from_an_empty_state(clone: Project, stack: str) -> None:
    said = ask(clone, "preview", "-s", stack, "--json")
    made = steps(said)
    assert {step["op"] for step in made} <= {"create", "read"}
    assert len(made) >= AT_LEAST[stack]
    kinds = {step["urn"].split("::")[2].rpartition("$")[2] for step in made}
    assert {"aws:eks/cluster:Cluster", "aws:rds/instance:Instance", "kubernetes:ray.io/v1:RayService"} <= kinds
    first = said.stderr.splitlines()[0]
    assert first.startswith(
        f"slipway: offline preview of {stack!r}: aws is the stand-in plugin, kubernetes is the stand-in"
    )
    assert "exited prematurely" not in said.stderr + said.stdout


def test_nothing_is_left_behind(clone: Project) -> None:
    steps(ask(clone, "preview", "-s", "gpu", "--json"))
    assert clone.temporary is not None
    assert not list(clone.temporary.glob("slipway-offline-*"))
    state = clone.root / ".slipway" / "state"
    assert not list(state.rglob("*.json")), "the user's state has no stack of it"
    assert not (clone.root / ".slipway" / "config").exists()
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone.root, capture_output=True, text=True, check=True
    ).stdout
    assert [line for line in changed.splitlines() if "prod-is-committed" not in line] == []


def test_a_stack_file_that_breaks_a_rule_is_refused_by_the_program_itself(clone: Project) -> None:
    file = clone.root / "Pulumi.gpu.yaml"
    former = file.read_text()
    file.write_text(re.sub(r"(name: gpu, .*max: )\d+", r"\g<1>99", former))
    try:
        assert file.read_text() != former, "the control: the file has a pool"
        said = ask(clone, "preview", "-s", "gpu", SLIPWAY_POLICY_PACK="off")
    finally:
        file.write_text(former)
    assert said.returncode != 0
    assert "rule(s) of infra/policies are broken, so nothing is changed" in said.stdout
    assert "scalingConfig.maxSize = 99" in said.stdout
    assert "SLIPWAY_POLICY_PACK=off: " in said.stderr


@pytest.mark.parametrize(("flags", "told"), [((), False), (("--debug",), True)])
def test_what_the_sdk_does_is_told_only_where_it_is_shown(clone: Project, flags: tuple[str, ...], told: bool) -> None:  # noqa: FBT001
    """By an event log, which holds what the engine was told, shown or not."""
    log = clone.root / "told.json"
    said = ask(clone, "preview", "-s", "gpu", *flags, "--event-log", str(log), PULUMI_DEBUG_COMMANDS="true")
    assert said.returncode == 0, said.stderr
    events = [json.loads(line) for line in log.read_text().splitlines()]
    log.unlink()
    messages = [event["diagnosticEvent"]["message"] for event in events if "diagnosticEvent" in event]
    assert any("resource registration" in message for message in messages) is told, messages[:5]


def test_an_up_is_refused_and_nothing_is_started(clone: Project) -> None:
    said = ask(clone, "up", "-s", "prod")
    assert said.returncode == 2
    assert "SLIPWAY_OFFLINE=1 only previews" in said.stderr
    assert said.stdout == ""


def _official() -> bool:
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return all(list(home.glob(f"plugins/resource-{name}-v*")) for name in ("aws", "kubernetes"))


@pytest.mark.skipif(not _official(), reason="the official AWS and Kubernetes plugins are not installed here")
def test_the_official_plugins_pass_too(clone: Project) -> None:
    said = ask(clone, "preview", "-s", "prod", "--json", SLIPWAY_OFFLINE_PLUGINS="official")
    assert len(steps(said)) >= AT_LEAST["prod"]
    assert "aws is the official plugin, kubernetes is the official plugin" in said.stderr
