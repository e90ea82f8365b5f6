"""The service on a real Ray head with a real tracking server: both protocols, the registry, releases, faults."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton

from serving.registry import Registry
from tests.serving.environment import Environment, call, session_members, wait_for
from tests.serving.load import Load
from tests.serving.registering import example, register, state_of
from tests.serving.small_models import features, tabular

pytestmark = pytest.mark.slow

NAME = "plants"
INFER = f"/v2/models/{NAME}/infer"
DESCRIBED = features(text=True, classes=("fern", "moss", "oak"))


class Service:
    """The deployed application with its first champion."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.registry = Registry(environment.tracking_uri)
        self.frame = example(DESCRIBED)
        self.url = environment.url

    def register(self, seed: int = 7, **more: Any) -> str:
        return register(self.environment.tracking_uri, NAME, tabular(DESCRIBED, seed=seed), **more)

    def ask_for(self, candidate: str | None, code: str = "code") -> None:
        self.environment.serve(NAME, candidate, code=code)

    @property
    def state(self) -> dict[str, Any]:
        return state_of(self.environment.tracking_uri, NAME)

    @property
    def about(self) -> dict[str, Any]:
        return dict(json.loads(call(f"{self.url}/v2/models/{NAME}")[2]))

    def body(self) -> dict[str, Any]:
        inputs = []
        for name, values in self.frame.items():
            text = name == "colour"
            data = values.tolist()
            inputs.append({"name": name, "shape": [len(data)], "datatype": "BYTES" if text else "FP64", "data": data})
        return {"inputs": inputs}

    def infer(self, body: Any = None) -> tuple[int, dict[str, str], Any]:
        status, headers, raw = call(self.url + INFER, method="POST", body=body or self.body())
        return status, headers, json.loads(raw)

    def wait_for_version(self, version: str) -> None:
        wait_for(f"version {version}", lambda: self.infer()[1].get("x-slipway-model-version") == version)

    def wait_for_phase(self, candidate: str, phase: str) -> None:
        wait_for(phase, lambda: (self.state.get("candidate"), self.state.get("phase")) == (candidate, phase))

    def rollback(self) -> str:
        command = {"id": str(uuid.uuid4()), "action": "rollback", "by": "ana", "at": "now", "reason": "a test"}
        self.registry.set_model_tag(NAME, "slipway.release.command", json.dumps(command))
        return str(command["id"])

    def release_tag(self, version: str) -> str | None:
        return (self.registry.version_tags(NAME, version) or {}).get("slipway.release")

    def replica(self, deployment: str) -> int:
        """Return the pid of the deployment's one replica."""
        assert self.environment.ray is not None
        for pid in session_members(self.environment.ray.pid):
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
            if title.startswith(f"ray::ServeReplica:slipway:{deployment}".encode()):
                return pid
        raise AssertionError(f"no replica of {deployment}")


@pytest.fixture(scope="module")
def service(environment: Environment) -> Iterator[Service]:
    service = Service(environment)
    environment.serve(NAME, None)
    wait_for("the service", lambda: call(service.url + "/v2/health/live")[0] == 200, 90)
    yield service
    environment.clear()


@pytest.fixture(scope="module")
def released(service: Service) -> Service:
    """The service, whose champion is a version released by the controller."""
    version = service.register()
    service.ask_for(version)
    service.wait_for_version(version)
    service.wait_for_phase(version, "released")
    return service


def expected(service: Service, frame: Any) -> list[Any]:
    """What the champion's own pyfunc answers."""
    mlflow.set_tracking_uri(service.environment.tracking_uri)
    return list(mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(frame).tolist())


def test_before_anything_was_trained_it_lives_and_is_not_ready(service: Service) -> None:
    assert call(service.url + "/v2/health/live")[0] == 200
    status, headers, body = call(service.url + "/v2/health/ready")
    assert (status, headers["retry-after"]) == (503, "1")
    assert "no champion of model plants" in json.loads(body)["error"]


def test_a_candidate_is_released_and_answers_what_its_pyfunc_answers(released: Service) -> None:
    status, headers, answer = released.infer()
    assert status == 200
    assert headers["x-slipway-model-role"] == "champion"
    assert headers["x-slipway-model-version"] == answer["model_version"] == released.state["champion"]
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["predict"]["data"] == expected(released, released.frame)
    assert outputs["probabilities"]["shape"] == [3, 3]
    assert released.release_tag(answer["model_version"]) == "champion"


