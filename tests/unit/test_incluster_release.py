"""The Jobs that wait for a release and show a verdict, against a registry that the test plays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.kubernetes.incluster import release, verdict
from infra.kubernetes.incluster.ending import Failure
from infra.kubernetes.incluster.release import STATE_TAG, Wanted
from serving import controller
from tests.serving.fakes import FakeRegistry


def wanted(candidate: str | None = "2", wait: str = "done", timeout_s: float = 60) -> Wanted:
    return Wanted(model="default", candidate=candidate, strategy="rolling", wait=wait, timeout_s=timeout_s)


def state(phase: str, candidate: str = "2", champion: str | None = None, reason: str | None = None) -> str:
    return json.dumps({"phase": phase, "candidate": candidate, "champion": champion, "reason": reason})


class Acting(FakeRegistry):
    """A registry whose release goes one step on with each look."""

    def __init__(self, *steps: tuple[str | None, str]) -> None:
        super().__init__()
        self._steps = list(steps)

    def model(self, name: str) -> Any:
        if self._steps:
            champion, tag = self._steps.pop(0)
            self.aliases = {} if champion is None else {"champion": champion}
            self.tags = {STATE_TAG: tag}
        return super().model(name)


def nap(_: float) -> None:
    """Let no time pass."""


def test_the_tag_is_the_one_that_the_controller_writes() -> None:
    assert STATE_TAG == controller.STATE_TAG


def test_a_release_is_waited_for() -> None:
    registry = Acting(("1", state("testing")), ("1", state("testing")), ("2", state("released", champion="2")))
    found = release.wait(registry, wanted(), nap)
    assert found == {"champion": "2", "challenger": None, "phase": "released", "warning": None}


def test_started_waits_for_nothing() -> None:
    assert release.wait(Acting((None, "{}")), wanted(wait="started"), nap)["champion"] is None


def test_nothing_to_serve_is_a_failure_and_a_champion_without_a_candidate_is_not() -> None:
    with pytest.raises(Failure, match="nothing to serve"):
        release.wait(Acting((None, "{}")), wanted(candidate=None), nap)
    assert release.wait(Acting(("1", "{}")), wanted(candidate=None), nap)["champion"] == "1"


def test_a_refused_candidate_is_a_warning_while_there_is_a_champion(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = state("testing", champion="1"), state("refused", champion="1", reason="it was rolled back")
    found = release.wait(Acting(("1", before), ("1", after)), wanted(), nap)
    assert found["warning"] == "it was rolled back"
    assert "version 1 stays champion" in capsys.readouterr().out
    with pytest.raises(Failure, match="nothing to serve"):
        release.wait(Acting((None, state("testing")), (None, state("refused", reason="r"))), wanted(), nap)


def test_a_failed_candidate_is_a_failure_with_its_reason() -> None:
    steps = (("1", state("testing", champion="1")), ("1", state("failed", champion="1", reason="no smoke")))
    with pytest.raises(Failure, match=r"version 2 was not released \(failed\): no smoke; version 1 stays champion"):
        release.wait(Acting(*steps), wanted(), nap)


def test_a_failure_from_before_is_not_taken_for_the_answer() -> None:
    old = state("failed", champion="1", reason="no memory")
    registry = Acting(("1", old), ("1", old), ("2", state("released", champion="2")))
    assert release.wait(registry, wanted(), nap)["champion"] == "2"


def test_a_release_that_never_begins_says_so() -> None:
    with pytest.raises(Failure, match="the release controller has not begun it"):
        release.wait(Acting(("1", state("released", candidate="1"))), wanted(timeout_s=0), nap)


def test_a_registry_that_is_down_is_asked_until_time_is_up() -> None:
    registry = FakeRegistry(down=True)
    with pytest.raises(Failure, match="connection refused"):
        release.wait(registry, wanted(timeout_s=0), nap)


@pytest.mark.parametrize(("word", "candidate"), [("passed", "4"), ("rejected", None)])
def test_only_a_passed_version_is_a_candidate(word: str, candidate: str | None) -> None:
    result = {
        "run_id": "r", "model_version": "4", "verdict": word, "metrics": {}, "reasons": [], "gate": "g", "contract": 1,
    }  # fmt: skip
    shown = verdict.shown(result)
    assert shown["candidate"] == candidate
    assert set(shown) == {"run_id", "model_version", "verdict", "metrics", "reasons", "candidate"}
