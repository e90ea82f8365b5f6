"""Ways into a network namespace, tried in this process's own; and the authenticator's words passed on."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.cluster.ways import authenticator, forwarded, listening_in


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that answers what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def sent(url: str, text: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, data=text.encode()), timeout=60) as answer:
        return str(answer.read().decode())


def where(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_bytes_are_carried_both_ways_and_nothing_listens_afterwards(echo: str) -> None:
    listening = listening_in(None, "127.0.0.1", 0)
    way = where(listening)
    with forwarded(listening, int(echo.rpartition(":")[2])):
        assert sent(way, "x" * 300_000) == "x" * 300_000
        assert sent(way, "again") == "again"
    with pytest.raises(urllib.error.URLError):
        sent(way, "late")


def test_reviews_are_passed_on_and_remembered(echo: str) -> None:
    listening = listening_in(None, "127.0.0.1", 0)
    with authenticator(listening, echo) as asked:
        assert json.loads(sent(f"{where(listening)}/authenticate", '{"kind": "TokenReview"}')) == {
            "kind": "TokenReview"
        }
    assert asked == ['{"kind": "TokenReview"}']


def test_an_address_that_is_taken_is_told() -> None:
    with listening_in(None, "127.0.0.1", 0) as first, pytest.raises(OSError, match="Address already in use"):
        listening_in(None, "127.0.0.1", first.getsockname()[1])
