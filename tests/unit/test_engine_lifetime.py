"""`stack init NAME --copy-config-from STACK` writes the end of an ephemeral environment into its file."""

import json
import shlex
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.engine import lifetime
from infra.engine.find import Engine
from infra.engine.invocation import parse
from infra.engine.layout import Project, StopError
from infra.engine.lifetime import has_end, read, stack_of, with_end
from stacks.config import EnvironmentConfig

NOW = datetime(2026, 11, 24, 22, 30, 15, tzinfo=UTC)
END = "2026-11-25T06:30:15Z"
FLOW = "config:\n  slipway:lifetime: {hours: 8}  # a working day\n  slipway:data: {uri: x, target: y}\n"
BLOCK = "config:\n  slipway:lifetime:\n    # a working day\n    hours: 8\n  slipway:data: {uri: x, target: y}\n"


def lifetime_of(text: str) -> Any:
    return yaml.safe_load(text)["config"]["slipway:lifetime"]


@pytest.mark.parametrize("text", [FLOW, BLOCK, BLOCK.replace("\n  slipway:data: {uri: x, target: y}\n", "")])
def test_the_end_is_now_plus_the_hours_in_both_ways_of_writing(text: str) -> None:
    written, end = with_end(text, NOW, "f")
    assert end == END
    assert lifetime_of(written) == {"hours": 8, "expires_at": END}
    assert [line for line in text.splitlines() if line not in written.splitlines()] in ([], [text.splitlines()[1]])


def test_the_end_is_told_in_utc_wherever_it_is_written() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-5)))
    assert with_end(FLOW, elsewhere, "f")[1] == END


@pytest.mark.parametrize(
    "text",
    [
        FLOW.replace("}  #", ', expires_at: "2020-01-01T00:00:00Z"}  #'),
        FLOW.replace("{hours", '{expires_at: "2020-01-01T00:00:00Z", hours'),
        BLOCK.replace("hours: 8", 'hours: 8\n    expires_at: "2020-01-01T00:00:00Z"'),
    ],
)
def test_an_end_that_was_copied_is_the_other_stack_s(text: str) -> None:
    assert lifetime_of(text)["expires_at"].startswith("2020"), "the control"
    assert lifetime_of(with_end(text, NOW, "f")[0]) == {"hours": 8, "expires_at": END}


def test_half_hours_count() -> None:
    assert with_end(FLOW.replace("8", "0.5"), NOW, "f")[1] == "2026-11-24T23:00:15Z"


@pytest.mark.parametrize("text", ["config:\n  slipway:data: {uri: x}\n", "config:\n  slipway:lifetime: {}\n"])
def test_without_hours_nothing_is_written(text: str) -> None:
    assert with_end(text, NOW, "f") == (text, None)


def test_a_lifetime_that_is_not_understood_is_said_and_not_guessed() -> None:
    with pytest.raises(StopError, match="lifetime of f is not written"):
        with_end("config:\n  slipway:lifetime: {\n    hours: 8}\n", NOW, "f")


def test_the_config_takes_what_is_written() -> None:
    written = lifetime_of(with_end(FLOW, NOW, "f")[0])
    minimal = {"substrate": {"kind": "local"}, "data": {"uri": "x", "target": "y"}, "lifetime": written}
    config = EnvironmentConfig.model_validate_json(json.dumps(minimal))
    assert config.lifetime is not None
    assert config.lifetime.expires_at == NOW + timedelta(hours=8)
    assert not config.lifetime.expired(NOW)


@pytest.mark.parametrize(
    "line",
    [
        "stack init gpu-pr42 --copy-config-from gpu --no-select --secrets-provider awskms://x",
        "stack --copy-config-from=gpu init gpu-pr42 --secrets-provider awskms://x --no-select",
        "stack init --secrets-provider awskms://x --no-select -s gpu-pr42 --copy-config-from organization/slipway/gpu",
    ],
)
def test_names_and_flags_are_found_in_every_order(line: str) -> None:
    asked = read(tuple(shlex.split(line)))
    assert (asked.name, asked.source, asked.select) == ("gpu-pr42", "gpu", False)
    assert asked.flags == ("--secrets-provider", "awskms://x")


def test_a_line_without_a_name_is_refused() -> None:
    with pytest.raises(StopError, match="both names are needed"):
        read(("stack", "init", "--copy-config-from", "gpu"))


@pytest.mark.parametrize(
    ("line", "copies"),
    [
        ("stack init x --copy-config-from gpu", True),
        ("stack init x", False),
        ("stack init x --copy-config-from gpu --help", False),
        ("-C /elsewhere stack init x --copy-config-from gpu", False),
    ],
)
def test_only_a_copy_here_is_taken_over(line: str, *, copies: bool) -> None:
    assert lifetime.copies(parse(line.split())) is copies


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\n")
    (tmp_path / "Pulumi.gpu.yaml").write_text(FLOW)
    (tmp_path / "Pulumi.mine.yaml").write_text("config: {}\n")
    invocation = parse(["stack", "init", "mine", "--copy-config-from", "gpu"])
    environment = {"PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    engine = Engine(tmp_path / "pulumi", "3.259.0", official=False)
    with pytest.raises(StopError, match=r"Pulumi.mine.yaml already"):
        lifetime.make_copy(Project(tmp_path), invocation, engine, environment, NOW)
    assert (tmp_path / "Pulumi.mine.yaml").read_text() == "config: {}\n"


def test_the_stack_that_is_removed_is_found_and_whether_it_was_ephemeral(tmp_path: Path) -> None:
    assert stack_of(("stack", "rm", "--yes", "gpu-pr42")) == "gpu-pr42"
    assert stack_of(("stack", "rm", "-s", "gpu-pr42")) == "gpu-pr42"
    template, copy = tmp_path / "a", tmp_path / "b"
    template.write_text(FLOW)
    copy.write_text(with_end(FLOW, NOW, "f")[0])
    assert (has_end(template), has_end(copy), has_end(tmp_path / "none")) == (False, True, False)
