"""The binary tensor extension: raw tensors after the JSON, in both directions."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving import protocol, tensors
from serving.errors import Refused
from serving.models import Outputs
from serving.signature import Column, Signature

NUMBERS = Signature(columns=(Column("a", "double"), Column("b", "double", required=False)))
MIXED = Signature(columns=(Column("age", "long"), Column("colour", "string"), Column("member", "boolean")))
OUTPUTS = Outputs({"predict": np.array(["no", "yes"], object), "probabilities": np.array([[0.75, 0.25], [0.5, 0.5]])})


def parse(**more: Any) -> protocol.InferRequest:
    row = {"name": "a", "datatype": "FP64", "shape": [1], "data": [1.0]}
    return protocol.parse(json.dumps({"inputs": [row], **more}).encode(), None, NUMBERS)


def answer(request: protocol.InferRequest) -> tuple[dict[str, str], bytes]:
    headers, body = protocol.answer(request, OUTPUTS, name="default", version="3")
    return dict(headers), body


def binary(inputs: list[dict[str, Any]], raw: bytes, **more: Any) -> tuple[bytes, str]:
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + raw, str(len(head))


def raw_tensor(name: str, raw: bytes, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(raw)}}


def pack(*values: str) -> bytes:
    return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)


def test_binary_tensors_follow_the_json_in_order() -> None:
    age, colour, member = np.array([41, 7], "<i8").tobytes(), pack("red", ""), np.array([1, 0], "?").tobytes()
    inputs = [
        raw_tensor("age", age, "INT64", [2]),
        raw_tensor("colour", colour, "BYTES", [2]),
        raw_tensor("member", member, "BOOL", [2]),
    ]
    body, length = binary(inputs, age + colour + member)
    columns = protocol.parse(body, length, MIXED).rows.columns
    assert columns is not None
    assert [columns[name].tolist() for name in ("age", "colour", "member")] == [[41, 7], ["red", None], [True, False]]


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [("FP32", np.array([1.5], "<f4").tobytes()), ("FP16", np.array([1.5], "<f2").tobytes()), ("BF16", b"\xc0\x3f")],
)
def test_floating_datatypes_mean_the_same_number(datatype: str, raw: bytes) -> None:
    body, length = binary([raw_tensor("a", raw, datatype, [1])], raw)
    columns = protocol.parse(body, length, NUMBERS).rows.columns
    assert columns is not None
    assert columns["a"].tolist() == [1.5]


BROKEN_BINARY = {
    "a header that is no number": (b"x" * 8, "abc", "header Inference-Header-Content-Length: 'abc'"),
    "a header beyond the body": (b"{}", "3", "at most the 2 bytes of the body"),
    "a size beyond the body": (*binary([raw_tensor("a", b"1" * 8, "FP64", [1])], b"1234"), "4 bytes are left"),
    "a size against the shape": (*binary([raw_tensor("a", b"1" * 8, "FP64", [2])], b"1" * 8), "takes 16 bytes"),
    "bytes that belong to nothing": (
        *binary([{"name": "a", "datatype": "FP64", "shape": [1], "data": [1.0]}], b"1234"),
        "4 bytes follow the last tensor",
    ),
    "a text cut short": (*binary([raw_tensor("a", b"\x09\0\0\0ab", "BYTES", [1])], b"\x09\0\0\0ab"), "is cut short"),
    "a text that is not UTF-8": (
        *binary([raw_tensor("a", b"\x01\0\0\0\xff", "BYTES", [1])], b"\x01\0\0\0\xff"),
        "not UTF-8",
    ),
}


@pytest.mark.parametrize("case", BROKEN_BINARY)
def test_a_broken_binary_body_is_refused_with_what_and_why(case: str) -> None:
    body, length, words = BROKEN_BINARY[case]
    with pytest.raises(Refused) as caught:
        protocol.parse(body, length, NUMBERS)
    assert words in caught.value.message


def test_binary_outputs_follow_the_json_of_the_answer() -> None:
    request = parse(parameters={"binary_data_output": True})
    headers, body = answer(request)
    length = int(headers["inference-header-content-length"])
    labels, probabilities = json.loads(body[:length])["outputs"]
    assert headers["content-type"] == "application/octet-stream"
    assert labels["parameters"]["binary_data_size"] == len(pack("no", "yes"))
    assert body[length:] == pack("no", "yes") + OUTPUTS.tensors["probabilities"].tobytes()
    assert "data" not in probabilities


def test_an_output_may_be_binary_by_itself() -> None:
    wanted = [{"name": "predict", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    headers, body = answer(parse(outputs=wanted))
    length = int(headers["inference-header-content-length"])
    assert body[length:] == pack("no", "yes")
    assert json.loads(body[:length])["outputs"][1]["data"] == [0.75, 0.25, 0.5, 0.5]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrays.arrays(st.sampled_from(list(tensors.DTYPES.values())), st.integers(1, 5)))
def test_a_binary_tensor_comes_back_as_it_went(array: tensors.Array) -> None:
    entry = raw_tensor("a", tensors.to_bytes(array), tensors.datatype_of(array), [len(array)])
    back = tensors.from_bytes(entry, tensors.to_bytes(array)).array
    assert back.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_binary_text_comes_back_as_it_went(values: list[str]) -> None:
    array = np.array(values, dtype=object)
    entry = raw_tensor("a", tensors.to_bytes(array), "BYTES", [len(values)])
    assert tensors.from_bytes(entry, tensors.to_bytes(array)).array.tolist() == values