@pytest.mark.parametrize("orient", ["split", "records"])
def test_invocations_answers_what_the_pyfunc_answers(released: Service, orient: Any) -> None:
    payload = {f"dataframe_{orient}": json.loads(released.frame.to_json(orient=orient))}
    status, _, body = call(released.url + "/invocations", method="POST", body=payload)
    assert status == 200
    assert json.loads(body) == {"predictions": expected(released, released.frame)}


def test_invocations_reads_csv_with_missing_values(released: Service) -> None:
    frame = pd.concat([released.frame, released.frame.assign(x1=np.nan, colour=None)])
    raw = frame.to_csv(index=False).encode()
    status, _, body = call(released.url + "/invocations", method="POST", body=raw, headers={"content-type": "text/csv"})
    assert status == 200
    assert json.loads(body)["predictions"] == expected(released, frame)


def test_tritons_client_speaks_binary_and_json(released: Service) -> None:
    client = triton.InferenceServerClient(released.url.removeprefix("http://"))
    with contextlib.closing(client):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(NAME)
        about = client.get_model_metadata(NAME)
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        inputs = []
        for entry in about["inputs"]:
            values = released.frame[entry["name"]].to_numpy()
            tensor = triton.InferInput(entry["name"], [len(values)], entry["datatype"])
            tensor.set_data_from_numpy(values.astype(object) if entry["datatype"] == "BYTES" else values)
            inputs.append(tensor)
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput(output["name"], binary_data=binary) for output in about["outputs"]]
            answer = client.infer(NAME, inputs, outputs=outputs, request_id="r1")
            labels = [v.decode() if isinstance(v, bytes) else v for v in answer.as_numpy("predict")]
            assert labels == expected(released, released.frame)
            assert answer.as_numpy("probabilities").shape == (3, 3)
            assert answer.get_response()["id"] == "r1"
        assert client.infer(NAME, inputs).as_numpy("predict").shape == (3,)


def test_a_bad_request_is_named_through_the_ingress(released: Service) -> None:
    body = released.body()
    body["inputs"][0]["name"] = "x9"
    status, headers, answer = released.infer(body)
    assert (status, headers["x-slipway-model-role"]) == (400, "champion")
    assert "column x9 is unknown" in answer["error"]


def test_a_chunked_body_over_the_limit_is_413(released: Service) -> None:
    connection = http.client.HTTPConnection(released.url.removeprefix("http://"), timeout=60)
    with contextlib.closing(connection):
        chunks = (b"x" * 65536 for _ in range(400))
        with contextlib.suppress(OSError):  # the answer may come before the body has gone
            connection.request("POST", INFER, chunks, encode_chunked=True, headers={"transfer-encoding": "chunked"})
        assert connection.getresponse().status == 413


def test_a_large_body_is_predicted(released: Service) -> None:
    frame = pd.concat([released.frame] * 5000)
    payload = {"dataframe_split": json.loads(frame.to_json(orient="split"))}
    payload["dataframe_split"].pop("index")
    status, _, body = call(released.url + "/invocations", method="POST", body=payload)
    assert status == 200
    assert len(json.loads(body)["predictions"]) == len(frame)


def test_the_next_candidate_is_released_without_a_failed_request(released: Service) -> None:
    version = released.register(seed=8)
    with Load(released.url, INFER, released.body()) as load:
        released.ask_for(version)
        released.wait_for_version(version)
    assert load.failures == []
    assert set(load.versions) == {str(int(version) - 1), version}
    released.wait_for_phase(version, "released")
    assert released.release_tag(str(int(version) - 1)) == "retired"


def test_an_alias_moved_by_a_person_is_followed_without_a_failed_request_and_recorded(released: Service) -> None:
    before = released.about["slipway"]["champion"]
    version = released.register(seed=9)
    with Load(released.url, INFER, released.body()) as load:
        released.registry.set_alias(NAME, "champion", version)
        released.wait_for_version(version)
    assert load.failures == []
    event = wait_for("the record", lambda: released.state["champion"] == version and released.state["history"][-1])
    assert (event["by"], event["from"], event["to"]) == ("person", before, version)


