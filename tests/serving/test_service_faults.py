"""What the service survives: new code, a killed replica or controller, a tracking server that is gone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.serving.deployed import Service
from tests.serving.environment import call, wait_for
from tests.serving.load import Load

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


def test_a_new_code_version_replaces_the_replicas_without_a_failed_request(released: Service) -> None:
    candidate = released.state["candidate"]
    with Load(released.url, released.path, released.body()) as load:
        old = released.replica("Model")
        released.ask_for(candidate, code="edited")
        wait_for("a new replica", lambda: not Path(f"/proc/{old}").exists(), 90)
    assert load.failures == []
    assert json.loads(call(released.url + "/v2")[2])["version"] == "edited"


def test_a_restarted_controller_releases_nothing_again(released: Service) -> None:
    before = released.state
    pid = released.replica("ReleaseController")
    os.kill(pid, signal.SIGKILL)
    wait_for("a new controller", lambda: released.replica("ReleaseController") != pid, 90)
    version = released.register(seed=11)
    released.registry.set_alias(released.name, "champion", version)  # an event that the new controller must record
    wait_for("the record", lambda: released.state["champion"] == version)
    released.wait_for_version(version)
    history = [event["to"] for event in released.state["history"]]
    assert history == [*(event["to"] for event in before["history"]), version]
    assert released.state["candidate"] == before["candidate"]


def test_replicas_hold_no_scikit_learn_and_no_mlflow(released: Service) -> None:
    for deployment in ("Model", "ReleaseController"):
        mapped = Path(f"/proc/{released.replica(deployment)}/maps").read_text()
        assert "/sklearn/" not in mapped, deployment
        assert ("libxgboost" in mapped) == (deployment == "Model"), deployment


def test_a_killed_replica_comes_back_with_its_model(released: Service) -> None:
    version = released.state["champion"]  # not what the replica holds: it may not have followed yet
    pid = released.replica("Model")
    os.kill(pid, signal.SIGKILL)
    wait_for("a new replica", lambda: released.replica("Model") != pid, 90)
    released.wait_for_version(version)


def test_without_the_tracking_server_it_keeps_serving_and_recovers(released: Service) -> None:
    environment = released.environment
    assert environment.tracking is not None
    version = released.about["slipway"]["version"]
    with Load(released.url, released.path, released.body()) as load:
        environment.tracking.kill()
        problem = wait_for("the problem", lambda: released.about["slipway"]["problem"])
        assert environment.tracking_uri in problem
        environment.start_tracking()
        environment.wait_tracking()
        wait_for("the end of the problem", lambda: released.about["slipway"]["problem"] is None)
    assert load.failures == []
    assert set(load.versions) == {version}
