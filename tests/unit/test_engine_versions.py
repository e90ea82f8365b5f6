"""Which engine is taken."""

from pathlib import Path

import pytest

from infra.engine import find
from infra.engine.versions import ENGINE_BUILT, ENGINE_OFFICIAL, at_least, parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.259.0", (3, 259, 0)),
        ("go1.26.8", (1, 26, 8)),
        ("3.300.1-alpha.2+dirty\n", (3, 300, 1)),
        ("", ()),
        ("dev", ()),
    ],
)
def test_a_version_is_read_in_every_form_tools_print_it(text: str, version: tuple[int, ...]) -> None:
    assert parse(text) == version


@pytest.mark.parametrize(
    ("found", "enough"),
    [("3.259.0", True), ("3.260.0", True), ("4.0.0", True), ("3.99.0", False), ("3.258.9", False), ("", False)],
)
def test_the_pinned_version_or_a_later_one_is_enough(found: str, enough: bool) -> None:  # noqa: FBT001  a table's column
    assert at_least(found, "3.259.0") is enough


def test_the_built_version_is_the_one_of_the_go_module() -> None:
    module = (ROOT / "infra/engine/go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 v{ENGINE_BUILT}" in module


def test_the_official_version_is_the_one_of_the_locked_sdk() -> None:
    assert f"\npulumi=={ENGINE_OFFICIAL} " in (ROOT / "requirements/program.txt").read_text()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and an empty home."""
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "cache"


def fake_engine(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    engine = folder / "pulumi"
    engine.write_text(f"#!/bin/sh\necho v{version}\n")
    engine.chmod(0o755)
    return engine


@pytest.mark.usefixtures("cache")
def test_nothing_is_found_on_a_bare_machine(tmp_path: Path) -> None:
    assert find.find_engine([str(tmp_path / "nowhere"), ""]) is None


@pytest.mark.usefixtures("cache")
def test_an_engine_on_the_path_is_taken_when_it_is_new_enough(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path / "bin", "3.300.0")
    assert find.find_engine([str(tmp_path / "bin")]) == find.Engine(engine, "3.300.0", official=True)


def test_an_old_engine_on_the_path_is_named_and_passed_over(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_engine(tmp_path / "bin", "3.100.0")
    built = fake_engine(cache / "engine" / ENGINE_BUILT / "bin", ENGINE_BUILT)
    assert find.find_engine([str(tmp_path / "bin")]) == find.Engine(built, ENGINE_BUILT, official=False)
    assert "3.100.0" in capsys.readouterr().err


def test_an_installed_engine_comes_before_a_built_one(cache: Path) -> None:
    fake_engine(cache / "engine" / ENGINE_BUILT / "bin", ENGINE_BUILT)
    installed = fake_engine(cache / "engine" / ENGINE_OFFICIAL / "bin", ENGINE_OFFICIAL)
    assert find.find_engine([]) == find.Engine(installed, ENGINE_OFFICIAL, official=True)


def test_a_built_engine_stays_a_built_one_when_its_folder_is_on_the_path(cache: Path) -> None:
    built = fake_engine(cache / "engine" / ENGINE_BUILT / "bin", ENGINE_BUILT)
    found = find.find_engine([str(built.parent)])
    assert found is not None
    assert not found.official


@pytest.mark.usefixtures("cache")
def test_this_project_s_own_wrapper_is_not_taken_for_an_engine() -> None:
    assert find.find_engine([str(ROOT / "infra" / "engine" / "bin")]) is None


@pytest.mark.usefixtures("cache")
def test_a_replaced_engine_is_asked_again(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path / "bin", "3.300.0")
    assert find.engine_version(engine) == "3.300.0"
    engine.write_text("#!/bin/sh\necho v3.3010.0\n")
    assert find.engine_version(engine) == "3.3010.0"
