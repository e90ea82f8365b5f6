"""A small load generator: keep-alive connections that each send one request after the other, over raw HTTP/1.1.

Run as a process of its own, so that it shares no interpreter with what it measures:
``python -m benchmarks.load URL CONNECTIONS SECONDS < body`` prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Figures:
    """What one measurement saw; times in milliseconds."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failures: int


class Connection(asyncio.Protocol):
    """Sends the request again as soon as its answer is complete."""

    def __init__(self, request: bytes) -> None:
        self.times: list[float] = []
        self.failures = 0
        self.closed = asyncio.get_running_loop().create_future()
        self._request, self._buffer, self._needed, self._sent = request, b"", -1, 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._buffer, self._needed, self._sent = b"", -1, time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._needed < 0:
            head, end, _ = self._buffer.partition(_END)
            if not end:
                return
            self._needed = len(head) + len(_END) + _content_length(head)
            self.failures += not head.startswith(b"HTTP/1.1 200")
        if len(self._buffer) >= self._needed:
            self.times.append(time.perf_counter() - self._sent)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(exc)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.abort()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("the answer has no content-length; this generator reads no chunks")


async def measure(url: str, body: bytes, connections: int, seconds: float) -> Figures:
    """Return the figures of so many connections over so long, after a warm-up of a fifth of it."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(lambda: Connection(request), host, port))[1] for _ in range(connections)]
    await asyncio.sleep(seconds / 5)
    for connection in opened:
        connection.times.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    times = sorted(value for connection in opened for value in connection.times)
    for connection in opened:
        connection.close()
    if not times:
        raise RuntimeError(f"{url} answered nothing within {seconds} s")
    return Figures(
        requests_per_s=len(times) / took,
        p50_ms=statistics.median(times) * 1e3,
        p99_ms=times[int(len(times) * 0.99)] * 1e3,
        failures=sum(connection.failures for connection in opened),
    )


if __name__ == "__main__":
    target, clients, duration = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sent = Path("/dev/stdin").read_bytes()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(measure(target, sent, clients, duration)))))
