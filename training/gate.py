"""The gate: a verdict from evidence, without models or data, so that it can be drawn again with other limits.

Own rules rather than `mlflow.validate_evaluation_results`: that compares two numbers, while a regression is judged
here by the paired difference per row and its standard error, which needs no guessed tolerance (ADR 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.console import Refused, names
from training.metrics import LOWER_IS_BETTER, known
from training.spec import Gate
from training.tabular import Task

STANDARD_ERRORS = 2
"""How many standard errors of the paired difference a candidate may be worse by, unless a tolerance is set."""


@dataclass(frozen=True)
class Check:
    """One condition: what was looked at, and how it came out in one sentence."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """Passed when every check did."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def word(self) -> str:
        return "passed" if self.passed else "rejected"

    @property
    def reasons(self) -> list[str]:
        """Why the candidate was rejected; empty when it passed."""
        return [check.text for check in self.checks if not check.passed]


def check_floors(gate: Gate, task: Task) -> None:
    """Refuse floors for metrics that a task does not have.

    Raises:
        Refused: names the unknown metrics and the known ones.
    """
    unknown = sorted(set(gate.floors) - set(known(task)))
    if unknown:
        raise Refused(
            f"slipway:gate.floors names {names(unknown)}, which a {task} task does not have: use {names(known(task))}"
        )


def decide(evidence: Mapping[str, Any], gate: Gate) -> Verdict:
    """Draw the verdict from the evidence that `training.evaluate` recorded.

    Raises:
        Refused: see `check_floors`.
    """
    check_floors(gate, evidence["task"])
    metrics = evidence["metrics"]
    checks = [_floor(name, floor, metrics.get(name)) for name, floor in sorted(gate.floors.items())]
    checks.append(_baseline(metrics, evidence["baseline"]["metrics"], evidence["task"]))
    checks.append(_champion(evidence["champion"], gate.tolerance))
    return Verdict(tuple(checks))


def _floor(name: str, limit: float, value: float | None) -> Check:
    if value is None:
        return Check(name, passed=False, text=f"{name} has the floor {limit:g} and could not be measured on this model")
    if name in LOWER_IS_BETTER:
        passed = value <= limit
        return Check(name, passed, f"{name} {value:.4g} {'<=' if passed else 'is above its limit'} {limit:g}")
    passed = value >= limit
    return Check(name, passed, f"{name} {value:.4g} {'>=' if passed else 'is below its floor'} {limit:g}")


def _baseline(metrics: Mapping[str, float], trivial: Mapping[str, float], task: Task) -> Check:
    """A model that learnt something beats the one that always gives the commonest class, or the mean.

    Judged by log loss where there are probabilities: on rare classes accuracy cannot tell a good model from none.
    """
    name = "rmse" if task == "regression" else "log_loss" if "log_loss" in metrics else "accuracy"
    value, other = metrics[name], trivial[name]
    passed = value < other if name in LOWER_IS_BETTER else value > other
    relation = "beats" if passed else "is no better than"
    return Check("baseline", passed, f"{name} {value:.4g} {relation} the trivial baseline's {other:.4g}")


def _champion(champion: Mapping[str, Any] | None, tolerance: float | None) -> Check:
    """No regression: worse than the champion on the same rows by no more than the tolerance."""
    if champion is None:
        return Check("champion", passed=True, text="there is no champion to compare with")
    version, measure = champion["version"], champion["measure"]
    if not champion["comparable"]:
        text = f"not compared with champion {version}: {champion['note']}"
        return Check("champion", passed=not champion["blocking"], text=text)
    allowed = STANDARD_ERRORS * champion["standard_error"] if tolerance is None else tolerance
    source = f"{STANDARD_ERRORS} standard errors of the paired difference" if tolerance is None else "the tolerance"
    worse = champion["worse_by"]
    passed = worse <= allowed
    ours, theirs = champion["candidate_metrics"][measure], champion["champion_metrics"][measure]
    relation = "no worse" if worse <= 0 else f"worse by {worse:.4g}, allowed are {allowed:.4g} ({source})"
    rows = champion["rows"]
    text = f"{measure} {ours:.4g} against {theirs:.4g} of champion {version} on the same {rows} rows: {relation}"
    return Check("champion", passed, text)
