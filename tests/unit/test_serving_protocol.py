"""The Open Inference Protocol's bodies: what is accepted, what is refused and in which words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving import protocol, tensors
from serving.errors import Refused
from serving.models import Outputs
from serving.signature import Column, Signature

NUMBERS = Signature(columns=(Column("a", "double"), Column("b", "double", required=False)))
MIXED = Signature(columns=(Column("age", "long"), Column("colour", "string"), Column("member", "boolean")))


def tensor(name: str, data: Any, datatype: str = "FP64", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data}


def parse(inputs: Any, signature: Signature = NUMBERS, **more: Any) -> protocol.InferRequest:
    return protocol.parse(json.dumps({"inputs": inputs, **more}).encode(), None, signature)


def refusal(inputs: Any, signature: Signature = NUMBERS, **more: Any) -> str:
    with pytest.raises(Refused) as caught:
        parse(inputs, signature, **more)
    assert caught.value.status == 400
    return caught.value.message


MIXED_ROW = [tensor("age", [41], "INT64"), tensor("colour", ["red"], "BYTES"), tensor("member", [True], "BOOL")]


def test_one_tensor_may_carry_all_numeric_columns() -> None:
    rows = parse([tensor("rows", [1, 2, 3, 4], shape=[2, 2])]).rows
    assert rows.count == 2
    assert rows.matrix is not None
    assert rows.matrix.tolist() == [[1, 2], [3, 4]]


def test_columns_come_in_any_order_and_meet_their_names() -> None:
    rows = parse([tensor("b", [2.5]), tensor("a", [1.5])]).rows
    assert rows.matrix is not None
    assert rows.matrix.tolist() == [[1.5, 2.5]]


def test_the_fast_way_and_the_careful_way_read_the_same_rows() -> None:
    fast = parse([tensor("a", [1.5, 2]), tensor("b", [2.5, 3])]).rows
    careful = parse([tensor("a", [1.5, 2]), tensor("b", [2.5, 3], shape=[2, 1])]).rows
    assert fast.matrix is not None
    assert careful.columns is not None
    assert fast.matrix.T.tolist() == [careful.columns["a"].tolist(), careful.columns["b"].tolist()]


def test_null_is_a_missing_number_and_an_empty_text_a_missing_category() -> None:
    rows = parse([tensor("a", [1, None]), tensor("b", [None, 2])]).rows
    assert rows.columns is not None
    assert np.isnan(rows.columns["a"][1])
    texts = parse([tensor("age", [1], "INT64"), tensor("colour", [""], "BYTES"), tensor("member", [0], "BOOL")], MIXED)
    assert texts.rows.columns is not None
    assert texts.rows.columns["colour"].tolist() == [None]


def test_an_optional_column_may_be_absent() -> None:
    assert parse([tensor("a", [1.0])]).rows.count == 1


def test_nested_data_is_read_like_flat_data() -> None:
    rows = parse([tensor("rows", [[1, 2], [3, 4]], shape=[2, 2])]).rows
    assert rows.matrix is not None
    assert rows.matrix.tolist() == [[1, 2], [3, 4]]


REFUSED = {
    "an unknown column": ([tensor("z", [1])], "column z is unknown; the model takes a, b"),
    "a missing column": ([tensor("b", [1])], "column a is missing"),
    "a column sent twice": ([tensor("a", [1]), tensor("a", [1])], "column a was sent twice"),
    "an unknown datatype": ([tensor("a", [1], "FLOAT")], "datatype 'FLOAT' is unknown, use one of"),
    "text for a number": ([tensor("a", ["1"], "BYTES")], "input a: datatype BYTES does not fit"),
    "a quoted number": ([tensor("a", ["1.5"])], "input a: '1.5' is not a number"),
    "an object for a number": ([tensor("a", [{}])], "input a: {} is not a number"),
    "a shape that data contradicts": ([tensor("a", [1, 2], shape=[3])], "asks for 3 values, data has 2"),
    "a shape of words": (
        [{**tensor("a", [1]), "shape": ["1"]}],
        "input a: shape ['1'] must be a list of whole numbers",
    ),
    "too few features": ([tensor("rows", [1], shape=[1, 1])], "shape [1, 1] does not fit, the model takes [n, 2]"),
    "columns of different lengths": ([tensor("a", [1]), tensor("b", [1, 2])], "column b has 2 rows, column a has 1"),
    "ragged rows": ([tensor("rows", [[1, 2], [3]], shape=[2, 2])], "the rows have different lengths"),
    "no rows": ([tensor("rows", [], shape=[0, 2])], "there are no rows"),
    "no inputs": ([], "at least one tensor"),
    "inputs that are no objects": ([1], "each input is an object"),
    "data that is no list": ([{**tensor("a", []), "data": 1}], "input a: data must be a list"),
    "a whole number with a fraction": ([tensor("a", [1.5], "INT32")], "input a: 1.5 does not fit (datatype INT32)"),
    "a number beyond its datatype": ([tensor("a", [300], "UINT8")], "input a: 300 does not fit (datatype UINT8)"),
    "null in whole numbers": ([tensor("a", [None], "INT64")], "only a floating datatype can say; send FP64"),
    "a number beyond 32 bits": ([tensor("a", [1e300])], "column a, row 0: 1e+300 is beyond the range"),
    "a number beyond 64 bits": ([tensor("a", [10**400])], "beyond the range of 64-bit floats"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_what_and_why(case: str) -> None:
    inputs, words = REFUSED[case]
    assert words in refusal(inputs)


def test_one_tensor_cannot_carry_text_columns() -> None:
    assert "column colour is text, so send one tensor per column" in refusal(
        [tensor("r", [1] * 3, shape=[1, 3])], MIXED
    )


def test_numbers_for_a_text_column_are_refused() -> None:
    inputs = [MIXED_ROW[0], tensor("colour", [1.0]), MIXED_ROW[2]]
    assert "input colour: datatype FP64 does not fit, the column takes BYTES" in refusal(inputs, MIXED)


def test_a_fraction_in_a_whole_number_column_is_refused() -> None:
    inputs = [tensor("age", [41.5]), *MIXED_ROW[1:]]
    assert "column age, row 0: 41.5 is not a whole number" in refusal(inputs, MIXED)


def test_a_boolean_column_takes_nothing_but_true_and_false() -> None:
    inputs = [*MIXED_ROW[:2], tensor("member", [3], "INT8")]
    assert "column member, row 0: 3 is neither true nor false" in refusal(inputs, MIXED)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 1}', b"\xff", b"[" * 5000])
def test_a_body_that_is_not_a_request_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        protocol.parse(body, None, NUMBERS)
    assert caught.value.status == 400
    assert "the body" in caught.value.message


def test_id_outputs_and_parameters_have_rules_too() -> None:
    row = [tensor("a", [1.0])]
    assert "id: a string" in refusal(row, id=3)
    assert "outputs: a list of objects" in refusal(row, outputs=["predict"])
    assert "classification is not supported" in refusal(
        row, outputs=[{"name": "predict", "parameters": {"classification": 1}}]
    )
    assert "parameters: an object" in refusal(row, parameters=[1])


OUTPUTS = Outputs({"predict": np.array(["no", "yes"], object), "probabilities": np.array([[0.75, 0.25], [0.5, 0.5]])})


def answer(request: protocol.InferRequest) -> tuple[dict[str, str], bytes]:
    headers, body = protocol.answer(request, OUTPUTS, name="default", version="3")
    return dict(headers), body


def test_an_answer_has_every_output_with_datatype_and_shape() -> None:
    headers, body = answer(parse([tensor("a", [1.0, 2.0])], id="r1"))
    assert headers == {"content-type": "application/json"}
    assert json.loads(body) == {
        "model_name": "default",
        "model_version": "3",
        "id": "r1",
        "outputs": [
            {"name": "predict", "datatype": "BYTES", "shape": [2], "data": ["no", "yes"]},
            {"name": "probabilities", "datatype": "FP64", "shape": [2, 2], "data": [0.75, 0.25, 0.5, 0.5]},
        ],
    }


def test_only_requested_outputs_come_and_in_that_order() -> None:
    wanted = [{"name": "probabilities"}]
    outputs = json.loads(answer(parse([tensor("a", [1.0])], outputs=wanted))[1])["outputs"]
    assert [output["name"] for output in outputs] == ["probabilities"]


def test_an_unknown_output_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="output score is unknown; the model answers predict, probabilities"):
        answer(parse([tensor("a", [1.0])], outputs=[{"name": "score"}]))


def test_a_number_that_json_cannot_say_becomes_null() -> None:
    assert protocol.encode({"x": [float("nan"), float("inf"), 1.0]}) == b'{"x":[null,null,1.0]}'


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "data", "shape"]), inner),
    max_leaves=8,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", "rows", 1]),
        "datatype": st.sampled_from([*tensors.DATATYPES, None]),
        "shape": st.lists(st.integers(-1, 3), max_size=3),
        "data": JSON_VALUES,
        "parameters": JSON_VALUES | st.just({"binary_data_size": 8}),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HEADERS | JSON_VALUES, max_size=3) | JSON_VALUES, st.binary(max_size=16))
def test_whatever_is_sent_is_read_or_refused_and_never_an_error(inputs: Any, raw: bytes) -> None:
    head = json.dumps({"inputs": inputs}).encode()
    for signature in (NUMBERS, MIXED):
        try:
            rows = protocol.parse(head + raw, str(len(head)), signature).rows
        except Refused:
            continue
        assert rows.count > 0
