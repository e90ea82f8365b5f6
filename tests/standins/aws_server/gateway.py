"""The one address of every service: what this server implements answers itself, moto answers the rest.

Every call is checked against botocore's model of its service first, and remembered; `/_slipway` is the server's own.
"""

from __future__ import annotations

import io
import json
import re
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.model import ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import BackendRequest, DomainDispatcherApplication, create_backend_app

from tests.standins.aws_server import databases
from tests.standins.aws_server.account import Account
from tests.standins.aws_server.authenticator import review
from tests.standins.aws_server.eks.state import Endpoint
from tests.standins.aws_server.faults import Fault
from tests.standins.aws_server.validation import violations
from tests.standins.aws_server.wire import Request, Response, answer, refused, understood

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
CHECKED = ("query", "ec2", "json")
"""Protocols of moto's services whose calls are checked; S3's and other REST calls moto reads by itself."""
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 500: "Internal Server Error"}
OWN = "/_slipway"
MODELS = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2", "servicequotas": "service-quotas"}
"""What botocore calls a service that signs by another name."""


class Gateway:
    """The WSGI application."""

    def __init__(self, url: str, settle_s: float) -> None:
        self.url = url
        self.moto: Wsgi = DomainDispatcherApplication(create_backend_app)
        self.account = Account(url, settle_s)
        self.calls: list[dict[str, Any]] = []
        self._recording = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        body = _body(environ)
        request = _request(environ, body)
        try:
            answered = self._own(request) if request.path.startswith(OWN) else self._service(request, environ)
            if answered is None:
                return self._forwarded(environ, start, request)
        except Exception:  # noqa: BLE001  what went wrong in a test server is told, not retried
            answered = refused(request.service or "ec2", Fault("ServerError", traceback.format_exc()))
        start(
            f"{answered.status} {REASONS.get(answered.status, 'Error')}",
            [*answered.headers.items(), ("Content-Length", str(len(answered.body)))],
        )
        return [answered.body]

    def _service(self, request: Request, environ: dict[str, Any]) -> Response | None:
        """Answer a call of a service implemented here, or refuse a wrong one; None: moto's to answer."""
        service = self.account.service(request.service, request.region)
        if service is not None:
            self._remember(request, *_quietly(request))
            with self.account.time(request):
                return answer(request, service)
        try:
            name, parameters = _foreign(request, environ)
            self._remember(request, name, parameters)
            if (added := self.account.addition(request, name, parameters)) is not None:
                return added
            self.account.guard(request, name, parameters)
        except Fault as fault:
            return refused(request.service, fault)
        return None

    def _forwarded(self, environ: dict[str, Any], start: Any, request: Request) -> Iterable[bytes]:
        try:
            return self.moto(environ, start)
        except NotImplementedError as error:  # moto's own word for it is 500, which clients try again and again
            fault = refused(request.service or "ec2", Fault("NotImplemented", f"this server lacks {error}"))
            start("400 Bad Request", [*fault.headers.items(), ("Content-Length", str(len(fault.body)))])
            return [fault.body]

    def _remember(self, request: Request, name: str, parameters: dict[str, Any]) -> None:
        call = {"service": request.service, "region": request.region, "operation": name, "parameters": parameters}
        if not self.account.internal(request):
            with self._recording:
                self.calls.append(json.loads(json.dumps(call, default=str)))

    def _own(self, request: Request) -> Response:
        """Answer what is no AWS: the call log, where clusters' API servers are, the authenticator, a fresh start."""
        match request.path.removeprefix(OWN).strip("/").split("/"):
            case ["calls"]:
                return _json(self.calls)
            case ["endpoint"]:
                self.account.endpoint(Endpoint(**json.loads(request.body)))
            case ["databases"]:
                databases.are_at(str(json.loads(request.body)["address"]))
            case ["settle"]:
                self.account.settle(float(json.loads(request.body)["seconds"]))
            case ["quota"]:
                self.account.quotas.values.update(json.loads(request.body))
            case ["reset"]:
                self.account.reset()
                self.calls.clear()
                self.moto({**_reset(), "wsgi.input": io.BytesIO()}, lambda *_: None)
            case ["clusters", region, name, "token-review"]:
                state = self.account.eks(region)
                hosts = frozenset({self.url.removeprefix("http://"), f"sts.{region}.amazonaws.com"})
                return _json(review(json.loads(request.body or b"null"), state.clusters.get(name), hosts))
            case _:
                return Response(404, {}, b"")
        return _json({})


def _body(environ: dict[str, Any]) -> bytes:
    """Read what was sent, and put it back for whoever reads it next; large objects only pass through."""
    if environ.get("HTTP_TRANSFER_ENCODING") == "chunked":
        return b""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)


def _request(environ: dict[str, Any], body: bytes) -> Request:
    found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = found.groups() if found else ("", "", "")
    headers = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name.startswith("HTTP_")}
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    return Request(
        method=environ["REQUEST_METHOD"],
        path=raw.partition("?")[0],
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        service=MODELS.get(service, service),
        region=region,
        access_key=key,
    )


def _quietly(request: Request) -> tuple[str, dict[str, Any]]:
    try:
        return understood(request)
    except Fault as fault:
        return f"({request.method} {request.path})", {"refused": str(fault)}


def _foreign(request: Request, environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return operation and parameters of a call that is moto's to answer, checked; of S3 only method and path."""
    plain: tuple[str, dict[str, Any]] = f"({request.method} {request.path})", {}
    try:
        model: ServiceModel = get_service_model(request.service)
    except Exception:  # noqa: BLE001  no such service: moto says so itself
        return plain
    protocol = model.metadata["protocol"]
    if protocol not in CHECKED:
        return plain
    parsed = BackendRequest({**environ, "wsgi.input": io.BytesIO(request.body)})
    name = request.headers.get("X-Amz-Target", "").rpartition(".")[2] or parsed.values.get("Action", "")
    if name not in model.operation_names:
        raise Fault("InvalidAction", f"{name!r} is no operation of {request.service}")
    operation = model.operation_model(name)
    sent: Any = {
        "method": request.method,
        "values": parsed.values,
        "headers": parsed.headers,
        "body": request.body,
        "url_path": request.path,
        "url_params": {},
    }
    parameters: dict[str, Any] = PROTOCOL_PARSERS[protocol](operation).parse(sent)
    wrong = [] if operation.input_shape is None else list(violations(parameters, operation.input_shape))
    if wrong:
        raise Fault("ValidationError", f"{name}: {'; '.join(wrong)}")
    return name, parameters


def _json(value: Any) -> Response:
    return Response(200, {"Content-Type": "application/json"}, json.dumps(value, default=str).encode())


def _reset() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/moto-api/reset",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
