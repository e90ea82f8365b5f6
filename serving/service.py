"""The HTTP service of one replica, as a plain ASGI application: routes, admission, time-outs, answers.

It must not import ray: the same object runs under any ASGI server, which is how the unit tests run it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from serving import asgi, invocations, protocol
from serving.access import Access
from serving.asgi import JSON, Answer
from serving.errors import Refused, bad_request
from serving.follower import Follower, Served
from serving.models import Model, Outputs
from serving.rows import Rows
from serving.settings import Settings
from serving.signature import Signature

LOG = logging.getLogger("ray.serve")
_LARGE_BODY = 256 * 1024
"""Bodies above this many bytes are parsed and predicted in a thread, so that they do not hold up small ones."""
_THREADS = 4
_START_S = 10.0
"""How long a starting replica waits for its model before it starts without one."""

Parsed = tuple[Rows, Callable[[Outputs], tuple[asgi.Headers, bytes]]]


class Service:
    """Answers the Open Inference Protocol and MLflow's scoring protocol for the versions a follower holds."""

    def __init__(self, settings: Settings, follower: Follower, access: Access | None = None) -> None:
        self._settings, self._follower, self._access = settings, follower, access
        self._prefix = f"/v2/models/{settings.model_name}"
        self._busy = 0
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="predict")
        self._following: asyncio.Task[None] | None = None
        self._fixed = {
            "/v2": self._server,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/ping": self._ready,
        }

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            raise ValueError(f"a connection of type {scope['type']} is not served")

    async def _lifespan(self, receive: asgi.Receive, send: asgi.Send) -> None:
        await receive()
        # A replica that replaces another takes traffic once it is up, so it first tries to have its model.
        await self._first_look()
        self._following = asyncio.create_task(self._follower.run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._following.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _first_look(self) -> None:
        try:
            async with asyncio.timeout(_START_S):
                await self._follower.look()
        except TimeoutError:
            LOG.warning("starting without a model after %s s: %s", _START_S, self._follower.problem)

    async def _http(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        served: Served | None = None
        try:
            if self._access is not None:
                self._access.check(scope, path)
            served, method, handler = self._route(path)
            _allow(scope["method"], method, path)
            answer = await handler(scope, receive)
        except Refused as refused:
            answer = asgi.refusal(refused)
        except asgi.Disconnected:
            return
        except Exception as fault:
            LOG.exception("request %s failed", path)
            answer = asgi.refusal(Refused(500, f"the prediction failed: {type(fault).__name__}: {fault}"))
        await answer.send(send, self._about(served))

    def _about(self, served: Served | None) -> tuple[tuple[str, str], ...]:
        if served is None:
            return ()
        role = "champion" if served is self._follower.champion else "previous"
        return (("x-slipway-model-version", served.version), ("x-slipway-model-role", role))

    def _route(self, path: str) -> tuple[Served | None, str, Callable[..., Awaitable[Answer]]]:
        """Return the version asked for, the method of the path, and what answers it."""
        if path == "/invocations":
            served = self._champion()
            return served, "POST", lambda scope, receive: self._invocations(served, scope, receive)
        if path in self._fixed:
            return self._follower.champion, "GET", self._fixed[path]
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] != ["v2", "models"] or len(parts) < 3:  # noqa: PLR2004  /v2/models/NAME
            raise Refused(404, f"{path}: there is nothing here; see /v2, /v2/models/{self._settings.model_name}")
        served, rest = self._named(parts[2:])
        if rest == ["infer"]:
            return served, "POST", lambda scope, receive: self._infer(served, scope, receive)
        if rest == ["ready"]:
            return served, "GET", self._ready
        if not rest:
            return served, "GET", lambda *_: self._metadata(served)
        raise Refused(404, f"{path}: a model answers /infer, /ready and its own metadata")

    def _named(self, parts: list[str]) -> tuple[Served, list[str]]:
        """Return the version named by NAME[/versions/V]/..., and the rest of the path."""
        name, *rest = parts
        if name != self._settings.model_name:
            raise Refused(404, f"model {name} is unknown; this service has {self._settings.model_name}")
        if len(rest) < 2 or rest[0] != "versions":  # noqa: PLR2004  versions/V
            return self._champion(), rest
        for served in (self._follower.champion, self._follower.previous):
            if served is not None and served.version == rest[1]:
                return served, rest[2:]
        self._champion()
        raise Refused(404, f"version {rest[1]} of model {name} is not loaded; loaded: {', '.join(self._versions())}")

    def _champion(self) -> Served:
        if self._follower.champion is None:
            why = self._follower.problem or "it is being loaded"
            raise Refused(503, f"no model is ready: {why}", (("retry-after", "1"),))
        return self._follower.champion

    def _versions(self) -> list[str]:
        return [s.version for s in (self._follower.champion, self._follower.previous) if s is not None]

    async def _live(self, *_: Any) -> Answer:
        return Answer(body=protocol.encode({"live": True}))

    async def _ready(self, *_: Any) -> Answer:
        self._champion()
        return Answer(body=protocol.encode({"ready": True}))

    async def _server(self, *_: Any) -> Answer:
        about = {"name": "slipway", "version": self._settings.code_digest, "extensions": ["binary_tensor_data"]}
        return Answer(body=protocol.encode(about))

    async def _metadata(self, served: Served) -> Answer:
        follower = self._follower
        about = {
            "name": self._settings.model_name,
            "versions": self._versions(),
            "platform": served.model.platform,
            "inputs": served.model.signature.inputs(),
            "outputs": served.outputs,
            "slipway": {
                "version": served.version,
                "champion": follower.champion and follower.champion.version,
                "previous": follower.previous and follower.previous.version,
                "problem": follower.problem,
                "notice": follower.notice,
            },
        }
        return Answer(body=protocol.encode(about))

    async def _infer(self, served: Served, scope: asgi.Scope, receive: asgi.Receive) -> Answer:
        length = asgi.header(scope, protocol.LENGTH_HEADER.encode())

        def parse(body: bytes, signature: Signature) -> Parsed:
            request = protocol.parse(body, length, signature)
            return request.rows, lambda outputs: protocol.answer(
                request, outputs, name=self._settings.model_name, version=served.version
            )

        return await self._predict(served, scope, receive, parse)

    async def _invocations(self, served: Served, scope: asgi.Scope, receive: asgi.Receive) -> Answer:
        kind = (asgi.header(scope, b"content-type") or "application/json").split(";")[0].strip().lower()
        if kind not in {"application/json", "text/csv"}:
            raise Refused(415, f"header Content-Type: {kind} is not supported; send application/json or text/csv")

        def parse(body: bytes, signature: Signature) -> Parsed:
            if kind == "text/csv":
                rows = invocations.from_csv(_text(body), signature)
            else:
                rows = invocations.from_json(protocol.json_value(body), signature)
            return rows, lambda outputs: (JSON, protocol.encode({"predictions": outputs.predictions()}))

        return await self._predict(served, scope, receive, parse)

    async def _predict(
        self,
        served: Served,
        scope: asgi.Scope,
        receive: asgi.Receive,
        parse: Callable[[bytes, Signature], Parsed],
    ) -> Answer:
        """Read, parse, predict and encode within the time limit, unless too many do so already."""
        if self._busy >= self._settings.max_queued:
            raise Refused(503, f"{self._busy} requests wait already; try again", (("retry-after", "1"),))
        self._busy += 1
        work: Future[tuple[asgi.Headers, bytes]] | None = None
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                body = await asgi.read_body(scope, receive, self._settings.max_body_bytes)
                if served.batcher is not None and len(body) <= _LARGE_BODY:
                    rows, encode = parse(body, served.model.signature)
                    outputs = await served.batcher.predict(served.model.prepare(rows))
                    headers, answer = encode(outputs)
                else:
                    work = self._pool.submit(_whole, served.model, parse, body)
                    headers, answer = await asyncio.wrap_future(work)
        except TimeoutError:
            limit = f"{self._settings.request_timeout_s:g} s"
            raise Refused(408, f"no answer within {limit}; send less, or raise serving.request_timeout_s") from None
        finally:
            if work is None or work.done():
                self._busy -= 1
            else:  # a thread cannot be stopped: its place is taken until it ends, whoever still waits for it
                loop = asyncio.get_running_loop()
                work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return Answer(body=answer, headers=headers)

    def _leave(self) -> None:
        self._busy -= 1


def _whole(model: Model, parse: Callable[[bytes, Signature], Parsed], body: bytes) -> tuple[asgi.Headers, bytes]:
    rows, encode = parse(body, model.signature)
    return encode(model.predict(model.prepare(rows)))


def _allow(method: str, wanted: str, path: str) -> None:
    if method != wanted and not (method == "HEAD" and wanted == "GET"):
        raise Refused(405, f"{method} {path}: use {wanted}", (("allow", wanted),))


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise bad_request("the CSV is not UTF-8; encode it as UTF-8") from None
