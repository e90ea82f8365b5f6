"""The environment that the engine gets, the passphrase, and the stack that is meant."""

import hashlib
import json
import shlex
from pathlib import Path

import pytest

from infra.engine.environment import compose, exports, make_state, places
from infra.engine.find import HOST_NAME, Engine
from infra.engine.layout import Project
from infra.engine.stacks import chosen_stack, config_copy, state_folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    return Project(tmp_path)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "pulumi").touch()
    return Engine(folder / "pulumi", "3.259.0", official=False)


def test_state_and_passphrase_lie_in_the_project(project: Project, engine: Engine) -> None:
    composed = compose(project, engine, {"PATH": "/bin"})
    assert composed["PULUMI_BACKEND_URL"] == f"file://{project.root}/.slipway/state"
    assert composed["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{project.root}/.slipway/passphrase"


@pytest.mark.parametrize(
    "name", ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"]
)
def test_what_the_user_set_stays(project: Project, engine: Engine, name: str) -> None:
    assert compose(project, engine, {"PATH": "/bin", name: "mine"})[name] == "mine"


def test_what_another_clone_exported_is_not_the_user_s_choice(project: Project, engine: Engine, tmp_path: Path) -> None:
    other = compose(Project(tmp_path / "other"), engine, {"PATH": "/bin"})
    composed = compose(project, engine, other)
    assert {name: composed[name] for name in places(project)} == places(project)
    chosen = compose(project, engine, {**other, "PULUMI_BACKEND_URL": "s3://states"})
    assert chosen["PULUMI_BACKEND_URL"] == "s3://states"


def test_a_passphrase_in_the_environment_needs_no_file(project: Project, engine: Engine) -> None:
    composed = compose(project, engine, {"PATH": "/bin", "PULUMI_CONFIG_PASSPHRASE": ""})
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in composed
    make_state(project, composed)
    assert not (project.generated / "passphrase").exists()


def test_only_an_engine_that_was_built_here_may_not_fetch_plugins(project: Project, engine: Engine) -> None:
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" in compose(project, engine, {"PATH": "/bin"})
    official = Engine(engine.path, engine.version, official=True)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in compose(project, official, {"PATH": "/bin"})


def test_the_project_s_language_host_is_offered_only_where_none_is(project: Project, engine: Engine) -> None:
    own = str(project.engine_folder / "host")
    assert own in compose(project, engine, {"PATH": "/bin"})["PATH"].split(":")
    official = engine.path.parent / HOST_NAME
    official.touch()
    official.chmod(0o755)
    assert own not in compose(project, engine, {"PATH": "/bin"})["PATH"].split(":")


def test_the_virtualenv_and_the_engine_come_first_on_the_path(project: Project, engine: Engine) -> None:
    path = compose(project, engine, {"PATH": f"/bin:{engine.path.parent}"})["PATH"].split(":")
    assert path[:2] == [str(project.venv / "bin"), str(engine.path.parent)]
    assert path.count(str(engine.path.parent)) == 1


def test_exported_lines_are_safe_to_evaluate(project: Project, engine: Engine) -> None:
    composed = compose(project, engine, {"PATH": "/bin/with space", "SECRET": "x"})
    lines = dict(shlex.split(line)[1].split("=", 1) for line in exports(project, composed).splitlines())
    assert lines["PATH"].startswith(f"{project.engine_folder}/bin:{project.venv}/bin:")
    assert lines["PATH"].endswith(":/bin/with space")
    assert "SECRET" not in lines


def test_the_passphrase_is_made_once_for_its_owner_alone(project: Project, engine: Engine) -> None:
    composed = compose(project, engine, {"PATH": "/bin"})
    make_state(project, composed)
    passphrase = project.generated / "passphrase"
    first = passphrase.read_text()
    assert len(first) == 64
    assert passphrase.stat().st_mode & 0o777 == 0o600
    make_state(project, composed)
    assert passphrase.read_text() == first
    assert sorted(entry.name for entry in project.generated.iterdir()) == ["passphrase", "state"]


def test_another_backend_makes_no_state_folder(project: Project, engine: Engine) -> None:
    composed = compose(project, engine, {"PATH": "/bin", "PULUMI_BACKEND_URL": "s3://states"})
    make_state(project, composed)
    assert not (project.generated / "state").exists()
    assert state_folder(composed) is None


def test_the_stack_is_dev_unless_one_was_chosen(project: Project, engine: Engine, tmp_path: Path) -> None:
    composed = compose(project, engine, {"PATH": "/bin", "PULUMI_HOME": str(tmp_path / "home")})
    assert chosen_stack(project, composed) == "dev"
    digest = hashlib.sha1(str(project.root / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    settings = tmp_path / "home" / "workspaces" / f"slipway-{digest}-workspace.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"stacks": {composed["PULUMI_BACKEND_URL"]: "organization/slipway/prod"}}))
    assert chosen_stack(project, composed) == "prod"
    assert chosen_stack(project, {**composed, "PULUMI_STACK": "gpu"}) == "gpu"


def test_the_engine_reads_a_copy_of_the_stack_file_as_it_is_now(project: Project) -> None:
    assert config_copy(project, "dev") is None
    project.stack_file("dev").write_text("config: {}\n")
    copy = config_copy(project, "organization/slipway/dev")
    assert copy is not None
    copy.write_text("config: {}\nencryptionsalt: v1:x\n")
    project.stack_file("dev").write_text("config: {a: 1}\n")
    assert config_copy(project, "dev") == copy
    assert copy.read_text() == "config: {a: 1}\n"
