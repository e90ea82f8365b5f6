"""Bad inputs are named with value, rule and fix, all at once."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from infra.local import resources
from infra.local.provider import rules
from infra.local.provider.provider import TYPES
from infra.local.provider.rules import Rule, problems
from infra.local.provider.values import UNKNOWN

RULES: Mapping[str, Rule] = {
    "port": rules.PORT,
    "url": rules.URL,
    "note": Rule(accepts=rules.is_text, says="text", required=False),
}


def test_good_inputs_have_no_problems() -> None:
    assert problems(RULES, {"port": 5000, "url": "http://127.0.0.1"}) == []


def test_every_problem_is_reported_at_once_with_value_and_rule() -> None:
    found = problems(RULES, {"port": 70000, "url": "127.0.0.1", "colour": "red"})
    assert [problem.name for problem in found] == ["port", "url", "colour"]
    assert found[0].reason == "port must be a port between 1 and 65535, and is 70000"
    assert "the inputs are note, port, url" in found[2].reason


def test_a_missing_input_says_what_it_should_be() -> None:
    (found,) = problems(RULES, {"url": "http://127.0.0.1"})
    assert found.reason == "port is missing: it must be a port between 1 and 65535"


def test_an_unknown_value_passes_in_a_preview() -> None:
    assert problems(RULES, {"port": UNKNOWN, "url": UNKNOWN}) == []


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (rules.PATH, "/tmp/x", "x"),  # noqa: S108  a path in a comparison
        (rules.SECONDS, 0.5, 0),
        (rules.SECONDS, 3, True),
        (rules.FLAG, False, "false"),
        (rules.PORT, 1, 0),
        (rules.PORT, 65535, "80"),
        (rules.TEXTS, ["a"], "a"),
        (rules.TEXT_MAP, {"a": ""}, {"a": 1}),
        (rules.JSON_OBJECT, '{"a": 1}', "[1]"),
        (rules.JSON_OBJECT, "{}", "{"),
    ],
)
def test_each_rule_tells_good_from_bad(rule: Rule, good: Any, bad: Any) -> None:
    assert rule.accepts(good)
    assert not rule.accepts(bad)


def test_inputs_that_would_bloat_the_state_are_refused_by_the_largest() -> None:
    (found,) = problems({"spec": rules.TEXT, "name": rules.TEXT}, {"spec": "x" * 20_000, "name": "n"})
    assert found.name == "spec"
    assert "16000" in found.reason


@pytest.mark.parametrize("kind", ["Process", "RayJob", "ServeApplication", "DataFolder"])
def test_the_programs_classes_and_the_providers_rules_name_the_same_inputs(kind: str) -> None:
    given = set(inspect.signature(getattr(resources, kind).__init__).parameters) - {"self", "resource_name", "opts"}
    assert given == set(TYPES[f"slipway:local:{kind}"].rules) - {"running"}, "running is set by the provider itself"
