"""Ways between the node's network namespace and this machine's loopback, open while a block runs.

The node's own ways stay closed: what pods or the API server may reach beyond the namespace is opened here, by a test,
for itself. Nothing of it outlives the process.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, BaseServer, ThreadingTCPServer
from typing import Any

_CHUNK = 1 << 16
_HERE = Path("/proc/thread-self/ns/net")


def listening_in(namespace: Path | None, address: str, port: int) -> socket.socket:
    """Return a socket that listens inside a network namespace; None: in this process's own."""

    def listen() -> socket.socket:
        with ExitStack() as entered:
            if namespace is not None:
                entered.callback(_enter, os.open(_HERE, os.O_RDONLY))
                _enter(os.open(namespace, os.O_RDONLY))
            return socket.create_server((address, port), backlog=128)

    # a namespace is a thread's: whoever calls stays where they are
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(listen).result()


def _enter(descriptor: int) -> None:
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    finally:
        os.close(descriptor)


class _Carrier(BaseRequestHandler):
    """Carries one connection to this machine's loopback, bytes as they are."""

    port: int

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as remote:
            back = threading.Thread(target=_pump, args=(remote, self.request), daemon=True)
            back.start()
            _pump(self.request, remote)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Ways(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def forwarded(listening: socket.socket, port: int) -> Iterator[None]:
    """Carry every connection to `port` of this machine's loopback."""
    handler = type("Carrier", (_Carrier,), {"port": port})
    server = _Ways(("", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    with _served(server):
        yield


@contextmanager
def authenticator(listening: socket.socket, review_url: str) -> Iterator[list[str]]:
    """Answer an API server's TokenReviews with what `review_url` answers; yields how each ended, as it comes."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = {"Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(review_url, data=body, headers=kind)) as answer:
                text = answer.read()
            asked.append(text.decode())
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    with _served(server):
        yield asked


@contextmanager
def _served(server: BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
