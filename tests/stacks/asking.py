"""Asking a served model: once, or without a pause from several clients."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stacks.project import call


def version_that_answers(url: str, payload: dict[str, Any]) -> str:
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(payload).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(response.headers["X-Slipway-Model-Version"])


@contextmanager
def load(url: str, payload: dict[str, Any]) -> Iterator[list[str]]:
    """Ask the model without a pause from four clients; yields the list of failures, filled while the block runs."""
    failures: list[str] = []
    answered = [0]
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                call(url, payload)
                answered[0] += 1
            except Exception as error:  # noqa: BLE001  whatever went wrong is what the test is about
                failures.append(repr(error))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        yield failures
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert answered[0] > 0, "the load must have reached the model"
