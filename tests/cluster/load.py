"""Asks a model without a pause until standard input closes, then prints what came of it; run beside the cluster.

python tests/cluster/load.py URL CLIENTS < TOKEN_LINE_THEN_HOLD_OPEN
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


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=40)


def _call(connection: http.client.HTTPConnection, method: str, path: str, token: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
    response = connection.getresponse()
    return response.status, response.headers.get("X-Slipway-Model-Version"), response.read()


def main() -> None:
    """Load until told to stop."""
    url, clients, token = sys.argv[1], int(sys.argv[2]), sys.stdin.readline().strip()
    _, _, text = _call(_connection(url), "GET", "/v2/models/default", token)
    columns = json.loads(text)["inputs"]
    rows = [
        {**{key: column[key] for key in ("name", "datatype")}, "shape": [1, 1], "data": [0.5]} for column in columns
    ]
    body = {"inputs": [{**row, "shape": [1, *column["shape"][1:]]} for row, column in zip(rows, columns, strict=True)]}
    over, versions, failures, longest = threading.Event(), Counter[str](), [], [0.0]

    def ask() -> None:
        connection = _connection(url)
        while not over.is_set():
            begin = time.monotonic()
            try:
                status, version, content = _call(connection, "POST", "/v2/models/default/infer", token, body)
            except Exception as error:  # noqa: BLE001  whatever went wrong is what is measured
                failures.append(repr(error))
                connection = _connection(url)
                continue
            longest[0] = max(longest[0], time.monotonic() - begin)
            if status == http.HTTPStatus.OK:
                versions[str(version)] += 1
            else:
                failures.append(f"{status} {content[:300]!r}")
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    json.dump(
        {"answered": dict(versions), "failures": failures[:20], "failed": len(failures), "longest_s": longest[0]},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
