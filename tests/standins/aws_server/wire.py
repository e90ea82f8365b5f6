"""From HTTP to a method of a service and back, by botocore's model of it: AWS's rest-json and json protocols.

It validates what comes in and, as a check on this server itself, that what goes out has no member the model lacks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session
from botocore import xform_name

from tests.standins.aws_server.faults import Fault
from tests.standins.aws_server.validation import violations

Operation = Callable[[dict[str, Any]], dict[str, Any] | None]
MODELS = botocore.session.Session()


@dataclass(frozen=True)
class Request:
    """One HTTP request, its path as it was sent: percent-encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    service: str
    region: str
    access_key: str


@dataclass(frozen=True)
class Response:
    """What goes back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@cache
def service_model(name: str) -> Any:
    """Return botocore's model of a service."""
    return MODELS.get_service_model(name)


@cache
def _routes(service: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    model = service_model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        pattern = re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", http["requestUri"].split("?")[0])
        found.append((http["method"], re.compile(f"^{pattern}/?$"), name))
    return tuple(found)


def understood(request: Request) -> tuple[str, dict[str, Any]]:
    """Return the operation that is called and its parameters; raises what the service would for neither."""
    model = service_model(request.service)
    if model.metadata["protocol"] == "json":
        name = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        parameters = _decoded(request.body)
    else:
        name, parameters = _by_route(request)
    if name not in model.operation_names:
        raise Fault(
            "UnknownOperationException", f"{request.method} {request.path} is no operation of {model.service_name}", 404
        )
    shape = model.operation_model(name).input_shape
    wrong = list(violations(parameters, shape)) if shape else []
    if wrong:
        raise Fault(_refusal(request.service), f"{name}: {'; '.join(wrong)}")
    return name, parameters


def answer(request: Request, service: object) -> Response:
    """Call the operation that a request means on the service that implements it."""
    try:
        name, parameters = understood(request)
        operation: Operation = getattr(service, xform_name(name), None) or _lacking(f"{name} of {request.service}")
        result = operation(parameters) or {}
    except Fault as fault:
        return refused(request.service, fault)
    shape = service_model(request.service).operation_model(name).output_shape
    written = json.loads(json.dumps(_pruned(result), default=_plain))
    unknown = list(violations(written, shape)) if shape else []
    if any("is no member of" in text for text in unknown):
        raise AssertionError(f"this server answers {name} with what the service has not: {unknown}")
    return Response(200, {"Content-Type": "application/json"}, json.dumps(written).encode())


def _lacking(what: str) -> Operation:
    def operation(_: dict[str, Any]) -> None:
        raise Fault("NotImplemented", f"this server has no {what}")

    return operation


def refused(service: str, fault: Fault) -> Response:
    """Write a refusal as the service's protocol has it."""
    protocol = service_model(service).metadata["protocol"]
    if protocol in ("query", "ec2"):
        error = (
            f"<Error><Type>Sender</Type><Code>{fault.code}</Code><Message>{_escaped(fault.message)}</Message></Error>"
        )
        body = (
            f"<Response><Errors>{error}</Errors><RequestID>0</RequestID></Response>"
            if protocol == "ec2"
            else f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
        )
        return Response(fault.status, {"Content-Type": "text/xml"}, body.encode())
    members = {"__type": fault.code, "message": fault.message, **fault.members}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": fault.code}
    return Response(fault.status, headers, json.dumps(members).encode())


def _by_route(request: Request) -> tuple[str, dict[str, Any]]:
    for method, pattern, name in _routes(request.service):
        if method == request.method and (match := pattern.match(request.path)):
            return name, _parameters(request, name, match.groupdict())
    return "", {}


def _parameters(request: Request, name: str, in_path: Mapping[str, str]) -> dict[str, Any]:
    shape = service_model(request.service).operation_model(name).input_shape
    found = _decoded(request.body)
    query = parse_qs(request.query, keep_blank_values=True)
    for member, its in (shape.members if shape else {}).items():
        place, called = its.serialization.get("location"), its.serialization.get("name", member)
        if place == "uri" and called in in_path:
            found[member] = unquote(in_path[called])
        elif place == "querystring" and called in query:
            found[member] = _typed(query[called], its)
    return found


def _typed(values: list[str], shape: Any) -> Any:
    match shape.type_name:
        case "list":
            return values
        case "integer" | "long":
            return int(values[0])
        case "boolean":
            return values[0] == "true"
        case _:
            return values[0]


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError as error:
        raise Fault("SerializationException", f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Fault("SerializationException", "the body is no JSON object")
    return {key: value for key, value in found.items() if value is not None}


def _refusal(service: str) -> str:
    codes: dict[str, str] = {"eks": "InvalidParameterException", "budgets": "InvalidParameterException"}
    return codes.get(service, "ValidationException")


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{value!r} has no form on the wire")


def now() -> datetime:
    """Return the time, as resources are stamped with it."""
    return datetime.now(UTC)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
