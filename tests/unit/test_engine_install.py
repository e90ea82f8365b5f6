"""How an engine gets onto a machine that has none."""

import stat
from pathlib import Path

import pytest

from infra.engine import install
from infra.engine.find import HOST_NAME, Engine
from infra.engine.install import SHIM, ensure_language_host, install_engine
from infra.engine.layout import Project, StopError
from infra.engine.versions import ENGINE_BUILT

GO = """\
#!/bin/sh
if [ "$1" = env ]; then echo go{version}; exit; fi
for last in "$@"; do :; done
echo "$@" >> "$(dirname "$0")/calls"
echo "go: downloading something v1" >&2
echo "example.org/package" >&2
{ending}
"""
BUILDS = f"""\
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho v{ENGINE_BUILT}\\n' > "$2"; chmod +x "$2"
"""
FAILS = "echo 'main.go:3: no such thing' >&2; exit 1"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without an engine, from which the installer cannot be reached; its folder of commands."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "reachable", lambda: False)
    return commands


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project" / "infra" / "engine").mkdir(parents=True)
    return Project(tmp_path / "project")


def put_go(commands: Path, *, version: str = "1.26.8", ending: str = BUILDS) -> None:
    go = commands / "go"
    go.write_text(GO.format(version=version, ending=ending))
    go.chmod(0o755)


def test_it_is_built_once_where_only_go_is_there(
    bare: Path, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    put_go(bare)
    built = install_engine(project)
    assert built == Engine(built.path, ENGINE_BUILT, official=False)
    assert "engine built in" in capsys.readouterr().err
    assert install_engine(project) == built
    assert len((bare / "calls").read_text().splitlines()) == 1


def test_a_build_that_fails_leaves_nothing_and_shows_why(bare: Path, project: Project, tmp_path: Path) -> None:
    put_go(bare, ending=FAILS)
    with pytest.raises(StopError, match=r"main\.go:3: no such thing"):
        install_engine(project)
    assert not [file for file in (tmp_path / "cache").rglob("*pulumi*") if file.is_file()]


@pytest.mark.parametrize("version", [None, "1.19.8"])
def test_without_a_usable_go_the_message_names_it_and_how_to_get_it(
    bare: Path, project: Project, version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version:
        put_go(bare, version=version)
    else:
        monkeypatch.setattr(install, "find_go", lambda: None)
    with pytest.raises(StopError, match=r"needs Go 1\.21 or later.*go\.dev/dl"):
        install_engine(project)


def test_an_installer_that_fails_is_followed_by_a_build(
    bare: Path, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_go(bare)
    monkeypatch.setattr(install, "reachable", lambda: True)
    project.python.parent.mkdir(parents=True)
    project.python.write_text("#!/bin/sh\necho 'the download broke' >&2; exit 1\n")
    project.python.chmod(0o755)
    assert not install_engine(project).official
    assert "the download broke" in capsys.readouterr().err


def test_the_language_host_is_put_beside_a_built_engine_only(tmp_path: Path) -> None:
    ensure_language_host(Engine(tmp_path / "pulumi", "3.300.0", official=True))
    assert not (tmp_path / HOST_NAME).exists()
    ensure_language_host(Engine(tmp_path / "pulumi", ENGINE_BUILT, official=False))
    assert (tmp_path / HOST_NAME).read_text() == SHIM
    assert (tmp_path / HOST_NAME).stat().st_mode & stat.S_IXUSR


def test_an_unreachable_installer_is_found_out_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "INSTALLER", "https://127.0.0.1:9/install.sh")
    assert not install.reachable()
