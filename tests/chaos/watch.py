"""Asks a model without a pause until standard input ends, and prints each second what came of it; run in the node.

python tests/chaos/watch.py URL CLIENTS < TOKEN_LINE_THEN_HOLD_OPEN; a line is JSON: the time, how many requests were
answered in that second (by version) and how many were not (by reason).
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 10


class Load:
    """Clients that ask, and counts of what they were told."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._lock = threading.Lock()
        self._answered, self._failed = Counter[str](), Counter[str]()
        _, _, text = self.call(self.connection(), "GET", "/v2/models/default", None)
        inputs = [
            {"name": column["name"], "datatype": column["datatype"], "shape": [1, *column["shape"][1:]], "data": [0.5]}
            for column in json.loads(text)["inputs"]
        ]
        self._body = json.dumps({"inputs": inputs})

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=PATIENCE_S)

    def call(self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None) -> Any:
        connection.request(method, path, body=body, headers=self._headers)
        response = connection.getresponse()
        return response.status, response.headers.get("X-Slipway-Model-Version"), response.read()

    def ask(self, *, anew: bool) -> None:
        """Ask for ever, over one connection or one a request; a failed connection is made anew."""
        connection = self.connection()
        while True:
            try:
                status, version, _ = self.call(connection, "POST", "/v2/models/default/infer", self._body)
            except Exception as error:  # noqa: BLE001  whatever went wrong is what is measured
                self._count(self._failed, type(error).__name__)
                connection.close()
                connection = self.connection()
                time.sleep(0.1)
                continue
            if anew:  # what stands goes on when a Service leads nowhere any more: only who comes anew sees that
                connection.close()
            fine = status == http.HTTPStatus.OK
            self._count(self._answered if fine else self._failed, str(version) if fine else str(status))
            time.sleep(0.01 if fine else 0.1)

    def _count(self, counter: Counter[str], what: str) -> None:
        with self._lock:
            counter[what] += 1

    def told(self) -> dict[str, Any]:
        """Return the counts since the last time."""
        with self._lock:
            found = {"at": time.time(), "answered": dict(self._answered), "failed": dict(self._failed)}
            self._answered.clear()
            self._failed.clear()
        return found


def main() -> None:
    """Load until told to stop."""
    load = Load(sys.argv[1], sys.stdin.readline().strip())
    for number in range(int(sys.argv[2])):
        threading.Thread(target=load.ask, kwargs={"anew": number % 2 == 1}, daemon=True).start()
    over = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    while not over.wait(1):
        sys.stdout.write(json.dumps(load.told()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
