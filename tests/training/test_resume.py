"""A run that is killed in the middle and started again ends with the model that an undisturbed run makes."""

from __future__ import annotations

import hashlib
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from training import boosting, store
from training.boosting import Grown

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # warnings of the stand-in's own dependencies
    from moto.server import ThreadedMotoServer

from tests.training.conftest import DEADLINE_S, Workshop, kill_session

BUCKET = "checkpoints"
_PATIENCE_S = 400
"""A busy machine takes minutes to start a Ray head and its workers."""
PARAMS = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "subsample": 0.7,
    "colsample_bytree": 0.7,
    "seed": 3,
}


def rows() -> Any:
    import xgboost as xgb  # noqa: PLC0415

    source = np.random.default_rng(1)
    matrix = source.normal(size=(400, 6)).astype(np.float32)
    return xgb.DMatrix(matrix, label=(matrix[:, 0] * matrix[:, 1] > 0).astype(int))


def test_growing_on_from_any_segment_makes_the_same_model_to_the_byte() -> None:
    undisturbed = list(boosting.grow(PARAMS, rows(), 45))
    assert [grown.rounds for grown in undisturbed] == [10, 20, 30, 40, 45]
    for grown in undisturbed[:-1]:
        *_, resumed = boosting.grow(PARAMS, rows(), 45, Grown(grown.model, grown.rounds, {}))
        assert resumed == undisturbed[-1]


def test_another_seed_makes_another_model() -> None:
    *_, one = boosting.grow(PARAMS, rows(), 20)
    *_, other = boosting.grow({**PARAMS, "seed": 4}, rows(), 20)
    assert one.model != other.model, "the control: the sameness above is not for lack of randomness"


@pytest.mark.parametrize(("rounds", "length"), [(1, 10), (50, 10), (100, 10), (101, 11), (1000, 100)])
def test_there_are_ten_segments_at_most_and_ten_rounds_in_each(rounds: int, length: int) -> None:
    assert boosting.segment_length(rounds) == length


class Kept:
    """What `restore` needs of a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def as_directory(self) -> Iterator[str]:
        yield str(self._folder)


def test_a_checkpoint_of_other_rows_or_settings_is_not_used(tmp_path: Path) -> None:
    grown = Grown(b"model", 20, {"logloss": 0.5})
    boosting.keep(grown, "these", lambda folder: shutil.copytree(folder, tmp_path / "kept"))
    assert boosting.restore(Kept(tmp_path / "kept"), "these") == grown
    assert boosting.restore(Kept(tmp_path / "kept"), "others") is None
    assert boosting.restore(None, "these") is None


def test_a_folder_is_of_this_machine_and_a_uri_is_not(tmp_path: Path) -> None:
    assert not store.outlives_this_machine(str(tmp_path))
    assert store.outlives_this_machine(f"file://{tmp_path}")
    (tmp_path / "run" / "inner").mkdir(parents=True)
    store.remove(f"file://{tmp_path}", "run")
    store.remove(f"file://{tmp_path}", "run")
    store.remove(str(tmp_path), "run")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    from pyarrow import fs  # noqa: PLC0415

    maker = fs.S3FileSystem(endpoint_override=f"http://{host}:{port}", allow_bucket_creation=True)
    maker.create_dir(BUCKET)
    try:
        yield f"s3://{BUCKET}/ray-train"
    finally:
        server.stop()


def kept(where: str, name: str) -> list[str]:
    """Return the checkpoints of a run that are in the storage."""
    from pyarrow import fs  # noqa: PLC0415

    system, path = store.open_store(where)
    found = system.get_file_info(fs.FileSelector(f"{path}/{name}", recursive=True, allow_not_found=True))
    return sorted(info.path for info in found if info.base_name == "progress.json")


def long_run(workshop: Workshop, storage: str, workers: int = 1) -> dict[str, Any]:
    spec = workshop.spec(
        data={"uri": "sklearn:breast_cancer"},
        training={"rounds": 400, "resources": {"workers": workers, "cpus": 0.5, "gpus": 0}},
    )
    return {**spec, "storage": storage}


def kill_in_the_middle(workshop: Workshop, spec: dict[str, Any], name: str, enough: int) -> None:
    """Start the job and kill it, its Ray head and its workers once it has kept some checkpoints."""
    before = {process.pid for process in psutil.process_iter()}
    job = workshop.start(spec)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        seen: set[str] = set()
        while len(seen) < enough:
            assert time.monotonic() < deadline, f"no checkpoints: {seen}"
            assert job.poll() is None, ((job.stdout and job.stdout.read()) or b"").decode()
            seen.update(kept(spec["storage"], name))
            time.sleep(0.01)
        family = psutil.Process(job.pid).children(recursive=True)
    finally:
        kill_session(job)
        if job.stdout:
            job.stdout.close()
    for process in family:
        assert process.pid not in before
        if process.is_running():
            process.kill()
    psutil.wait_procs(family, DEADLINE_S)


def model_digest(workshop: Workshop, version: Any) -> str:
    import mlflow  # noqa: PLC0415

    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    return hashlib.sha256((folder / "artifacts" / "tabular" / "model.ubj").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_from_its_checkpoints_to_the_same_metrics_and_model(
    workshop: Workshop, s3: str, tmp_path: Path, workers: int
) -> None:
    spec = long_run(workshop, s3, workers)
    name = f"training-{spec['identity'][:20]}"
    kill_in_the_middle(workshop, spec, name, enough=2)
    assert kept(s3, name), "the checkpoints outlive the cluster"
    assert [run.info.status for run in workshop.runs(spec["identity"])] == ["RUNNING"], "it was killed in the middle"

    done = workshop.run(spec, deadline_s=_PATIENCE_S)
    assert done.status == 0, done.log
    assert "went on from a checkpoint after" in done.log
    assert kept(s3, name) == [], "they are removed once the model is registered"
    resumed = workshop.result(spec)

    undisturbed = Workshop(workshop.root, workshop.tracking_uri, f"{workshop.model_name}-undisturbed")
    other = long_run(undisturbed, f"file://{tmp_path}/store", workers)
    done = undisturbed.run(other, deadline_s=_PATIENCE_S)
    assert done.status == 0, done.log
    assert "went on from" not in done.log
    assert undisturbed.result(other)["metrics"] == resumed["metrics"]
    assert model_digest(workshop, workshop.versions()[0]) == model_digest(undisturbed, undisturbed.versions()[0])


@pytest.mark.slow
def test_the_driver_alone_makes_the_same_model_as_one_worker_with_checkpoints(
    workshop: Workshop, tmp_path: Path
) -> None:
    spec = workshop.spec(training={"rounds": 25})
    done = workshop.run(spec, deadline_s=_PATIENCE_S)
    assert done.status == 0, done.log
    other = Workshop(workshop.root, workshop.tracking_uri, f"{workshop.model_name}-worker")
    durable = {**other.spec(training={"rounds": 25}), "storage": f"file://{tmp_path}/store"}
    done = other.run(durable, deadline_s=_PATIENCE_S)
    assert done.status == 0, done.log
    assert other.result(durable)["metrics"] == workshop.result(spec)["metrics"]
    assert model_digest(other, other.versions()[0]) == model_digest(workshop, workshop.versions()[0])
