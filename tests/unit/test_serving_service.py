"""The HTTP service as an ASGI application: routes, limits, time-outs, and what it says when it cannot answer."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import numpy as np
import pytest

from serving.batching import Batcher
from serving.models import Outputs
from serving.service import Service
from tests.serving.asgi_client import Response, ask, request
from tests.serving.fakes import Constant, native, service

INFER = "/v2/models/default/infer"


def rows(count: int = 1, width: int = 4) -> dict[str, Any]:
    data = [float(value) for value in range(count * width)]
    return {"inputs": [{"name": "rows", "shape": [count, width], "datatype": "FP64", "data": data}]}


def test_an_inference_answers_labels_and_probabilities() -> None:
    model = native(classes=("no", "maybe", "yes"))
    response = ask(service(model), "POST", INFER, rows(3))
    outputs = {output["name"]: output for output in response.json["outputs"]}
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    expected = model.predict(matrix)
    assert response.status == 200
    assert outputs["predict"]["data"] == expected.tensors["predict"].tolist()
    assert outputs["probabilities"]["shape"] == [3, 3]
    assert np.allclose(outputs["probabilities"]["data"], expected.tensors["probabilities"].ravel())


@pytest.mark.parametrize(
    ("classes", "datatype"), [((0, 1), "INT64"), (("no", "yes"), "BYTES"), ((0.5, 1.5), "FP64"), (None, "FP64")]
)
def test_labels_keep_their_type(classes: Any, datatype: str) -> None:
    outputs = ask(service(native(classes=classes)), "POST", INFER, rows()).json["outputs"]
    assert outputs[0]["datatype"] == datatype
    assert len(outputs) == (1 if classes is None else 2)


def test_a_missing_optional_category_is_predicted_like_an_empty_one() -> None:
    app = service(native(text=True))
    numbers = [{"name": f"x{n}", "shape": [1], "datatype": "FP64", "data": [-0.5]} for n in range(4)]
    empty = {"name": "colour", "shape": [1], "datatype": "BYTES", "data": [""]}
    absent = ask(app, "POST", INFER, {"inputs": numbers})
    sent = ask(app, "POST", INFER, {"inputs": [*numbers, empty]})
    known = ask(app, "POST", INFER, {"inputs": [*numbers, {**empty, "data": ["red"]}]})
    assert absent.status == 200
    assert absent.body == sent.body != known.body


def test_every_answer_of_a_model_names_its_version_and_role() -> None:
    app = service(native(), previous=Constant())
    champion = ask(app, "POST", INFER, rows())
    refused = ask(app, "POST", INFER, {"inputs": []})
    previous = ask(app, "GET", "/v2/models/default/versions/1")
    assert [r.headers["x-slipway-model-version"] for r in (champion, refused, previous)] == ["2", "2", "1"]
    roles = [r.headers["x-slipway-model-role"] for r in (champion, refused, previous)]
    assert roles == ["champion", "champion", "previous"]


def test_a_version_that_is_kept_answers_under_its_own_signature() -> None:
    app = service(native(), previous=Constant(7.0, column="other"))
    body = {"inputs": [{"name": "other", "shape": [1], "datatype": "FP64", "data": [1]}]}
    response = ask(app, "POST", "/v2/models/default/versions/1/infer", body)
    assert (response.status, response.json["outputs"][0]["data"], response.json["model_version"]) == (200, [7.0], "1")


def test_metadata_names_inputs_outputs_versions_and_what_is_wrong() -> None:
    app = service(native(text=True, width=1), previous=Constant())
    app._follower.problem = "the alias champion names version 3, which cannot be served"
    about = ask(app, "GET", "/v2/models/default").json
    assert about["versions"] == ["2", "1"]
    assert about["inputs"] == [
        {"name": "x0", "datatype": "FP64", "shape": [-1]},
        {"name": "colour", "datatype": "BYTES", "shape": [-1]},
    ]
    assert about["outputs"] == [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert "version 3" in about["slipway"]["problem"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2", {"name": "slipway", "version": "code", "extensions": ["binary_tensor_data"]}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/default/ready", {"ready": True}),
        ("/v2/models/default/versions/2/ready", {"ready": True}),
        ("/ping", {"ready": True}),
    ],
)
def test_health_and_server_metadata(path: str, expected: Any) -> None:
    response = ask(service(native()), "GET", path)
    assert (response.status, response.json) == (200, expected)


def test_invocations_answers_the_models_own_predictions() -> None:
    app = service(native(classes=("no", "yes")))
    split = {"dataframe_split": {"columns": ["x0", "x1", "x2", "x3"], "data": [[1, 2, 3, 4], [-3, 2, 1, 0]]}}
    answered = ask(app, "POST", "/invocations", split).json
    csv = ask(app, "POST", "/invocations", b"x0,x1,x2,x3\n1,2,3,4\n-3,2,1,0\n", {"content-type": "text/csv"}).json
    assert answered == csv
    assert set(answered["predictions"]) <= {"no", "yes"}
    assert len(answered["predictions"]) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/", 404, "there is nothing here"),
        ("GET", "/v2/models/other", 404, "model other is unknown; this service has default"),
        ("POST", "/v2/models/default/versions/9/infer", 404, "version 9 of model default is not loaded; loaded: 2"),
        ("GET", "/v2/models/default/metrics", 404, "a model answers /infer"),
        ("GET", INFER, 405, "use POST"),
        ("POST", "/v2/health/ready", 405, "use GET"),
        ("GET", "/invocations", 405, "use POST"),
    ],
)
def test_what_is_not_there_is_named(method: str, path: str, status: int, words: str) -> None:
    response = ask(service(native()), method, path, {} if method == "POST" else None)
    assert response.status == status
    assert words in response.error


def test_without_a_model_everything_but_liveness_is_503_and_says_when_to_return() -> None:
    app = service(None)
    for method, path in [("POST", INFER), ("POST", "/invocations"), ("GET", "/v2/health/ready"), ("GET", "/ping")]:
        response = ask(app, method, path, rows())
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert "no model is ready" in response.error
    assert ask(app, "GET", "/v2/health/live").status == 200


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    app = service(native(), max_body_bytes=100)
    response = asyncio.run(request(app, "POST", INFER, [], {"content-length": "101"}))
    assert response.status == 413
    assert "larger than 100 bytes" in response.error


def test_a_body_without_a_length_is_cut_off_at_the_limit() -> None:
    app = service(native(), max_body_bytes=100)
    response = asyncio.run(request(app, "POST", INFER, [b"x" * 60, b"x" * 60, b"never read"]))
    assert response.status == 413


def test_a_body_at_the_limit_is_read() -> None:
    raw = json.dumps(rows()).encode()
    app = service(native(), max_body_bytes=len(raw))
    assert asyncio.run(request(app, "POST", INFER, [raw[:10], raw[10:]])).status == 200


def test_a_body_that_never_ends_times_out() -> None:
    app = service(native(), request_timeout_s=0.05)
    response = asyncio.run(request(app, "POST", INFER, []))
    assert response.status == 408
    assert "no answer within 0.05 s" in response.error


@pytest.mark.parametrize(("name", "value", "status"), [("content-encoding", "gzip", 415), ("content-length", "x", 400)])
def test_headers_that_cannot_be_honoured_are_named(name: str, value: str, status: int) -> None:
    response = asyncio.run(request(service(native()), "POST", INFER, [b"{}"], {name: value}))
    assert response.status == status
    assert name in response.error.lower()


def test_a_media_type_that_is_not_spoken_is_named() -> None:
    response = ask(service(native()), "POST", "/invocations", b"x", {"content-type": "text/plain; charset=utf-8"})
    assert response.status == 415
    assert "text/plain" in response.error


def test_a_model_that_raises_is_a_500_with_its_words() -> None:
    def fail() -> None:
        raise ArithmeticError("no such luck")

    app = service(Constant())
    assert app._follower.champion is not None
    app._follower.champion.model._wait = fail  # type: ignore[attr-defined]
    response = ask(app, "POST", INFER, {"inputs": [{"name": "x0", "shape": [1], "datatype": "FP64", "data": [1]}]})
    assert response.status == 500
    assert "no such luck" in response.error


class Slow:
    """A model that predicts until it is let go."""

    def __init__(self, **limits: Any) -> None:
        self.open = threading.Event()
        self.started = threading.Semaphore(0)
        self.app: Service = service(Constant(), **limits)
        champion = self.app._follower.champion
        assert champion is not None
        champion.model._wait = self._wait  # type: ignore[attr-defined]

    def _wait(self) -> None:
        self.started.release()
        self.open.wait(120)

    async def infer(self) -> Response:
        body = {"inputs": [{"name": "x0", "shape": [1], "datatype": "FP64", "data": [1]}]}
        return await request(self.app, "POST", INFER, [json.dumps(body).encode()])


def test_while_a_slow_model_predicts_readiness_answers_and_the_queue_overflows_politely() -> None:
    async def scenario() -> None:
        slow = Slow(max_queued=2)
        waiting = [asyncio.create_task(slow.infer()) for _ in range(2)]
        await asyncio.to_thread(slow.started.acquire)
        assert (await request(slow.app, "GET", "/v2/health/ready")).status == 200
        overflow = await slow.infer()
        assert (overflow.status, overflow.headers["retry-after"]) == (503, "1")
        slow.open.set()
        assert [response.status for response in await asyncio.gather(*waiting)] == [200, 200]
        assert (await slow.infer()).status == 200

    asyncio.run(scenario())


def test_a_slow_model_times_out_and_its_place_is_free_once_it_ends() -> None:
    async def scenario() -> None:
        slow = Slow(max_queued=1, request_timeout_s=0.5)
        assert (await slow.infer()).status == 408
        assert (await slow.infer()).status == 503
        slow.open.set()
        while (answer := await slow.infer()).status == 503:  # noqa: ASYNC110  the thread ends when it ends
            await asyncio.sleep(0.01)
        assert answer.status == 200

    asyncio.run(scenario())


def test_what_waits_together_is_predicted_together_and_answered_apart() -> None:
    async def scenario() -> None:
        model = native()
        calls: list[int] = []
        original = model.predict

        def counted(prepared: Any) -> Outputs:
            calls.append(len(prepared))
            return original(prepared)

        model.predict = counted  # type: ignore[method-assign]
        batcher = Batcher(model, max_rows=6)
        matrices = [np.full((size, 4), size, np.float32) for size in (1, 2, 3, 2)]
        answers = await asyncio.gather(*(batcher.predict(matrix) for matrix in matrices))
        assert calls == [6, 2]
        for matrix, answer in zip(matrices, answers, strict=True):
            alone = original(matrix)
            assert np.array_equal(answer.tensors["probabilities"], alone.tensors["probabilities"])

    asyncio.run(scenario())


def test_a_batch_that_fails_tells_everyone_who_waits() -> None:
    async def scenario() -> None:
        batcher = Batcher(native())
        answers = await asyncio.gather(
            *(batcher.predict(np.zeros((1, width), np.float32)) for width in (4, 5)), return_exceptions=True
        )
        assert all(isinstance(answer, Exception) for answer in answers)

    asyncio.run(scenario())
