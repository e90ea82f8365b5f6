"""A model of a foreign flavour: served through its pyfunc, in a thread, so that the replica stays responsive."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.serving.environment import Environment, call, wait_for
from tests.serving.registering import register_pyfunc

pytestmark = pytest.mark.slow

NAME = "foreign"
INFER = f"/v2/models/{NAME}/infer"
FRAME = pd.DataFrame({"amount": [1.0, 2.0], "text": ["a", "bb"], "flag": [True, False]})
CODE = """
import time
import uuid
from pathlib import Path
import mlflow
import pandas as pd

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        if model_input["text"].iloc[0].startswith("wait:"):
            folder = Path(model_input["text"].iloc[0][5:])
            (folder / uuid.uuid4().hex).touch()
            while not (folder / "open").exists():
                time.sleep(0.02)
        if (model_input["amount"] < 0).any():
            raise ValueError("amounts are not negative")
        return (model_input["amount"] + model_input["text"].str.len()).to_numpy()

mlflow.models.set_model(Model())
"""


@pytest.fixture(scope="module")
def url(environment: Environment) -> Iterator[str]:
    """The address of a service with room for three predictions, four seconds each."""
    version = register_pyfunc(environment.tracking_uri, NAME, CODE, FRAME, np.array([2.0, 4.0]))
    environment.serve(NAME, version, limits={"request_timeout_s": 4, "max_queued": 3})
    wait_for("the model", lambda: call(environment.url + INFER, method="POST", body=body("a"))[0] == 200, 120)
    yield environment.url
    environment.clear()


def body(text: str, amount: float = 1.0) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": "amount", "shape": [1], "datatype": "FP64", "data": [amount]},
            {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]},
            {"name": "flag", "shape": [1], "datatype": "BOOL", "data": [True]},
        ]
    }


def test_it_is_served_under_both_protocols(url: str) -> None:
    status, headers, raw = call(url + INFER, method="POST", body=body("abc"))
    assert (status, headers["x-slipway-model-version"]) == (200, "1")
    assert json.loads(raw)["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [1], "data": [4.0]}]
    split = {"dataframe_split": json.loads(FRAME.to_json(orient="split"))}
    assert json.loads(call(url + "/invocations", method="POST", body=split)[2]) == {"predictions": [2.0, 4.0]}
    assert json.loads(call(f"{url}/v2/models/{NAME}")[2])["platform"] == "mlflow-pyfunc"


def test_its_own_error_reaches_the_client(url: str) -> None:
    status, _, raw = call(url + INFER, method="POST", body=body("a", -1))
    assert status == 500
    assert "ValueError: amounts are not negative" in json.loads(raw)["error"]


def test_a_slow_prediction_leaves_readiness_time_outs_and_backpressure_working(url: str, tmp_path: Path) -> None:
    statuses: list[int] = []

    def send() -> None:
        statuses.append(call(url + INFER, method="POST", body=body(f"wait:{tmp_path}"))[0])

    waiting = [threading.Thread(target=send) for _ in range(3)]
    for thread in waiting:
        thread.start()
    wait_for("three predictions", lambda: len(list(tmp_path.iterdir())) == len(waiting))
    status, headers, _ = call(url + INFER, method="POST", body=body("a"))
    assert (status, headers["retry-after"]) == (503, "1")
    assert call(url + "/v2/health/ready")[0] == 200
    for thread in waiting:
        thread.join(60)
    assert statuses == [408, 408, 408]
    (tmp_path / "open").touch()
    wait_for("an answer", lambda: call(url + INFER, method="POST", body=body(f"wait:{tmp_path}"))[0] == 200)
