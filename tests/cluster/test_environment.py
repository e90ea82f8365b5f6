"""One environment on a real cluster through its life, on the real engine: MLflow, PostgreSQL, KubeRay, Ray, a model.

The tests build on each other in this order: the environment of one is what the one before left. `test_teardown.py`
destroys it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.node.layout import NETNS
from tests.cluster.project import TRAINING, ClusterProject
from tests.stacks.project import ROOT, wait_until

pytestmark = pytest.mark.timeout(1500, func_only=True)


@contextmanager
def load(project: ClusterProject) -> Iterator[dict[str, Any]]:
    """Ask the model from four clients while the block runs; what came of it is in the dictionary afterwards."""
    address = project.objects("service", "--field-selector", "metadata.name=serving")[0]["spec"]["clusterIP"]
    command = [sys.executable, str(ROOT / "tests/cluster/load.py"), f"http://{address}:8000", "4"]
    came: dict[str, Any] = {}
    with subprocess.Popen(
        ["nsenter", f"--net={NETNS}", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(project.secret("serving-token", "token") + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "started\n", "the load must have reached the model"
        yield came
        process.stdin.close()
        came.update(json.loads(process.stdout.read()))


def test_up_trains_gates_and_serves_a_model(environment: ClusterProject) -> None:
    outputs = environment.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["training"]["metrics"]["accuracy"] > 0.8
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"]
    said = environment.slipway("predict").must_succeed().output
    assert "predictions: [" in said
    status = environment.slipway("status").must_succeed().output
    assert "champion: default 1" in status


def test_pods_run_restricted_and_training_pods_are_gone(environment: ClusterProject) -> None:
    def running() -> set[str | None]:
        return {
            pod["metadata"]["labels"].get("app.kubernetes.io/component")
            for pod in environment.objects("pods")
            if pod["status"]["phase"] == "Running"
        }

    wait_until(lambda: "training" not in running(), "a training's cluster is short-lived")
    assert {"tracking", "database", "serving"} <= running()
    assert environment.cluster is not None
    space = json.loads(environment.cluster.kubectl("get", "namespace", environment.namespace, "-o", "json"))
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_second_up_changes_nothing(environment: ClusterProject) -> None:
    environment.up("--expect-no-changes").must_succeed()
    # the first refresh rewrites what was read by `.get()` as it writes what was made, with the same values
    environment.pulumi("refresh").must_succeed()
    environment.pulumi("refresh", "--expect-no-changes").must_succeed()
    environment.up("--expect-no-changes").must_succeed()


def test_no_secret_is_in_the_state(environment: ClusterProject) -> None:
    values = [
        environment.secret("tracking-login", "password"),
        environment.secret("ray-token", "auth_token"),
        environment.secret("serving-token", "token"),
        environment.secret("database", "password"),
        environment.secret("artifacts-credentials", "AWS_SECRET_ACCESS_KEY"),
    ]
    assert all(len(value) >= 24 for value in values), "the control: they are there"
    state = environment.pulumi("stack", "export").must_succeed().output
    assert '"kubernetes:core/v1:Secret"' in state, "the control: this is the state"
    assert not [value for value in values if value in state]


def test_a_changed_gate_judges_again_without_training(environment: ClusterProject) -> None:
    environment.configure(gate={"floors": {"accuracy": 0.8, "f1": 1.01}})
    preview = environment.pulumi("preview").must_succeed().output
    assert "RayJob" not in preview, f"only the verdict is made anew:\n{preview}"
    environment.up().must_succeed()
    outputs = environment.outputs()
    assert outputs["training"]["verdict"] == "rejected"
    assert any("f1" in reason for reason in outputs["training"]["reasons"])
    assert outputs["serving"]["champion"] == "1", "the champion stays"
    assert len(environment.objects("rayjobs")) == 1


def test_a_new_parameter_is_trained_and_released_under_load(environment: ClusterProject) -> None:
    environment.configure(training={**TRAINING, "rounds": 60})
    preview = environment.pulumi("preview").must_succeed().output
    assert "rounds=60" in preview, f"the preview says which part of the identity changed:\n{preview}"
    with load(environment) as came:
        environment.up().must_succeed()
        # seconds in which the new version is asked too, also where `up` ends right after its release
        environment.slipway("predict").must_succeed()
    assert came["failed"] == 0, came
    assert set(came["answered"]) == {"1", "2"}, f"both versions answered while one was released: {came}"
    outputs = environment.outputs()
    assert outputs["training"]["model_version"] == outputs["serving"]["champion"] == "2"
