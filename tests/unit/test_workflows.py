"""GitHub's workflows: linted, every action by digest, no more rights than needed, nothing secret for forks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.engine.versions import ENGINE_OFFICIAL
from tests.tools import actionlint

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
WRITES_ALLOWED = {("preview.yml", "live", "id-token"), ("preview.yml", "comment", "pull-requests")}


def lint(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [str(actionlint()), "-no-color", "-shellcheck=", "-pyflakes=", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def jobs(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from yaml.safe_load(text)["jobs"].items()


def loose(text: str) -> list[str]:
    """Return the actions that are not pinned by digest, with their version beside it."""
    used = re.findall(r"uses:\s*(.+)$", text, re.MULTILINE)
    return [action for action in used if not PINNED.match(action)]


def granted(text: str) -> set[tuple[str, str]]:
    """Return job and scope of every right to write."""
    document = yaml.safe_load(text)
    if document["permissions"] != {}:
        return {("*", str(document["permissions"]))}
    return {
        (name, scope)
        for name, job in document["jobs"].items()
        for scope, right in job["permissions"].items()
        if right != "read"
    }


def open_to_forks(text: str) -> list[str]:
    """Return the jobs that a pull request of a fork starts, and that get a secret or a right to write."""
    return [
        name
        for name, job in jobs(text)
        if SAME_REPOSITORY not in str(job.get("if", ""))
        and ("secrets." in str(job) or set(job.get("permissions", {"*": "write"}).values()) - {"read"})
    ]


def substituted(text: str) -> list[str]:
    """Return the scripts into which GitHub would paste somebody else's text."""
    return [
        step["run"] for _, job in jobs(text) for step in job["steps"] if "run" in step and "${{" in str(step["run"])
    ]


def test_the_workflows_are_those_that_the_project_has() -> None:
    assert [file.name for file in FILES] == ["ci.yml", "preview.yml"]


def test_the_linter_finds_nothing() -> None:
    found = lint(*FILES)
    assert found.returncode == 0, found.stdout


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    text = (FOLDER / "preview.yml").read_text()
    wrong.write_text(text.replace("needs.live.outputs.text", "needs.nobody.outputs.text", 1).replace("on:", "on:", 1))
    found = lint(wrong)
    assert found.returncode == 1
    assert "nobody" in found.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_digest(file: Path) -> None:
    assert "uses:" in file.read_text()
    assert loose(file.read_text()) == []


def test_a_tag_is_no_digest() -> None:
    assert loose("- uses: actions/checkout@v6\n- uses: a/b@" + "0" * 40 + "\n") == [
        "actions/checkout@v6",
        "a/b@" + "0" * 40,
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rights_to_write_are_those_that_were_decided(file: Path) -> None:
    allowed = {(job, scope) for name, job, scope in WRITES_ALLOWED if name == file.name}
    assert granted(file.read_text()) == allowed


def test_a_right_more_would_be_found() -> None:
    text = (FOLDER / "ci.yml").read_text().replace("contents: read", "contents: write")
    assert granted(text) == {("test", "contents")}
    assert granted(text.replace("permissions: {}", "permissions: write-all")) == {("*", "write-all")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_forks_get_no_secret_and_no_right_to_write(file: Path) -> None:
    text = file.read_text()
    assert open_to_forks(text) == []
    assert "pull_request_target" not in text, "it runs somebody else's code with this repository's rights"
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


def test_a_secret_for_forks_would_be_found() -> None:
    text = (FOLDER / "preview.yml").read_text().replace(f"{SAME_REPOSITORY}\n      && github.actor", "github.actor")
    assert open_to_forks(text) == ["live", "comment"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_text_of_others_becomes_part_of_a_script(file: Path) -> None:
    assert substituted(file.read_text()) == []


def test_a_pasted_title_would_be_found() -> None:
    text = (FOLDER / "ci.yml").read_text().replace(".ci/run", "echo ${{ github.event.pull_request.title }}")
    assert substituted(text) == ["echo ${{ github.event.pull_request.title }}"]


def test_a_pull_request_starts_either_preview_and_never_both() -> None:
    found = dict(jobs((FOLDER / "preview.yml").read_text()))
    terms = {name: " ".join(str(found[name]["if"]).split()) for name in ("offline", "live")}
    opposite = terms["live"]
    for one, other in (("==", "!="), ("&&", "||")):
        opposite = opposite.replace(one, "\0").replace(other, one).replace("\0", other)
    assert opposite == terms["offline"]


def test_the_engine_is_the_version_that_the_project_pins() -> None:
    text = (FOLDER / "preview.yml").read_text()
    assert text.count("pulumi/actions@") == 2
    assert re.findall(r'pulumi-version: "(.+)"', text) == [ENGINE_OFFICIAL] * 2
