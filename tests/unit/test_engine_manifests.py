"""Third-party manifests: pinned, checked, fetched by `setup` and by nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.engine import install, manifests
from infra.engine.layout import Project, StopError

CONTENT = b"kind: ClusterRole\n"
GO = """#!/bin/sh
echo '{{"Dir": "{folder}"}}'
"""
REFUSES = """#!/bin/sh
echo '{"Error": "verifying module: checksum mismatch"}'
exit 1
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> manifests.Source:
    """One file of an invented release; nothing is cached yet, and there is no Go."""
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "find_go", lambda: None)
    monkeypatch.setattr(manifests, "_archive", unreachable)
    return dataclasses.replace(manifests.KUBERAY, files={"config/rbac/role.yaml": hashlib.sha256(CONTENT).hexdigest()})


def unreachable(_source: manifests.Source) -> Callable[[str], bytes]:
    raise OSError("no route to host")


def put_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str = GO, content: bytes = CONTENT) -> None:
    module = tmp_path / "module"
    (module / "config" / "rbac").mkdir(parents=True)
    (module / "config" / "rbac" / "role.yaml").write_bytes(content)
    go = tmp_path / "go"
    go.write_text(script.format(folder=module) if script is GO else script)
    go.chmod(0o755)
    monkeypatch.setattr(install, "find_go", lambda: str(go))


def test_they_come_from_the_go_module_and_are_read_only(
    source: manifests.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path, monkeypatch)
    manifests.fetch(source)
    role = manifests.folder(source) / "role.yaml"
    assert role.read_bytes() == CONTENT
    assert role.stat().st_mode & 0o222 == 0


def test_nothing_is_fetched_twice(source: manifests.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_go(tmp_path, monkeypatch)
    manifests.fetch(source)
    monkeypatch.setattr(install, "find_go", lambda: None)
    manifests.fetch(source)


def test_a_file_with_another_digest_is_refused_and_leaves_nothing(
    source: manifests.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path, monkeypatch, content=b"kind: ClusterRole # and one rule more\n")
    with pytest.raises(StopError, match=r"role.yaml of kuberay .* has sha256 .* pinned is"):
        manifests.fetch(source)
    assert not manifests.is_complete(source)
    assert list(source.target.parent.iterdir()) == []


def test_the_archive_is_used_where_go_does_not_vouch_for_the_module(
    source: manifests.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path, monkeypatch, script=REFUSES)
    monkeypatch.setattr(manifests, "_archive", lambda _source: lambda _path: CONTENT)
    manifests.fetch(source)
    assert manifests.is_complete(source)


def test_an_archive_is_read_by_the_paths_of_the_module(
    source: manifests.Source, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("kuberay-1.6.2/README.md", "kuberay-1.6.2/ray-operator/config/rbac/role.yaml"):
            member = tarfile.TarInfo(name)
            member.size = len(CONTENT)
            archive.addfile(member, io.BytesIO(CONTENT))
    (tmp_path / "release.tar.gz").write_bytes(packed.getvalue())
    monkeypatch.undo()
    here = dataclasses.replace(source, archive=(tmp_path / "release.tar.gz").as_uri())
    read = manifests._archive(here)
    assert read("config/rbac/role.yaml") == CONTENT


def test_with_neither_way_the_message_tells_both(source: manifests.Source) -> None:
    with pytest.raises(StopError, match=r"Go is not installed.*no route to host.*install Go"):
        manifests.fetch(source)


def test_the_program_is_told_which_command_fills_the_cache(source: manifests.Source) -> None:
    with pytest.raises(StopError, match=r"pulumiw setup --kubernetes"):
        manifests.folder(source)


def test_a_changed_pin_makes_the_cache_incomplete(
    source: manifests.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path, monkeypatch)
    manifests.fetch(source)
    assert not manifests.is_complete(dataclasses.replace(source, files={**source.files, "a.yaml": "0" * 64}))


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ("config:\n  slipway:substrate:\n    kind: kubernetes\n    operators: managed\n", True),
        ("config:\n  slipway:substrate: {kind: kubernetes, context: kind, operators: managed}\n", True),
        ('config:\n  slipway:substrate:\n    kind: "aws"\n', True),
        ("config:\n  slipway:substrate:\n    kind: kubernetes\n", False),
        ("config:\n  slipway:substrate:\n    kind: local\n    # operators: managed\n", False),
    ],
)
def test_manifests_are_for_stacks_that_install_operators(tmp_path: Path, content: str, *, asked: bool) -> None:
    (tmp_path / "Pulumi.prod.yaml").write_text(content)
    assert manifests.wanted(Project(tmp_path), "prod") is asked
    assert not manifests.wanted(Project(tmp_path), "dev"), "another stack's operators are no concern of this one"


def test_go_checks_both_modules_against_committed_sums() -> None:
    sums = (manifests.MODULES / "go.sum").read_text()
    for source in manifests.SOURCES:
        assert f"{source.module} v{source.version} h1:" in sums, f"nothing vouches for {source.module}"
        assert f"{source.module} v{source.version}\n" in (manifests.MODULES / "go.mod").read_text()
