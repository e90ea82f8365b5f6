"""The body of an Open Inference Protocol request and answer: JSON, or JSON followed by raw tensors.

Pure functions over bytes; it must not predict, nor know of HTTP beyond one header of the binary extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from serving import rows, tensors
from serving.errors import bad_request
from serving.models import Outputs
from serving.signature import Signature

LENGTH_HEADER = "inference-header-content-length"
_JSON = ("content-type", "application/json")


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request that fits the model: its rows, and how it wants its answer."""

    rows: rows.Rows
    id: str | None = None
    wanted: Sequence[tuple[str, bool]] | None = None
    """Requested outputs in order, each with "as binary"; None asks for all."""
    binary: bool = False
    """Whether outputs are binary that the request does not name."""


def json_value(body: bytes) -> Any:
    """Return the value in a JSON text.

    Raises:
        Refused: 400, it is not JSON.
    """
    try:
        return from_json(body)
    except ValueError as fault:
        raise bad_request(f"the body is not JSON: {fault}") from None


def encode(value: Any) -> bytes:
    """Return a value as JSON; a number that JSON cannot say becomes null."""
    return to_json(value, inf_nan_mode="null")


def parse(body: bytes, header_length: str | None, signature: Signature) -> InferRequest:
    """Return the request in a body; ``header_length`` is the binary extension's header, where sent.

    Raises:
        Refused: 400, naming the field, the rule and the fix.
    """
    head, raw = _divide(body, header_length)
    request = json_value(head)
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise bad_request('the body must be an object with inputs: [{"name", "shape", "datatype", "data"}, ...]')
    inputs = request["inputs"]
    found = None if raw else rows.from_json_tensors(inputs, signature)
    if found is None:
        found = rows.from_tensors(_tensors(inputs, raw), signature)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise bad_request("id: a string is needed")
    parameters = _object(request, "parameters")
    if (asked := request.get("outputs")) is None:
        return InferRequest(found, identity, None, bool(parameters.get("binary_data_output", False)))
    return InferRequest(found, identity, _wanted(asked, bool(parameters.get("binary_data_output", False))))


def _divide(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not header_length.isdecimal() or int(header_length) > len(body):
        raise bad_request(
            f"header Inference-Header-Content-Length: {header_length!r} must be the length of the JSON part,"
            f" at most the {len(body)} bytes of the body"
        )
    length = int(header_length)
    return body[:length], body[length:]


def _tensors(inputs: list[Any], raw: bytes) -> list[tensors.Tensor]:
    found: list[tensors.Tensor] = []
    at = 0
    for entry in inputs:
        tensors.check_header(entry)
        size = _object(entry, "parameters").get("binary_data_size")
        if size is None:
            found.append(tensors.from_json(entry))
            continue
        if type(size) is not int or size < 0 or at + size > len(raw):
            raise bad_request(
                f"input {entry['name']}: binary_data_size {size!r} goes beyond the body, {len(raw) - at} bytes are"
                " left; send the bytes after the JSON and its length in Inference-Header-Content-Length"
            )
        if "data" in entry:
            raise bad_request(f"input {entry['name']}: send data or binary_data_size, not both")
        found.append(tensors.from_bytes(entry, raw[at : at + size]))
        at += size
    if at != len(raw):
        raise bad_request(f"inputs: {len(raw) - at} bytes follow the last tensor; make binary_data_size cover them")
    return found


def _wanted(asked: Any, binary: bool) -> list[tuple[str, bool]]:  # noqa: FBT001  the protocol's own flag
    if not isinstance(asked, list) or not all(isinstance(o, dict) and isinstance(o.get("name"), str) for o in asked):
        raise bad_request("outputs: a list of objects with a name is needed; leave it out for all outputs")
    wanted = []
    for output in asked:
        parameters = _object(output, "parameters")
        if "classification" in parameters:
            raise bad_request(f"output {output['name']}: classification is not supported; read probabilities")
        wanted.append((output["name"], bool(parameters.get("binary_data", binary))))
    return wanted


def _object(holder: dict[str, Any], key: str) -> dict[str, Any]:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request(f"{key}: an object is needed")
    return value


def answer(
    request: InferRequest, outputs: Outputs, *, name: str, version: str
) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Return the headers and the body of the answer to a request.

    Raises:
        Refused: 400, an output was asked for that the model does not have.
    """
    wanted = request.wanted or [(output, request.binary) for output in outputs.tensors]
    entries: list[dict[str, Any]] = []
    chunks: list[bytes] = []
    for output, binary in wanted:
        array = outputs.tensors.get(output)
        if array is None:
            raise bad_request(f"output {output} is unknown; the model answers {', '.join(outputs.tensors)}")
        entry: dict[str, Any] = {
            "name": output,
            "datatype": tensors.datatype_of(array),
            "shape": list(array.shape),
        }
        if binary:
            chunks.append(tensors.to_bytes(array))
            entry["parameters"] = {"binary_data_size": len(chunks[-1])}
        else:
            entry["data"] = array.ravel().tolist()
        entries.append(entry)
    body: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": entries}
    if request.id is not None:
        body["id"] = request.id
    head = encode(body)
    if not chunks:
        return (_JSON,), head
    headers = (("content-type", "application/octet-stream"), (LENGTH_HEADER, str(len(head))))
    return headers, b"".join([head, *chunks])
