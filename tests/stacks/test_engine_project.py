"""The real engine and language host on a tiny project: what a user sees of `./pulumiw`."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.stacks.engine_clone import STACK, Clone, is_running, make_clone, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A git clone whose stack `dev` is up."""
    made = make_clone(tmp_path_factory.mktemp("clone") / "project")
    subprocess.run("git init -q && git add -A", shell=True, cwd=made.root, check=True)  # noqa: S602  fixed text
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "x"], cwd=made.root, check=True
    )
    said = made.run("up", "-s", "dev")
    assert "created the stack 'dev' of Pulumi.dev.yaml" in said
    assert "+ 3 created" in said
    assert f"program in {made.root}" in said
    return made


def test_up_again_changes_nothing_and_needs_no_stack_name(clone: Clone) -> None:
    assert "3 unchanged" in clone.run("up")


def test_a_path_plugin_runs_in_the_virtualenv_that_it_names(clone: Clone) -> None:
    pid = int((clone.root / "provider.pid").read_text())
    wait_until(lambda: not is_running(pid), "the provider's end")
    assert (clone.root / "creates").read_text().splitlines() == ["create"]


def test_every_verb_leaves_the_clone_as_committed(clone: Clone) -> None:
    for verb in ("preview", "up", "refresh", "stack output", "config get tiny:size"):
        clone.run(*verb.split(), "-s", "dev")
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone.root, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""
    assert (clone.root / "Pulumi.dev.yaml").read_text() == STACK


def test_a_changed_stack_file_is_seen_at_once(clone: Clone) -> None:
    (clone.root / "Pulumi.dev.yaml").write_text(STACK.replace("5", "6"))
    try:
        said = clone.run("preview")
    finally:
        (clone.root / "Pulumi.dev.yaml").write_text(STACK)
    assert re.search(r"~ 1 to update", said)


def test_a_program_that_raises_is_told_with_its_own_traceback_only(clone: Clone) -> None:
    (clone.root / "Pulumi.dev.yaml").write_text(STACK + "  tiny:broken: true\n")
    try:
        said = clone.run("up", status=1)
    finally:
        (clone.root / "Pulumi.dev.yaml").write_text(STACK)
    assert "LookupError: no such size" in said
    assert "helper.py" in said
    assert "infra/engine" not in said
    assert "asyncio" not in said


def test_get_prints_one_leaf(clone: Clone) -> None:
    assert clone.run("get", "serving.url", "-s", "dev") == "http://127.0.0.1:1\n"
    assert clone.run("get", "serving.sizes.1") == "2\n"
    assert "serving.sizes.1, serving.url" in clone.run("get", "serving.uri", status=1)


def test_a_secret_output_is_shown_only_when_asked_for(clone: Clone) -> None:
    assert clone.run("get", "hidden") == "[secret]\n"
    assert clone.run("get", "hidden", "--show-secrets") == "told to nobody\n"
    state = "".join(file.read_text() for file in (clone.root / ".slipway" / "state").rglob("*.json"))
    assert "told to nobody" not in state


def test_plain_pulumi_does_the_same_after_env(clone: Clone) -> None:
    script = 'eval "$(./pulumiw env)" && command -v pulumi && pulumi up && cd program && pulumi stack output serving'
    ran = subprocess.run(
        ["sh", "-ec", script], cwd=clone.root, env=clone.environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith(f"{clone.root}/infra/engine/bin/pulumi\n")
    assert "3 unchanged" in ran.stdout
    assert json.loads(ran.stdout.strip().splitlines()[-1])["url"] == "http://127.0.0.1:1"
    assert (clone.root / "Pulumi.dev.yaml").read_text() == STACK


def test_plain_pulumi_leaves_another_project_alone(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    (tmp_path / "state").mkdir()
    script = f'eval "$({clone.root}/pulumiw env)" && pulumi stack init mine && pulumi stack ls --json'
    environment = {**clone.environment(), "PULUMI_BACKEND_URL": f"file://{tmp_path}/state"}
    ran = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert [stack["name"] for stack in json.loads(ran.stdout)] == ["mine"]


def test_a_stack_without_a_file_is_not_created(clone: Clone) -> None:
    said = clone.run("up", "-s", "prod", status=1)
    assert "no file Pulumi.prod.yaml" in said
    assert "files exist for: dev" in said


def test_outputs_of_a_stack_that_was_never_up_name_the_next_step(clone: Clone) -> None:
    assert "./pulumiw up -s gpu" in clone.run("get", "serving.url", "-s", "gpu", status=1)


def test_removing_a_stack_keeps_its_committed_file(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "project")
    clone.run("preview")
    assert "delete Pulumi.dev.yaml too" in clone.run("destroy", "--remove", status=1)
    clone.run("stack", "rm", "dev", "--yes")
    assert (clone.root / "Pulumi.dev.yaml").read_text() == STACK
    assert not (clone.root / ".slipway" / "state" / ".pulumi" / "stacks" / "tiny" / "dev.json").exists()


def test_a_secret_in_the_stack_file_is_read_back(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "project")
    clone.run("config", "set", "--secret", "tiny:token", "swordfish", "-s", "dev")
    assert "swordfish" not in (clone.root / "Pulumi.dev.yaml").read_text()
    clone.run("up")
    assert clone.run("config", "get", "tiny:token", "-s", "dev").strip() == "swordfish"


def test_a_virtualenv_that_is_not_the_host_s_is_refused_by_name(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "project")
    project = clone.root / "Pulumi.yaml"
    project.write_text(project.read_text().replace("virtualenv: .venv", "virtualenv: other"))
    assert f"virtualenv {clone.root}/other" in clone.run("up", status=1)


def test_a_folder_with_spaces_works(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "a project")
    assert "+ 3 created" in clone.run("up")
    assert "- 3 deleted" in clone.run("destroy")
    assert clone.resources() == []
