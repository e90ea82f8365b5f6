"""A real tracking server, and jobs run from a snapshot of the code as a runtime would run them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from tests.free_ports import free_port
from training.identity import code_digest, digest_of, file_digest, identity

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow and moto warn of their own while they are imported
    import mlflow.pyfunc
    from mlflow import MlflowClient
    from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
LOCK = "requirements/runtime.txt"
DEADLINE_S = 120
BUCKET = "rows"


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(DEADLINE_S)


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    environment = {
        **os.environ,
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--no-access-log"]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(url, server, folder / "log")
            mlflow.set_tracking_uri(url)
            yield url
        finally:
            kill_session(server)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers from its database."""
    request = urllib.request.Request(
        f"{url}/api/2.0/mlflow/experiments/search", b'{"max_results":1}', {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    raise AssertionError(f"the tracking server did not start:\n{log.read_text()[-3000:]}")


@dataclass(frozen=True)
class Done:
    """An ended job: its exit status and what it printed."""

    status: int
    log: str

    @property
    def lines(self) -> list[str]:
        return self.log.strip().splitlines()


@dataclass
class Workshop:
    """A snapshot of the code, and the jobs that run from it against one tracking server."""

    root: Path
    tracking_uri: str
    model_name: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.tracking_uri)

    def spec(
        self,
        data: dict[str, Any] | None = None,
        training: dict[str, Any] | None = None,
        gate: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a run spec; its identity is made as the program makes it, apart from wording."""
        data = {
            "uri": "sklearn:iris",
            "version": None,
            "target": "target",
            "key": None,
            "format": "auto",
            **(data or {}),
        }
        training = {
            "entrypoint": "training.train:train",
            "task": "auto",
            "params": {},
            "rounds": 10,
            "seed": 7,
            "test_fraction": 0.3,
            "resources": {"workers": 1, "cpus": 1, "gpus": 0},
            **(training or {}),
        }
        files = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*.py"))
        parts = {
            "code": code_digest(self.root, files),
            "lock": file_digest(self.root / LOCK),
            "data": digest_of(data),
            "parameters": digest_of([training["params"], training["rounds"], training["entrypoint"]]),
            "seed": str(training["seed"]),
            "split": f"test_fraction={training['test_fraction']} key={data['key'] or 'row'}",
        }
        return {
            "contract": 1,
            "project": "slipway",
            "stack": "test",
            "identity": identity(parts),
            "identity_parts": parts,
            "model_name": self.model_name,
            "tracking_uri": self.tracking_uri,
            "code": {"root": str(self.root), "files": files, "lock": LOCK},
            "data": data,
            "training": training,
            "gate": {"floors": {}, "tolerance": None, "on_failure": "keep-champion", **(gate or {})},
            "lineage": {"commit": "0123abcd", "dirty": True},
            "storage": str(self.root / "ray-train"),
        }

    def start(self, spec: dict[str, Any], *options: str, **environment: str) -> subprocess.Popen[bytes]:
        path = self.root / "spec.json"
        path.write_text(json.dumps(spec))
        command = [sys.executable, "-P", "-m", "training", "--spec", str(path), *options]
        variables = {**os.environ, "PYTHONPATH": str(self.root), "RAY_USAGE_STATS_ENABLED": "0", **environment}
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, spec: dict[str, Any], *options: str, deadline_s: float = DEADLINE_S, **environment: str) -> Done:
        process = self.start(spec, *options, **environment)
        try:
            output, _ = process.communicate(timeout=deadline_s)
        finally:
            kill_session(process)
        return Done(process.returncode, output.decode())

    def runs(self, identity: str | None = None) -> list[Any]:
        """Return this model's runs, newest first."""
        experiment = self.client.get_experiment_by_name(f"slipway/{self.model_name}")
        if experiment is None:
            return []
        wanted = f"tags.`slipway.identity` = '{identity}'" if identity else ""
        return list(self.client.search_runs([experiment.experiment_id], wanted))

    def result(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the newest run of the spec's identity."""
        found: dict[str, Any] = json.loads(self.runs(spec["identity"])[0].data.tags["slipway.result"])
        return found

    def versions(self) -> list[Any]:
        return sorted(
            self.client.search_model_versions(f"name = '{self.model_name}'"), key=lambda one: int(one.version)
        )

    def evidence(self, run_id: str, name: str = "evaluation.json") -> Any:
        return mlflow.artifacts.load_dict(f"runs:/{run_id}/evidence/{name}")


@pytest.fixture
def workshop(tmp_path: Path, tracking_uri: str, request: pytest.FixtureRequest) -> Workshop:
    root = tmp_path / "snapshot"
    shutil.copytree(ROOT / "training", root / "training", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "requirements").mkdir()
    shutil.copyfile(ROOT / LOCK, root / LOCK)
    return Workshop(root, tracking_uri, digest_of(request.node.nodeid)[:12])


@pytest.fixture(scope="module")
def store() -> Iterator[fs.S3FileSystem]:
    """A real S3 protocol server with the bucket BUCKET, named in the environment as a user would name it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        found = fs.S3FileSystem(endpoint_override=f"http://{host}:{port}", allow_bucket_creation=True)
        found.create_dir(BUCKET)
        try:
            yield found
        finally:
            server.stop()
