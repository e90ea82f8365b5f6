"""Sends predictions without pause from a few threads, and keeps what came back."""

from __future__ import annotations

import http.client
import json
import threading
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class Load:
    """While it is entered, ``clients`` threads send the same request; results are (status or fault, version)."""

    def __init__(self, url: str, path: str, body: Any, clients: int = 4) -> None:
        self._address, self._path = urlsplit(url).netloc, path
        self._body = json.dumps(body).encode()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(clients)]
        self._done = threading.Event()
        self.results: list[tuple[int | str, str]] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def failures(self) -> list[tuple[int | str, str]]:
        return [result for result in self.results if result[0] != http.HTTPStatus.OK]

    @property
    def versions(self) -> list[str]:
        return [version for _, version in self.results]

    def _send(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        while not self._done.is_set():
            try:
                connection.request("POST", self._path, self._body, {"content-type": "application/json"})
                response = connection.getresponse()
                response.read()
                self.results.append((response.status, response.headers.get("x-slipway-model-version", "")))
            except (OSError, http.client.HTTPException) as fault:
                self.results.append((repr(fault), ""))
                connection.close()
        connection.close()
