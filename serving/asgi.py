"""The few lines of ASGI that the service needs: a bounded body in, one answer out.

It must not know what is asked for, and must not buffer more than the limit it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from serving.errors import Refused, bad_request
from serving.protocol import encode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

JSON = (("content-type", "application/json"),)


class Disconnected(Exception):
    """The client went away before its request was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: Headers = JSON

    async def send(self, send: Send, more: Headers = ()) -> None:
        """Send it, with ``more`` headers."""
        headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in (*self.headers, *more)]
        headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def refusal(refused: Refused) -> Answer:
    """Return the answer that says why a request was refused."""
    return Answer(refused.status, encode({"error": refused.message}), (*JSON, *refused.headers))


def header(scope: Scope, name: bytes) -> str | None:
    """Return the value of a request header (``name`` in lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the request's body.

    Raises:
        Refused: 413 as soon as it is known to exceed ``limit`` bytes, 415 when it is compressed, 400 for a
            content-length that is no number.
        Disconnected: the client went away.
    """
    length = header(scope, b"content-length")
    if length is not None and not length.isdecimal():
        raise bad_request(f"header Content-Length: {length!r} is not a number")
    if length is not None and int(length) > limit:
        raise _too_large(limit)
    coding = header(scope, b"content-encoding")
    if coding not in {None, "", "identity"}:
        raise Refused(415, f"header Content-Encoding: {coding} is not supported; send the body uncompressed")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return _bounded(message.get("body", b""), limit)
    chunks: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
    raise Disconnected


def _bounded(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body is larger than {limit} bytes; send fewer rows, or raise serving.max_body_bytes")
