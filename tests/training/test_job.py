"""The training job against a real tracking server, as a process of its own."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from tests.training.conftest import DEADLINE_S, Workshop, kill_session
from training.tabular import TabularModel

pytestmark = pytest.mark.slow


def test_a_run_ends_with_a_registered_version_and_its_evidence(workshop: Workshop) -> None:
    spec = workshop.spec(gate={"floors": {"accuracy": 0.8}})
    done = workshop.run(spec)
    assert done.status == 0, done.log
    for step in (
        "load      150 rows, 4 numeric columns from sklearn:iris",
        "split",
        "train",
        "evaluate",
        "gate",
        "register",
    ):
        assert any(line.startswith(step) for line in done.lines), done.log
    (run,), (version,) = workshop.runs(), workshop.versions()
    result = workshop.result(spec)
    assert run.info.status == "FINISHED"
    assert (result["verdict"], result["model_version"], result["champion"]) == ("passed", version.version, None)
    assert run.data.metrics["accuracy"] == result["metrics"]["accuracy"]
    assert version.tags["slipway.release"] == "candidate"
    assert version.tags["slipway.identity"] == run.data.tags["slipway.identity"] == spec["identity"]
    assert version.tags["mlflow.source.git.commit"] == "0123abcd"
    assert run.data.tags["slipway.git.dirty"] == "true"
    assert workshop.evidence(run.info.run_id)["rows"]["held_out"] > 0
    assert "## Gate: passed" in mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/evidence/model-card.md")
    assert workshop.client.get_registered_model(workshop.model_name).aliases == {}, "aliases belong to the controller"


def test_a_finished_run_is_adopted_and_not_trained_again(workshop: Workshop) -> None:
    spec = workshop.spec()
    workshop.run(spec)
    again = workshop.run(spec)
    assert again.status == 0
    assert "adopted" in again.log
    assert "train " not in again.log
    assert (len(workshop.runs()), len(workshop.versions())) == (1, 1)


def test_the_same_identity_gives_the_same_metrics(workshop: Workshop) -> None:
    results = []
    for name in (f"{workshop.model_name}-a", f"{workshop.model_name}-b"):
        other = Workshop(workshop.root, workshop.tracking_uri, name)
        other.run(other.spec())
        results.append(other.result(other.spec()))
    assert results[0]["identity"] == results[1]["identity"]
    assert results[0]["run_id"] != results[1]["run_id"]
    assert results[0]["metrics"] == results[1]["metrics"]


def table(rows: int = 240) -> pd.DataFrame:
    """Return rows of every kind of column, with missing values in each that may have them."""
    chance = random.Random(11)  # noqa: S311  not for secrets
    frame = pd.DataFrame(
        {
            "size": [chance.gauss(0, 1) for _ in range(rows)],
            "colour": pd.Series([chance.choice(["red", "green", "blue"]) for _ in range(rows)], dtype=object),
            "count": [chance.randrange(10) for _ in range(rows)],
            "new": [chance.random() < 0.5 for _ in range(rows)],
            "known": [float(chance.randrange(5)) for _ in range(rows)],
        }
    )
    signal_ = frame["size"] + (frame["colour"] == "red") * 2 + frame["count"] / 5
    frame.loc[::9, "colour"] = None
    frame.loc[::7, "size"] = np.nan
    frame["grade"] = pd.cut(signal_, [-9, 0.8, 2, 9], labels=["low", "mid", "high"]).astype(str)
    frame["price"] = signal_ * 100
    frame["won"] = signal_ > 1.5
    return frame


@pytest.mark.parametrize(
    ("target", "task", "format_"),
    [("grade", "multiclass", "parquet"), ("price", "regression", "csv"), ("won", "binary", "parquet")],
)
def test_categories_and_missing_values_mean_the_same_in_mlflow_and_natively(
    workshop: Workshop, tmp_path: Path, target: str, task: str, format_: str
) -> None:
    frame = table().drop(columns=list({"grade", "price", "won"} - {target}))
    path = tmp_path / f"rows.{format_}"
    frame.to_parquet(path) if format_ == "parquet" else frame.to_csv(path, index=False)
    spec = workshop.spec(data={"uri": str(path), "target": target}, training={"rounds": 30})
    done = workshop.run(spec)
    assert done.status == 0, done.log
    result = workshop.result(spec)
    assert workshop.evidence(result["run_id"])["task"] == task
    uri = f"models:/{workshop.model_name}/{result['model_version']}"
    pyfunc = mlflow.pyfunc.load_model(uri)
    slipway = pyfunc.metadata.metadata["slipway"]
    folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "model")))
    assert (folder / slipway["booster"]).is_file()
    native = TabularModel.read((folder / slipway["features"]).parent)
    features = frame.drop(columns=[target])
    by_pyfunc = pyfunc.predict(features)
    by_native = native.predict({str(name): features[name].astype(object).to_numpy() for name in features})
    assert by_pyfunc.tolist() == by_native.tolist()
    assert type(by_native.tolist()[0]) in {bool, str, float}
    required = {column.name: column.required for column in pyfunc.metadata.signature.inputs}
    assert required == {"size": False, "colour": False, "count": True, "new": True, "known": True}
    assert len(pyfunc.input_example) == 3
    assert len(pyfunc.predict(pyfunc.input_example)) == 3


def test_a_worse_candidate_is_rejected_and_the_champion_left_alone(workshop: Workshop) -> None:
    workshop.run(workshop.spec(data={"uri": "sklearn:wine"}))
    workshop.client.set_registered_model_alias(workshop.model_name, "champion", "1")
    worse = workshop.spec(data={"uri": "sklearn:wine"}, training={"rounds": 1, "params": {"max_depth": 1}})
    done = workshop.run(worse)
    assert done.status == 0, "a rejected candidate is a successful run"
    result = workshop.result(worse)
    assert (result["verdict"], result["champion"]) == ("rejected", "1")
    assert "of champion 1 on the same" in result["reasons"][0]
    assert workshop.versions()[1].tags["slipway.release"] == "rejected"
    assert workshop.client.get_model_version_by_alias(workshop.model_name, "champion").version == "1"
    compared = workshop.evidence(result["run_id"])["champion"]
    assert compared["worse_by"] > 2 * compared["standard_error"]
    assert compared["champion_metrics"]["accuracy"] > compared["candidate_metrics"]["accuracy"]

    lenient = {**worse, "gate": {**worse["gate"], "tolerance": 0.9}}
    judged = workshop.run(lenient, "--regate")
    assert judged.status == 0, judged.log
    assert "train " not in judged.log
    assert workshop.result(worse)["verdict"] == "passed"
    assert workshop.result(worse)["gate"] != result["gate"]
    assert workshop.versions()[1].tags["slipway.release"] == "candidate"
    assert workshop.evidence(result["run_id"], "verdict.json")["verdict"] == "passed"

    workshop.client.set_model_version_tag(workshop.model_name, "2", "slipway.release", "rolled_back")
    assert "verdict: rejected" in workshop.run(worse).log, "an adopted run is judged by the gate that is asked for"
    assert workshop.versions()[1].tags["slipway.release"] == "rolled_back", "set by the controller, so it stays"
    assert len(workshop.versions()) == 2


def test_a_champion_that_cannot_be_loaded_is_noted_and_does_not_block(workshop: Workshop) -> None:
    client = workshop.client
    run = client.create_run(client.create_experiment(f"elsewhere/{workshop.model_name}"))
    client.create_registered_model(workshop.model_name)
    gone = f"{run.info.artifact_uri}/gone"
    client.create_model_version(workshop.model_name, gone, run.info.run_id, await_creation_for=0)
    workshop.client.set_registered_model_alias(workshop.model_name, "champion", "1")
    spec = workshop.spec()
    done = workshop.run(spec)
    assert done.status == 0, done.log
    result = workshop.result(spec)
    assert result["verdict"] == "passed"
    assert "cannot be loaded" in workshop.evidence(result["run_id"])["champion"]["note"]


def test_a_champion_that_predicts_something_else_blocks(workshop: Workshop, tmp_path: Path) -> None:
    table().to_parquet(path := tmp_path / "rows.parquet")
    workshop.run(workshop.spec(data={"uri": str(path), "target": "won"}))
    workshop.client.set_registered_model_alias(workshop.model_name, "champion", "1")
    spec = workshop.spec(data={"uri": str(path), "target": "price"})
    workshop.run(spec)
    assert "register it under another slipway:training.model_name" in workshop.result(spec)["reasons"][0]


def test_data_that_cannot_be_used_fails_the_run_with_every_problem(workshop: Workshop, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,target\n" + "1,x,0\n2,y,1\n" * 5)
    done = workshop.run(workshop.spec(data={"uri": str(path)}))
    assert done.status == 1
    assert "10 rows, and 20 are the least" in done.log
    assert "column 'b': is the target 'target' under another name" in done.log
    (run,) = workshop.runs()
    assert run.info.status == "FAILED"
    assert "20 are the least" in run.data.tags["slipway.error"]
    assert workshop.client.search_registered_models(f"name = '{workshop.model_name}'") == []


def entrypoint(workshop: Workshop, source: str, **changes: Any) -> dict[str, Any]:
    (workshop.root / "mine.py").write_text(source)
    return workshop.spec(training={"entrypoint": "mine:train"}, **changes)


def test_an_entrypoint_that_raises_shows_its_traceback_at_the_end_of_the_log(workshop: Workshop) -> None:
    done = workshop.run(entrypoint(workshop, "def train(data, settings):\n    return data.frame['no such column']\n"))
    assert done.status == 1
    assert done.lines[-1] == "KeyError: 'no such column'"
    assert 'mine.py", line 2, in train' in done.log
    (run,) = workshop.runs()
    assert run.info.status == "FAILED"
    assert "KeyError" in run.data.tags["slipway.error"]


def test_a_custom_entrypoint_with_another_library_is_registered_and_compared(workshop: Workshop) -> None:
    source = (
        "from sklearn.linear_model import LogisticRegression\n"
        "from training.contracts import Trained\n"
        "def train(data, settings):\n"
        "    model = LogisticRegression(max_iter=1000, C=settings.params.get('c', 1)).fit(data.frame, data.labels)\n"
        "    return Trained(model, {'iterations': model.n_iter_[0]}, {'C': model.C})\n"
    )
    spec = entrypoint(workshop, source, gate={"floors": {"roc_auc": 0.8}})
    done = workshop.run(spec)
    assert done.status == 0, done.log
    result = workshop.result(spec)
    assert result["verdict"] == "passed"
    model = mlflow.pyfunc.load_model(f"models:/{workshop.model_name}/{result['model_version']}")
    assert set(model.predict(model.input_example).tolist()) <= {0, 1, 2}
    workshop.client.set_registered_model_alias(workshop.model_name, "champion", "1")
    other = workshop.spec()
    assert workshop.run(other).status == 0
    assert workshop.evidence(workshop.result(other)["run_id"])["champion"]["comparable"]


def test_code_other_than_the_stack_wants_is_refused_before_anything_is_recorded(workshop: Workshop) -> None:
    spec = workshop.spec()
    with (workshop.root / "training" / "train.py").open("a") as file:
        file.write("# edited after the snapshot was hashed\n")
    done = workshop.run(spec)
    assert done.status == 1
    assert "holds code" in done.log
    assert "the stack wants" in done.log
    assert workshop.runs() == []


# killed and run again

WAITS = (
    "import pathlib, sys, time\n"
    "from training.train import train as default\n"
    "def train(data, settings):\n"
    "    print('waiting', flush=True)\n"
    "    while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
    "    return default(data, settings)\n"
)


@pytest.mark.parametrize(
    ("sent", "status", "left"), [(signal.SIGKILL, -signal.SIGKILL, "RUNNING"), (signal.SIGTERM, 143, "KILLED")]
)
def test_a_job_killed_while_it_trains_is_run_again_and_registers_once(
    workshop: Workshop, sent: signal.Signals, status: int, left: str
) -> None:
    spec = entrypoint(workshop, WAITS)
    process = workshop.start(spec)
    try:
        assert process.stdout is not None
        assert any(b"waiting" in line for line in process.stdout)
        process.send_signal(sent)
        assert process.wait(DEADLINE_S) == status
        process.stdout.close()
    finally:
        kill_session(process)
    (run,) = workshop.runs()
    assert run.info.status == left
    (workshop.root / "go").touch()
    done = workshop.run(spec)
    assert done.status == 0, done.log
    assert sorted(one.info.status for one in workshop.runs()) == ["FINISHED", "KILLED"]
    assert len(workshop.versions()) == 1


def test_a_job_killed_after_it_registered_is_completed_without_training(workshop: Workshop) -> None:
    spec = workshop.spec()
    workshop.run(spec)
    before = workshop.result(spec)
    run_id = before["run_id"]
    for tag in ("slipway.result", "slipway.verdict", "slipway.model_version"):
        workshop.client.delete_tag(run_id, tag)  # what a kill between registering and the last tags leaves
    workshop.client.update_run(run_id, status="RUNNING")
    done = workshop.run(spec)
    assert done.status == 0, done.log
    assert "train " not in done.log
    assert workshop.result(spec) == before
    assert workshop.runs()[0].info.status == "FINISHED"
    assert (len(workshop.runs()), len(workshop.versions())) == (1, 1)


def test_judging_again_without_a_finished_run_is_refused(workshop: Workshop) -> None:
    done = workshop.run(workshop.spec(), "--regate")
    assert done.status == 1
    assert "there is no finished run of identity" in done.log
