"""Offline previews: which plugin answers, which state, what is refused, and what the user's own state sees of it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.engine import cli, manifests, offline
from infra.engine.environment import OFFLINE, is_offline
from infra.engine.find import Engine
from infra.engine.invocation import parse
from infra.engine.layout import Project, StopError
from infra.engine.offline import answering, preview, refuse_changes, surroundings
from infra.engine.packs import VARIABLE, with_pack
from infra.kubernetes import findings

AWS = "config:\n  slipway:substrate:\n    kind: aws\n"
LOCAL = "config:\n  slipway:substrate: {kind: local}\n"


def executable(file: Path, text: str = "#!/bin/sh\n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    (root / "Pulumi.prod.yaml").write_text(AWS)
    (root / "Pulumi.dev.yaml").write_text(LOCAL)
    (root / ".slipway").mkdir()
    for name in offline.PLUGINS:
        executable(root / "tests" / "standins" / "bin" / f"pulumi-resource-{name}")
    return Project(root)


@pytest.fixture
def environment(project: Project, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": f"{tmp_path / 'bin'}:/bin:/usr/bin",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{project.root}/.slipway/state",
        "PULUMI_CONFIG_PASSPHRASE": "x",
    }


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


@pytest.mark.parametrize(("value", "on"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_the_mode_is_on_by_one_value(value: str | None, *, on: bool) -> None:
    assert is_offline({} if value is None else {OFFLINE: value}) is on


def test_a_value_that_says_neither_is_refused() -> None:
    with pytest.raises(StopError, match="SLIPWAY_OFFLINE is 'yes'"):
        is_offline({OFFLINE: "yes"})


def test_the_program_reads_the_variable_that_the_command_sets() -> None:
    assert findings.OFFLINE == OFFLINE


@pytest.mark.parametrize(
    "line",
    ["up", "destroy -s prod", "refresh --preview-only", "import x y z", "stack init a", "stack rm a", "stack output",
     "config set a b", "state delete x", "cancel", "watch"],
)  # fmt: skip
def test_everything_that_works_on_a_real_state_is_refused_with_the_reason(line: str) -> None:
    with pytest.raises(StopError, match=r"only previews, .* a state that is thrown away") as refused:
        refuse_changes(parse(line.split()))
    assert f"env -u SLIPWAY_OFFLINE ./pulumiw {line}" in str(refused.value)


@pytest.mark.parametrize("line", ["preview", "pre -s prod", "preview --json", "up --help", "version", "about", ""])
def test_previews_and_what_touches_no_stack_pass(line: str) -> None:
    refuse_changes(parse(line.split()))


def test_the_command_refuses_before_it_looks_for_an_engine(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    monkeypatch.setattr(offline, "require_ready", lambda _: pytest.fail("it looked"))
    assert cli.main(project.root, ["up", "-s", "prod"]) == 2
    assert "`up` would work on a real one" in capfd.readouterr().err


def test_the_stand_ins_answer_from_an_empty_state(project: Project, environment: dict[str, str], scratch: Path) -> None:
    composed = surroundings(project, environment, scratch)
    assert answering(project, composed) == {"aws": "stand-in", "kubernetes": "stand-in"}
    assert composed["PULUMI_BACKEND_URL"] == f"file://{scratch}/state"
    assert list((scratch / "state").iterdir()) == []
    assert composed[OFFLINE] == "1"
    assert composed["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_official_plugins_are_told_apart_on_path_and_in_the_cache(
    project: Project, environment: dict[str, str], scratch: Path, tmp_path: Path
) -> None:
    executable(tmp_path / "bin" / "pulumi-resource-aws")
    executable(tmp_path / "home" / "plugins" / "resource-kubernetes-v4.34.0" / "pulumi-resource-kubernetes")
    assert answering(project, environment) == {"aws": "official", "kubernetes": "official"}
    wanted = {**environment, offline.PLUGINS_VARIABLE: "official"}
    assert surroundings(project, wanted, scratch)["PATH"] == environment["PATH"]


def test_a_stand_in_never_answers_for_an_official_plugin(
    project: Project, environment: dict[str, str], scratch: Path
) -> None:
    standing = f"{project.root}/tests/standins/bin:{environment['PATH']}"
    with pytest.raises(StopError, match=r"no official plugin answers for aws, kubernetes: install it"):
        surroundings(project, {**environment, "PATH": standing, offline.PLUGINS_VARIABLE: "official"}, scratch)


def test_a_missing_stand_in_is_said(project: Project, environment: dict[str, str], scratch: Path) -> None:
    (project.root / "tests" / "standins" / "bin" / "pulumi-resource-aws").unlink()
    with pytest.raises(StopError, match=r"no stand-in plugin answers for aws: .*tests/standins/bin lacks it"):
        surroundings(project, environment, scratch)


def test_another_choice_of_plugins_is_refused(project: Project, environment: dict[str, str], scratch: Path) -> None:
    with pytest.raises(StopError, match="SLIPWAY_OFFLINE_PLUGINS is 'mine'"):
        surroundings(project, {**environment, offline.PLUGINS_VARIABLE: "mine"}, scratch)


def test_what_would_have_to_be_fetched_is_named_with_its_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(Path("/opt/pulumi"), "3.259.0", official=False)
    complete: Callable[[manifests.Source], bool] = lambda _: False  # noqa: E731
    monkeypatch.setattr(offline, "engine_for", lambda _: engine)
    monkeypatch.setattr(offline, "is_ready", lambda _, dev: True)
    monkeypatch.setattr(manifests, "is_complete", complete)
    with pytest.raises(StopError, match=r"lacks the manifests of KubeRay .*pulumiw setup --kubernetes"):
        offline.require_ready(project)
    monkeypatch.setattr(manifests, "is_complete", lambda _: True)
    assert offline.require_ready(project) is engine


ENGINE = """#!/bin/sh
echo "$@" >> {log}
case $1 in
    stack) mkdir -p "${{PULUMI_BACKEND_URL#file://}}/.pulumi" && touch "${{PULUMI_BACKEND_URL#file://}}/.pulumi/made" ;;
    preview) echo "state $PULUMI_BACKEND_URL" >> {log}; exit 7 ;;
