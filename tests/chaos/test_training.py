"""A training whose worker, or whose whole head, is killed: it ends with the model of a run that nothing disturbed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos import faults
from tests.chaos.faults import Store
from tests.chaos.tracking import history
from tests.cluster.project import TRAINING, ClusterProject

ROUNDS = 20_000
_UNDISTURBED_S = 400


def long_training(seed: int, workers: int) -> dict[str, Any]:
    """Return settings of a run that takes a minute."""
    resources = {**TRAINING["resources"], "workers": workers}
    params = {"learning_rate": 0.02}
    return {**TRAINING, "resources": resources, "params": params, "rounds": ROUNDS, "seed": seed, "timeout": 900}


def undisturbed(project: ClusterProject, folder: Path) -> tuple[dict[str, Any], str]:
    """Run the very document of the newest run on this machine; return its metrics and the digest of its model."""
    specs = [found for found in project.objects("configmap") if "spec.json" in (found.get("data") or {})]
    newest = max(specs, key=lambda found: found["metadata"]["creationTimestamp"])
    spec = json.loads(newest["data"]["spec.json"])
    database = folder / "mlflow.db"
    spec |= {"tracking_uri": f"sqlite:///{database}", "storage": f"file://{folder}/checkpoints"}
    spec["code"]["root"] = str(project.root)
    (folder / "spec.json").write_text(json.dumps(spec))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "training", "--spec", str(folder / "spec.json")],
        cwd=folder,
        env={**project.variables(), "PYTHONPATH": str(project.root), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_UNDISTURBED_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went on from a checkpoint" not in done.stdout, "the control: it was not disturbed"
    with sqlite3.connect(database) as read:
        (text,) = read.execute("select value from tags where key = 'slipway.result'").fetchone()
    (model,) = folder.rglob("model.ubj")
    return json.loads(text)["metrics"], hashlib.sha256(model.read_bytes()).hexdigest()


def test_a_training_whose_worker_and_then_head_are_killed_ends_with_the_undisturbed_model(
    environment: ClusterProject, store: Store, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    environment.configure(training=long_training(seed=11, workers=2))
    known = history(environment)
    models = {key for key in store.tell("keys") if key.endswith("model.ubj") and "/checkpoints/" not in key}
    begin = time.time()
    up = environment.start("up", "--skip-preview")
    seen: set[str] = set()
    moment = begin
    for node_type in ("worker", "head"):
        kept = seen.copy()

        def went_on(kept: set[str] = kept) -> bool:
            seen.update(store.checkpoints())
            return len(seen - kept) >= 2 or up.poll() is not None

        faults.until(went_on, f"there are checkpoints before the {node_type} is killed", 400, 0.2)
        assert up.poll() is None, environment.finish(up).output
        tell(f"two checkpoints after {time.time() - moment:.0f} s")
        found = faults.pods(environment, component="training", node_type=node_type)
        moment = faults.kill(environment, found[-1])
        tell(f"killed a {node_type}, {found[-1]['metadata']['name']}")
    answer = environment.finish(up).must_succeed()
    tell(f"`up` ended {time.time() - moment:.0f} s after the kill")
    resumed = [line.strip() for line in answer.output.splitlines() if "went on from a checkpoint" in line]
    tell(f"resumed: {resumed}")
    statuses, versions = history(environment)
    tell(f"runs: {statuses}, versions: {versions}")
    assert len(versions) == len(known[1]) + 1, "one version, however often it began"
    assert statuses.count("FINISHED") == known[0].count("FINISHED") + 1
    metrics, digest = undisturbed(environment, tmp_path)
    assert environment.outputs()["training"]["metrics"] == metrics
    made = store.tell("digests")
    new = [made[key] for key in made if key.endswith("model.ubj") and "/checkpoints/" not in key and key not in models]
    assert digest in new, "the same model, to the byte"
    assert resumed, "the control: it did go on from a checkpoint"
    assert store.checkpoints() == [], "they are removed once the model is registered"
