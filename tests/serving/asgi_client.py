"""Calls an ASGI application in this process, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.service import Service


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


async def request(
    service: Service, method: str, path: str, chunks: Sequence[bytes] = (b"",), headers: Mapping[str, str] | None = None
) -> Response:
    """Send a request whose body comes in chunks; a chunk of None never comes."""
    waiting = list(chunks)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": raw}
    await service(scope, receive, send)
    start, *bodies = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Response(start["status"], answered, b"".join(message["body"] for message in bodies))


def ask(
    service: Service, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Send one request in a loop of its own; ``body`` is JSON unless it is bytes."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return asyncio.run(request(service, method, path, [raw], headers))
