"""How `./pulumiw` reads a command line, and what it adds to it."""

import pytest

from infra.engine.invocation import parse, without_questions


@pytest.mark.parametrize(
    ("line", "verb", "subverb", "stack"),
    [
        ("up -s dev", "up", "", "dev"),
        ("up --stack=prod --diff", "up", "", "prod"),
        ("update -s=prod", "up", "", "prod"),
        ("--color never pre --stack dev", "preview", "", "dev"),
        ("stack --stack dev output serving", "stack", "output", "dev"),
        ("stack output -s dev --json", "stack", "output", "dev"),
        ("config set slipway:data x", "config", "set", None),
        ("down", "destroy", "", None),
        ("up -- -s other", "up", "", None),
        ("up -s", "up", "", None),
    ],
)
def test_verb_and_stack_are_found_in_every_spelling(line: str, verb: str, subverb: str, stack: str | None) -> None:
    read = parse(line.split())
    assert (read.verb, read.subverb, read.stack) == (verb, subverb, stack)


def test_the_engine_gets_the_arguments_as_given() -> None:
    given = ["--color", "never", "up", "-s", "dev", "--", "x"]
    assert list(parse(given).arguments) == given


@pytest.mark.parametrize("line", ["", "--help", "up --help", "up -h", "--version", "-v 3"])
def test_a_line_that_asks_for_help_or_nothing_touches_no_stack(line: str) -> None:
    assert not parse(line.split()).takes_stack()


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("up", True),
        ("stack output", True),
        ("stack", True),
        ("stack init x", False),
        ("stack ls", False),
        ("version", False),
    ],
)
def test_only_verbs_on_a_stack_take_one(line: str, takes: bool) -> None:  # noqa: FBT001  a table's column
    assert parse(line.split()).takes_stack() is takes


def test_another_folder_is_another_project() -> None:
    assert parse(["-C", "/elsewhere", "up"]).elsewhere
    assert not parse(["up"]).elsewhere


def test_flags_are_put_behind_the_verb_and_before_a_separator() -> None:
    changed = parse(["--color", "never", "up", "--", "x"]).with_flags("--stack", "dev")
    assert changed.arguments == ("--color", "never", "up", "--stack", "dev", "--", "x")


@pytest.mark.parametrize("verb", ["up", "destroy", "refresh", "import"])
def test_without_a_terminal_nothing_is_asked_and_all_but_the_default_stack_is_previewed_first(verb: str) -> None:
    given = [without_questions(parse([verb]), stack=name, terminal=False) for name in ("prod", "dev")]
    assert [one.arguments for one in given] == [(verb, "--yes"), (verb, "--yes", "--skip-preview")]


def test_on_a_terminal_only_the_default_stack_is_not_asked_about() -> None:
    assert without_questions(parse(["up"]), stack="dev", terminal=True).has("--yes")
    assert not without_questions(parse(["up"]), stack="prod", terminal=True).has("--yes")


@pytest.mark.parametrize(
    "line", ["up --yes", "up -y", "up -f", "destroy --preview-only", "up --yes=false", "up --plan p"]
)
def test_what_the_user_chose_stays(line: str) -> None:
    read = parse(line.split())
    assert without_questions(read, stack="dev", terminal=False) == read


@pytest.mark.parametrize("line", ["preview", "stack output", "config set a b", "watch"])
def test_a_verb_that_asks_nothing_gets_no_answer(line: str) -> None:
    read = parse(line.split())
    assert without_questions(read, stack="dev", terminal=False) == read
