"""A run that is killed in the middle and started again ends with the model that an undisturbed run makes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from infra.local.provider.procfs import command_of
from training import boosting, store
from training.boosting import Grown

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # warnings of the stand-in's own dependencies
    from moto.server import ThreadedMotoServer

from tests.training.conftest import DEADLINE_S, Workshop, kill_session

BUCKET = "checkpoints"
DATA = {"uri": "sklearn:breast_cancer"}
SEGMENT = 10
"""Rounds from one checkpoint to the next; a test below holds it."""
WORKER = "RayTrainWorker"
"""What Ray calls the processes that train."""
PAUSE = """

_undisturbed = grow


def grow(*arguments):
    import time

    pause = Path(__file__).parents[1] / "pause"
    for grown in _undisturbed(*arguments):
        yield grown
        while int(pause.read_text()) == grown.rounds:
            time.sleep(0.01)
"""
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


def rounds_kept(where: str, name: str) -> list[int]:
    """Return after how many rounds the checkpoints that are in the storage were made."""
    from pyarrow import fs  # noqa: PLC0415

    system, path = store.open_store(where)
    found = system.get_file_info(fs.FileSelector(f"{path}/{name}", recursive=True, allow_not_found=True))
    progress = [system.open_input_stream(info.path).read() for info in found if info.base_name == "progress.json"]
    return sorted(json.loads(content)["rounds"] for content in progress)


def pause_after(workshop: Workshop, rounds: int | None) -> None:
    """Let the next job stand still after as many rounds, so that no test has to be faster than it."""
    content = "0" if rounds is None else str(rounds)
    (workshop.root / "pause.new").write_text(content)
    (workshop.root / "pause.new").replace(workshop.root / "pause")


def wait_for_pause(job: subprocess.Popen[bytes], storage: str, name: str, rounds: int) -> None:
    """Wait until Ray Train has recorded the checkpoint after as many rounds: then it has removed the last but two."""
    deadline = time.monotonic() + _PATIENCE_S
    seen: list[int] = []
    while seen != [rounds - SEGMENT, rounds]:
        assert time.monotonic() < deadline, f"no checkpoint after {rounds} rounds, but after {seen}"
        assert job.poll() is None, ((job.stdout and job.stdout.read()) or b"").decode()
        with suppress(OSError, ValueError):  # a file that is just being written or removed
            seen = rounds_kept(storage, name)
        time.sleep(0.05)


@contextmanager
def started(workshop: Workshop, spec: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a job; its Ray head and workers, which have sessions of their own, are killed with it at the end."""
    job = workshop.start(spec)
    family: list[psutil.Process] = []
    try:
        yield job
    finally:
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(job.pid).children(recursive=True)
        kill_session(job)
        if job.stdout:
            job.stdout.close()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, DEADLINE_S)


def kill_after(workshop: Workshop, spec: dict[str, Any], name: str, rounds: int) -> None:
    """Start a job and kill it with its Ray head and its workers after as many rounds."""
    pause_after(workshop, rounds)
    with started(workshop, spec) as job:
        wait_for_pause(job, spec["storage"], name, rounds)
    assert rounds_kept(spec["storage"], name) == [rounds - SEGMENT, rounds], "the checkpoints outlive the cluster"
    assert [run.info.status for run in workshop.runs(spec["identity"])] == ["RUNNING"], "it was killed in the middle"


def finish_without_a_worker(workshop: Workshop, spec: dict[str, Any], name: str, rounds: int) -> str:
    """Start a job, kill one of its workers after as many rounds, and return what the job said until its end."""
    pause_after(workshop, rounds)
    with started(workshop, spec) as job:
        wait_for_pause(job, spec["storage"], name, rounds)
        workers = [one for one in psutil.Process(job.pid).children(recursive=True) if WORKER in command_of(one.pid)]
        assert len(workers) == spec["training"]["resources"]["workers"], workers
        workers[-1].kill()
        output, _ = job.communicate(timeout=_PATIENCE_S)
        assert job.returncode == 0, output.decode()
    return output.decode()


def model_digest(workshop: Workshop) -> str:
    """Return the digest of the one model that was registered."""
    import mlflow  # noqa: PLC0415

    (version,) = workshop.versions()
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    return hashlib.sha256((folder / "artifacts" / "tabular" / "model.ubj").read_bytes()).hexdigest()


@pytest.fixture
def pausing(workshop: Workshop) -> Workshop:
    """The workshop, whose code can be told to stand still after some rounds; nothing else about it differs."""
    boosting_file = workshop.root / "training" / "boosting.py"
    boosting_file.write_text(boosting_file.read_text() + PAUSE)
    return workshop


def made_undisturbed(
    workshop: Workshop, training: dict[str, Any], storage: str, disturbed: dict[str, Any]
) -> tuple[dict[str, float], str]:
    """Train the same under another name; returns metrics and the model's digest."""
    pause_after(workshop, None)
    other = Workshop(workshop.root, workshop.tracking_uri, f"{workshop.model_name}-undisturbed")
    spec = {**other.spec(data=DATA, training=training), "storage": storage}
    assert spec["identity"] == disturbed["identity"], "the control: the same run"
    done = other.run(spec, deadline_s=_PATIENCE_S)
    assert done.status == 0, done.log
    assert "went on from" not in done.log
    return other.result(spec)["metrics"], model_digest(other)


@pytest.mark.slow
@pytest.mark.chaos
def test_a_killed_run_goes_on_from_its_checkpoints_to_the_model_that_the_driver_alone_makes(
    pausing: Workshop, s3: str
) -> None:
    training = {"rounds": 40}
    spec = {**pausing.spec(data=DATA, training=training), "storage": s3}
    name = f"training-{spec['identity'][:20]}"
    kill_after(pausing, spec, name, 30)

    pause_after(pausing, None)
    done = pausing.run(spec, deadline_s=_PATIENCE_S)
    assert done.status == 0, done.log
    assert "went on from a checkpoint after 30 rounds" in done.log
    assert rounds_kept(s3, name) == [], "they are removed once the model is registered"

    on_this_machine = str(pausing.root / "ray-train")
    metrics, digest = made_undisturbed(pausing, training, on_this_machine, spec)
    assert metrics == pausing.result(spec)["metrics"]
    assert digest == model_digest(pausing)


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1300)
def test_two_workers_that_were_killed_with_their_job_and_then_one_alone_make_the_model_of_an_undisturbed_run(
    pausing: Workshop, tmp_path: Path
) -> None:
    training = {"rounds": 80, "resources": {"workers": 2, "cpus": 0.5, "gpus": 0}}
    spec = {**pausing.spec(data=DATA, training=training), "storage": f"file://{tmp_path}/store"}
    name = f"training-{spec['identity'][:20]}"
    kill_after(pausing, spec, name, 30)

    said = finish_without_a_worker(pausing, spec, name, 60)
    assert "went on from a checkpoint after 60 rounds" in said, said
    assert rounds_kept(spec["storage"], name) == [], "they are removed once the model is registered"

    metrics, digest = made_undisturbed(pausing, training, f"file://{tmp_path}/other", spec)
    assert metrics == pausing.result(spec)["metrics"]
    assert digest == model_digest(pausing)