esac
"""


def test_the_engine_runs_in_a_state_that_is_gone_afterwards(
    project: Project, environment: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    engine = Engine(executable(tmp_path / "pulumi", ENGINE.format(log=log)), "3.259.0", official=False)
    assert preview(project, parse(["preview", "-s", "prod"]), engine, environment) == 7, "the engine's own status"
    init, asked, state = log.read_text().splitlines()
    assert init == "stack init prod --no-select --non-interactive"
    place = Path(state.removeprefix("state file://"))
    assert f"--config-file {place.parent}/Pulumi.prod.yaml" in asked
    assert f"--policy-pack {project.root}/infra/policies/pack" in asked
    assert not place.parent.exists()
    assert list((project.root / ".slipway").iterdir()) == [], "neither the user's state nor his config copy was touched"
    first = capfd.readouterr().err.splitlines()[0]
    assert first.startswith(
        "slipway: offline preview of 'prod': aws is the stand-in plugin, kubernetes is the stand-in plugin; "
    )


@pytest.mark.parametrize(
    ("line", "stack", "added"),
    [
        ("preview", "prod", True),
        ("up --yes", "organization/slipway/prod", True),
        ("refresh", "prod", False),
        ("destroy", "prod", False),
        ("preview", "dev", False),
        ("preview", "none", False),
    ],
)
def test_the_pack_judges_previews_and_ups_on_aws(project: Project, line: str, stack: str, *, added: bool) -> None:
    judged = with_pack(project, parse(line.split()), stack, {})
    assert (f"{project.root}/infra/policies/pack" in judged.arguments) is added


def test_the_user_s_packs_win_and_it_is_said(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    judged = with_pack(project, parse(["up", "--policy-pack=mine"]), "prod", {})
    assert judged.arguments == ("up", "--policy-pack=mine")
    assert "the project's own is left out; both: add --policy-pack " in capfd.readouterr().err


def test_leaving_the_pack_out_is_never_silent(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    assert with_pack(project, parse(["up"]), "prod", {VARIABLE: "off"}).arguments == ("up",)
    assert "SLIPWAY_POLICY_PACK=off: " in capfd.readouterr().err
    with pytest.raises(StopError, match="SLIPWAY_POLICY_PACK is 'no'"):
        with_pack(project, parse(["up"]), "prod", {VARIABLE: "no"})


@pytest.mark.parametrize(("variable", "command"), [("OFFLINE=1", "SLIPWAY_OFFLINE=1 ./pulumiw preview -s prod"),
                                                  ("OFFLINE=", "./pulumiw preview -s prod")])  # fmt: skip
def test_make_preview_has_the_mode_too(variable: str, command: str) -> None:
    root = Path(__file__).parents[2]
    said = subprocess.run(
        ["make", "-n", "--no-print-directory", "preview", "STACK=prod", variable],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == command
