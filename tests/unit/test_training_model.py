"""The tabular model, the evidence about it, parameters and specs; all without MLflow and Ray."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from training import card, entrypoint, evaluate, gate, lineage, spec, train
from training.console import Refused
from training.contracts import Trained, TrainingData, TrainSettings
from training.entrypoint import EntrypointFailed
from training.evaluate import Foreign, Native
from training.identity import code_digest, file_digest, identity
from training.tabular import Column, Features, TabularModel

FEATURES = Features(
    "binary",
    "answer",
    ("no", "yes"),
    (
        Column("size", "numeric", "float64", (), optional=True),
        Column("colour", "categorical", "string", ("blue", "red"), optional=True),
        Column("count", "numeric", "int64"),
    ),
)


def rows(count: int = 200) -> TrainingData:
    chance = np.random.default_rng(5)
    size, number = chance.normal(size=count), chance.integers(0, 9, count)
    size[::7] = np.nan
    colour = np.array(["red", "blue", None], dtype=object)[chance.integers(0, 3, count)]
    target = ((number > 4) ^ (colour == "red")).astype(np.int64)
    return TrainingData(FEATURES, {"size": size, "colour": colour, "count": number}, target)


@pytest.fixture(scope="module")
def model() -> TabularModel:
    data = rows()
    matrix = xgb.DMatrix(data.matrix, label=data.target, feature_types=["q", "c", "q"], enable_categorical=True)
    booster = xgb.train({"objective": "binary:logistic", "seed": 1, "nthread": 1}, matrix, 20)
    return TabularModel.load(bytes(booster.save_raw("ubj")), FEATURES.to_json())


def test_a_model_answers_the_same_after_a_round_trip(model: TabularModel, tmp_path: Path) -> None:
    model.write(tmp_path)
    again = TabularModel.read(tmp_path)
    assert again.features == model.features
    assert (again.scores(rows().matrix) == model.scores(rows().matrix)).all()
    assert (model.predict(rows().columns) == rows().labels).mean() > 0.95


@pytest.mark.parametrize("missing", [None, "", b"", "a colour never seen"])
def test_missing_and_unseen_categories_are_one(model: TabularModel, missing: Any) -> None:
    matrix = model.encode({"size": [None], "colour": [missing], "count": [3]})
    assert np.isnan(matrix[0, :2]).all()
    assert matrix[0, 2] == 3


def test_bytes_and_text_name_the_same_category(model: TabularModel) -> None:
    assert model.encode({"size": [1], "colour": ["red"], "count": [3]})[0, 1] == 1
    assert model.encode({"size": [1], "colour": [b"red"], "count": [3]})[0, 1] == 1


def test_an_optional_column_may_be_left_out_and_a_required_one_may_not(model: TabularModel) -> None:
    assert np.isnan(model.encode({"count": [3, 4]})[:, :2]).all()
    with pytest.raises(ValueError, match=r"columns \['count'\] are missing"):
        model.encode({"size": [1.0], "colour": ["red"]})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"count": ["three"]}, "column 'count' must hold numbers"),
        ({"count": [1e39]}, r"columns \['count'\] hold values beyond float32"),
        ({"count": [1, 2], "size": [1.0]}, "column 'size' has 1 rows, another one 2"),
        ({"count": [1], "colour": [["red"]]}, "column 'colour' must hold strings"),
    ],
)
def test_what_cannot_be_encoded_names_the_column(model: TabularModel, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.encode(columns)


def test_a_corrupt_model_is_refused(model: TabularModel) -> None:
    good = bytes(model.booster.save_raw("ubj"))
    with pytest.raises(ValueError, match=r"model\.ubj is no XGBoost model"):
        TabularModel.load(good[: len(good) // 2], FEATURES.to_json())
    fewer = Features("binary", "answer", ("no", "yes"), FEATURES.columns[:2])
    with pytest.raises(ValueError, match="not of one model"):
        TabularModel.load(good, fewer.to_json())
    with pytest.raises(ValueError, match="contract 7"):
        TabularModel.load(good, FEATURES.to_json().replace('"contract": 1', '"contract": 7'))


def test_evidence_counts_every_slice_and_is_json(model: TabularModel) -> None:
    found, scored = evaluate.evaluate(Native(model), rows(), rows())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert scored.values.shape == (200,)
    slices = {(one["column"], one["value"]): one["rows"] for one in found["slices"]}
    assert slices["answer", "no"] + slices["answer", "yes"] == 200
    assert slices["colour", "red"] + slices["colour", "blue"] + slices["colour", "missing"] == 200
    assert sum(count for (column, _), count in slices.items() if column == "size") == 200
    assert sum(one["rows"] for one in found["calibration"]) == 200
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert found["baseline"]["metrics"]["accuracy"] < found["metrics"]["accuracy"]


def test_a_model_of_another_library_is_measured_by_what_it_can() -> None:
    class Labels:
        def predict(self, frame: Any) -> Any:
            return np.where(frame["count"] > 4, "yes", "never heard of")

    found, scored = evaluate.evaluate(Foreign(Labels()), rows(), rows())
    assert set(scored.values.tolist()) == {-1, 1}
    assert "roc_auc" not in found["metrics"]
    assert found["calibration"] == []


def test_the_card_says_what_was_measured_and_where_the_model_is_from(model: TabularModel) -> None:
    found, _ = evaluate.evaluate(Native(model), rows(), rows())
    found |= {"champion": None, "notes": ["3 rows are repeated"], "features": FEATURES.names, "model": "xgboost"}
    found |= {"data_sha256": "d" * 64}
    text = card.render(spec.parse(raw()), found, gate.decide(found, spec.Gate(floors={"accuracy": 1.01})))
    for part in ("## Gate: rejected", "**failed**", "| accuracy |", "3 rows are repeated", "commit `abc`", "d" * 64):
        assert part in text


# parameters


def settings(**params: Any) -> TrainSettings:
    return TrainSettings("binary", params, 10, seed=3, cpus=1)


def test_own_parameters_win_over_defaults_under_either_name() -> None:
    assert train.parameters(rows(), settings(max_depth=9))["max_depth"] == 9
    chosen = train.parameters(rows(), settings(eta=0.5))
    assert chosen["learning_rate"] == 0.5
    assert "eta" not in chosen
    assert chosen["seed"] == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [({"seed": 1}, "may not set seed"), ({"objective": "reg:squarederror"}, "does not fit a binary task")],
)
def test_parameters_that_would_break_the_contract_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        train.parameters(rows(), settings(**params))


# entrypoints


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    source = (
        "from training.contracts import Trained\n"
        "def helper(): raise ValueError('the oven is cold')\n"
        "def raises(data, settings): helper()\n"
        "def wrong(data, settings): return 7\n"
        "def right(data, settings): return Trained('a model')\n"
    )
    (tmp_path / "bakery.py").write_text(source)
    (tmp_path / "unbaked.py").write_text("import there_is_no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "bakery", raising=False)
    return "bakery"


def test_a_custom_entrypoint_is_called(module: str) -> None:
    assert entrypoint.call(f"{module}:right", rows(), settings()) == Trained("a model")


def test_an_entrypoint_that_raises_reports_its_own_traceback(module: str) -> None:
    with pytest.raises(EntrypointFailed, match="ValueError: the oven is cold") as failed:
        entrypoint.call(f"{module}:raises", rows(), settings())
    report = failed.value.report
    assert "in helper" in report
    assert "training/entrypoint.py" not in report, "only the user's frames"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bakery:gone", "bakery has no function 'gone'"),
        ("patisserie:train", "there is no module patisserie"),
        ("bakery:wrong", "returned int: return training.contracts.Trained"),
    ],
)
def test_an_entrypoint_that_is_none_is_refused(module: str, name: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        entrypoint.call(name, rows(), settings())


def test_a_module_that_does_not_import_is_the_users_failure(module: str) -> None:
    with pytest.raises(EntrypointFailed, match="there_is_no_such_module"):
        entrypoint.call("unbaked:train", rows(), settings())


# specs and lineage


def raw(**changes: Any) -> dict[str, Any]:
    parts = {part: part for part in ("code", "lock", "data", "parameters", "seed", "split")}
    return {
        "contract": 1,
        "project": "slipway",
        "stack": "dev",
        "identity": identity(parts),
        "identity_parts": parts,
        "model_name": "default",
        "tracking_uri": "http://127.0.0.1:1",
        "code": {"root": "/gone", "files": ["training/a.py"], "lock": "lock.txt"},
        "data": {"uri": "x.csv", "target": "answer"},
        "training": {"params": {}, "resources": {"workers": 2}},
        "gate": {"floors": {}},
        "lineage": {"commit": "abc", "dirty": True},
        "storage": "",
        **changes,
    }


def test_a_spec_is_read_with_its_defaults() -> None:
    parsed = spec.parse(raw())
    assert parsed.training.resources.workers == 2
    assert parsed.training.rounds == 50
    assert parsed.code.files == ("training/a.py",)


def test_a_malformed_spec_names_everything_that_is_wrong() -> None:
    with pytest.raises(Refused) as refused:
        spec.parse(raw(data={"uri": "x", "colour": 1}, gate=None, identity_parts={}, surprise=1))
    for part in ("data.colour: unknown key", "'target'", "gate: an object", "surprise: unknown key", "identity_parts"):
        assert part in str(refused.value)
    with pytest.raises(Refused, match="contract 2"):
        spec.parse(raw(contract=2))


def snapshot(tmp_path: Path) -> spec.RunSpec:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "a.py").write_text("A = 1\n")
    (tmp_path / "lock.txt").write_text("xgboost==1\n")
    digests = {"code": code_digest(tmp_path, ["training/a.py"]), "lock": file_digest(tmp_path / "lock.txt")}
    parts = {**raw()["identity_parts"], **digests}
    return spec.parse(raw(identity_parts=parts, identity=identity(parts)))


def test_code_that_is_what_the_stack_wants_is_accepted(tmp_path: Path) -> None:
    lineage.verify(snapshot(tmp_path), tmp_path)


def test_other_code_is_refused_with_both_digests_and_the_cure(tmp_path: Path) -> None:
    wanted = snapshot(tmp_path)
    (tmp_path / "training" / "a.py").write_text("A = 2\n")
    with pytest.raises(
        Refused, match=rf"holds code \w+, the stack wants {wanted.identity_parts['code'][:12]}: run `up`"
    ):
        lineage.verify(wanted, tmp_path)


def test_another_lock_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    wanted = snapshot(tmp_path)
    (tmp_path / "lock.txt").write_text("xgboost==2\n")
    with pytest.raises(Refused, match="holds lock"):
        lineage.verify(wanted, tmp_path)
    (tmp_path / "training" / "a.py").unlink()
    with pytest.raises(Refused, match="does not hold"):
        lineage.verify(wanted, tmp_path)


def test_the_tags_say_which_commit_and_whether_it_was_edited() -> None:
    tags = lineage.tags(spec.parse(raw()))
    assert tags["mlflow.source.git.commit"] == "abc"
    assert tags["slipway.git.dirty"] == "true"
    assert tags["slipway.identity.code"] == "code"
    assert "slipway.git.dirty" not in lineage.tags(spec.parse(raw(lineage={})))
