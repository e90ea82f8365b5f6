"""Verdicts from evidence, and the metrics that they rest on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training import metrics
from training.console import Refused
from training.gate import Verdict, decide
from training.metrics import Scored
from training.spec import Gate


def evidence(champion: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "task": "binary",
        "metrics": {"accuracy": 0.91, "log_loss": 0.3, "recall": 0.8},
        "baseline": {"metrics": {"accuracy": 0.6, "log_loss": 0.67}},
        "champion": champion,
        **changes,
    }


def champion(worse_by: float, standard_error: float = 0.01, **changes: Any) -> dict[str, Any]:
    return {
        "version": "2",
        "measure": "accuracy",
        "comparable": True,
        "blocking": False,
        "note": "",
        "rows": 100,
        "candidate_metrics": {"accuracy": 0.91},
        "champion_metrics": {"accuracy": 0.91 + worse_by},
        "worse_by": worse_by,
        "standard_error": standard_error,
        **changes,
    }


def verdict(found: dict[str, Any], tolerance: float | None = None, **floors: float) -> Verdict:
    return decide(found, Gate(floors=floors, tolerance=tolerance))


def test_a_candidate_above_its_floors_and_the_baseline_passes() -> None:
    assert verdict(evidence(), accuracy=0.9).word == "passed"
    assert verdict(evidence(), accuracy=0.9).reasons == []


def test_a_candidate_below_a_floor_is_rejected_with_the_numbers() -> None:
    found = verdict(evidence(), accuracy=0.95, recall=0.5)
    assert found.word == "rejected"
    assert found.reasons == ["accuracy 0.91 is below its floor 0.95"]


def test_the_floor_of_a_loss_is_the_most_it_may_be() -> None:
    assert verdict(evidence(), log_loss=0.4).passed
    assert verdict(evidence(), log_loss=0.2).reasons == ["log_loss 0.3 is above its limit 0.2"]


def test_a_floor_for_a_metric_that_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match=r"names rmse, which a binary task does not have: use accuracy, precision"):
        verdict(evidence(), rmse=1)


def test_a_floor_for_a_metric_that_could_not_be_measured_rejects() -> None:
    assert "could not be measured" in verdict(evidence(), roc_auc=0.5).reasons[0]


def test_a_candidate_no_better_than_no_model_is_rejected() -> None:
    found = verdict(evidence(metrics={"accuracy": 0.6, "log_loss": 0.67}))
    assert found.reasons == ["log_loss 0.67 is no better than the trivial baseline's 0.67"]


@pytest.mark.parametrize(
    ("worse_by", "tolerance", "word"),
    [
        (-0.1, None, "passed"),
        (0.0, None, "passed"),
        (0.02, None, "passed"),
        (0.021, None, "rejected"),
        (0.05, 0.05, "passed"),
        (0.06, 0.05, "rejected"),
    ],
)
def test_a_regression_is_judged_by_two_standard_errors_or_the_tolerance(
    worse_by: float, tolerance: float | None, word: str
) -> None:
    assert verdict(evidence(champion(worse_by)), tolerance).word == word


def test_identical_answers_are_no_regression_even_with_no_tolerance_at_all() -> None:
    assert verdict(evidence(champion(0.0, 0.0)), 0).passed
    assert not verdict(evidence(champion(0.001, 0.0)), 0).passed


def test_a_champion_that_cannot_be_loaded_does_not_stop_a_good_model() -> None:
    found = verdict(evidence(champion(0, comparable=False, note="it cannot be loaded")))
    assert found.passed
    assert any("not compared with champion 2: it cannot be loaded" in check.text for check in found.checks)


def test_a_champion_that_answers_another_question_does() -> None:
    found = verdict(evidence(champion(0, comparable=False, blocking=True, note="it predicts 'price'")))
    assert found.reasons == ["not compared with champion 2: it predicts 'price'"]


def test_the_digest_of_a_gate_is_of_its_limits_alone() -> None:
    gate = Gate(floors={"accuracy": 0.9})
    assert gate.digest == Gate(floors={"accuracy": 0.9}, on_failure="fail").digest
    assert gate.digest != Gate(floors={"accuracy": 0.8}).digest
    assert gate.digest != Gate(floors={"accuracy": 0.9}, tolerance=0.1).digest


# metrics


@pytest.mark.parametrize("classes", [2, 3])
def test_classification_metrics_are_those_of_scikit_learn(classes: int) -> None:
    from sklearn import metrics as known  # noqa: PLC0415

    chance = np.random.default_rng(3)
    truth = chance.integers(0, classes, 200)
    probabilities = chance.dirichlet(np.ones(classes), 200).round(1) + 0.01  # rounded: with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    found = metrics.measure("multiclass", truth, Scored(predicted, probabilities), classes)
    average = "binary" if classes == 2 else "macro"
    scores = probabilities[:, 1] if classes == 2 else probabilities
    assert found == pytest.approx(
        {
            "accuracy": known.accuracy_score(truth, predicted),
            "precision": known.precision_score(truth, predicted, average=average),
            "recall": known.recall_score(truth, predicted, average=average),
            "f1": known.f1_score(truth, predicted, average=average),
            "roc_auc": known.roc_auc_score(truth, scores, multi_class="ovr"),
            "log_loss": known.log_loss(truth, probabilities),
        }
    )


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    from sklearn import metrics as known  # noqa: PLC0415

    chance = np.random.default_rng(4)
    truth, values = chance.normal(size=50), chance.normal(size=50)
    assert metrics.measure("regression", truth, Scored(values), 0) == pytest.approx(
        {
            "rmse": known.root_mean_squared_error(truth, values),
            "mae": known.mean_absolute_error(truth, values),
            "r2": known.r2_score(truth, values),
        }
    )


def test_a_metric_that_is_not_defined_is_absent() -> None:
    one_class = metrics.measure("binary", np.zeros(4, int), Scored(np.zeros(4, int), np.full((4, 2), 0.5)), 2)
    assert "roc_auc" not in one_class
    assert "log_loss" in one_class
    assert "r2" not in metrics.measure("regression", np.ones(4), Scored(np.ones(4)), 0)


def test_the_standard_error_is_of_the_paired_difference() -> None:
    candidate, incumbent = np.array([1.0, 0, 1, 0]), np.array([0.0, 0, 1, 0])
    found = metrics.paired(candidate, incumbent)
    assert found == pytest.approx({"worse_by": 0.25, "standard_error": 0.25})
