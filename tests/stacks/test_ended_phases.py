"""`up` and `destroy` ended by force in each of their phases: the next one completes, nothing is done twice."""

from __future__ import annotations

import os
import signal

import pytest

from components.seam import Place
from infra.local.layout import Layout
from tests.stacks.project import Project, status_of

pytestmark = pytest.mark.chaos

# what the engine has just begun when the phase is meant
STARTING, TRAINING, RELEASING = "ray-head", "training-job", "serving-application"
KILL, CTRL_C = signal.SIGKILL, signal.SIGINT


def end(project: Project, verb: str, resource: str, blow: signal.Signals) -> str:
    """Start a verb, end it by a signal once the engine works on a resource, and return what it said."""
    process = project.begin(verb, resource)
    os.kill(process.pid, blow)
    return project.finish(process).must_fail().output


def serves(project: Project) -> bool:
    return status_of(f"{project.outputs()['serving']['url']}/v2/health/ready") == 200


def test_the_first_up_is_completed_whatever_ended_it_and_in_each_phase(project: Project) -> None:
    for resource, blow in (
        (STARTING, CTRL_C),
        (STARTING, KILL),
        (TRAINING, KILL),
        (TRAINING, CTRL_C),
        (RELEASING, KILL),
        (RELEASING, CTRL_C),
    ):
        end(project, "up", resource, blow)
    project.up().must_succeed()
    commands = project.processes().values()
    heads = [command for command in commands if "ray.scripts.scripts start" in command]
    servers = [command for command in commands if "mlflow.server.fastapi_app" in command]
    assert len(heads) == 1, f"one Ray head, not two: {heads}"
    assert len(servers) == 1, f"one tracking server, not two: {servers}"
    assert len(project.runs()) == 1, "trained exactly once"
    assert project.outputs()["serving"]["champion"] == "1"
    assert serves(project)
    project.up("--expect-no-changes").must_succeed()


@pytest.mark.parametrize(
    ("resource", "blow"), [(TRAINING, KILL), (TRAINING, CTRL_C), (RELEASING, KILL), (RELEASING, CTRL_C)]
)
def test_a_retraining_is_completed_by_the_next_up(project: Project, resource: str, blow: signal.Signals) -> None:
    runs = len(project.runs())
    project.configure(training={"rounds": 40 + runs})
    end(project, "up", resource, blow)
    assert serves(project), "the model is served on"
    completed = project.up().must_succeed()
    assert len(project.runs()) == runs + 1, f"trained exactly once:\n{completed.output}"
    outputs = project.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"] == str(runs + 1)
    project.up("--expect-no-changes").must_succeed()


def test_a_destroy_is_completed_by_the_next_whatever_ended_it(project: Project) -> None:
    sockets = Layout(Place(project="slipway", stack=project.stack, root=project.root)).sockets
    assert sockets.is_dir(), "the control: this is where sockets are"
    end(project, "destroy", RELEASING, KILL)
    end(project, "destroy", STARTING, KILL)
    project.pulumi("destroy").must_succeed()
    assert project.left() == {}, "no process may be left"
    assert not (project.home / "state").exists()
    assert not (project.home / "artifacts").exists()
    assert not sockets.exists()