def test_a_rollback_restores_the_version_before_and_the_other_never_returns(released: Service) -> None:
    before, champion = released.state["previous"], released.state["champion"]
    identity = released.rollback()
    released.wait_for_version(before)
    wait_for("the record", lambda: released.state["last_command"] == identity and released.state["intent"] is None)
    assert released.release_tag(champion) == "rolled_back"
    released.ask_for(champion)
    released.wait_for_phase(champion, "refused")
    assert "tagged rolled_back" in released.state["reason"]
    assert released.infer()[1]["x-slipway-model-version"] == before


def test_a_rejected_candidate_is_refused(released: Service) -> None:
    champion = released.state["champion"]
    version = released.register(seed=10, tags={"slipway.release": "rejected"})
    released.ask_for(version)
    released.wait_for_phase(version, "refused")
    assert released.state["champion"] == champion


def test_a_corrupt_candidate_fails_its_smoke_test_and_the_champion_stays(released: Service) -> None:
    champion = released.state["champion"]
    version = released.register(booster=b"not a model")
    with Load(released.url, INFER, released.body()) as load:
        released.ask_for(version)
        released.wait_for_phase(version, "failed")
    assert load.failures == []
    assert "model.ubj is no XGBoost model" in released.state["reason"]
    assert released.release_tag(version) == "failed"
    assert released.state["champion"] == champion


def test_an_alias_moved_to_a_corrupt_version_leaves_the_old_one_serving_and_says_so(released: Service) -> None:
    champion = released.state["champion"]
    version = released.register(booster=b"not a model")
    released.registry.set_alias(NAME, "champion", version)
    problem = wait_for("the problem", lambda: released.about["slipway"]["problem"])
    assert f"the alias champion names version {version}, which cannot be served" in problem
    assert released.infer()[1]["x-slipway-model-version"] == champion
    released.registry.set_alias(NAME, "champion", champion)
    wait_for("the end of the problem", lambda: released.about["slipway"]["problem"] is None)


def test_a_candidate_with_another_signature_brings_its_own_contract(released: Service) -> None:
    before = released.about["slipway"]["champion"]
    other = register(released.environment.tracking_uri, NAME, tabular(features(width=2)))
    released.ask_for(other)
    wait_for("the swap", lambda: released.about["slipway"]["champion"] == other)
    assert "column colour is gone" in released.about["slipway"]["notice"]
    status, _, answer = released.infer()
    assert status == 400
    assert "is unknown; the model takes x0, x1" in answer["error"]
    kept = call(f"{released.url}/v2/models/{NAME}/versions/{before}/infer", method="POST", body=released.body())
    assert (kept[0], kept[1]["x-slipway-model-role"]) == (200, "previous")
    released.rollback()
    released.wait_for_version(before)


def test_a_new_code_version_replaces_the_replicas_without_a_failed_request(released: Service) -> None:
    candidate = released.state["candidate"]
    with Load(released.url, INFER, released.body()) as load:
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
    released.registry.set_alias(NAME, "champion", version)  # an event that the new controller must record
    wait_for("the record", lambda: released.state["champion"] == version)
    history = [event["to"] for event in released.state["history"]]
    assert history == [*(event["to"] for event in before["history"]), version]
    assert released.state["candidate"] == before["candidate"]


def test_replicas_hold_no_scikit_learn_and_no_mlflow(released: Service) -> None:
    for deployment in ("Model", "ReleaseController"):
        mapped = Path(f"/proc/{released.replica(deployment)}/maps").read_text()
        assert "/sklearn/" not in mapped, deployment
        assert ("libxgboost" in mapped) == (deployment == "Model"), deployment


def test_a_killed_replica_comes_back_with_its_model(released: Service) -> None:
    version = released.about["slipway"]["version"]
    pid = released.replica("Model")
    os.kill(pid, signal.SIGKILL)
    wait_for("a new replica", lambda: released.replica("Model") != pid, 90)
    released.wait_for_version(version)


def test_without_the_tracking_server_it_keeps_serving_and_recovers(released: Service) -> None:
    environment = released.environment
    assert environment.tracking is not None
    version = released.about["slipway"]["version"]
    with Load(released.url, INFER, released.body()) as load:
        environment.tracking.kill()
        problem = wait_for("the problem", lambda: released.about["slipway"]["problem"])
        assert environment.tracking_uri in problem
        environment.start_tracking()
        environment.wait_tracking()
        wait_for("the end of the problem", lambda: released.about["slipway"]["problem"] is None)
    assert load.failures == []
    assert set(load.versions) == {version}
