"""An object store that can be stopped, filled and looked into: moto's S3 server, driven by lines on standard input.

python tests/chaos/store.py HOST PORT BUCKET; every line is a command, answered by one line of JSON.  What it holds
outlives `stop`, since it is this process's.  `full` answers writes as a MinIO without space does.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

FULL = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free drive threshold. \
Please delete a few objects to proceed.</Message><Resource>/</Resource><RequestId>1</RequestId></Error>"""


class Store:
    """The server and what it is made to do."""

    def __init__(self, host: str, port: int, bucket: str) -> None:
        self._host, self._port, self._bucket = host, port, bucket
        self._full = False
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self.start()
        self._client().create_bucket(Bucket=bucket)

    def start(self) -> None:
        """Answer."""
        if self._server is None:
            self._server = make_server(self._host, self._port, self._answer, threaded=True)
            threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def full(self) -> None:
        """Have no room."""
        self._full = True

    def room(self) -> None:
        """Have room again."""
        self._full = False

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every object, by key."""
        client = self._client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {
            key: hashlib.sha256(client.get_object(Bucket=self._bucket, Key=key)["Body"].read()).hexdigest()
            for key in keys
        }

    def keys(self) -> list[str]:
        """Return every key."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://{self._host}:{self._port}",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            region_name="us-east-1",
        )

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._full and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            length = int(environ.get("CONTENT_LENGTH") or 0)
            environ["wsgi.input"].read(length)
            start_response("507 Insufficient Storage", [("Content-Type", "application/xml")])
            return [FULL]
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer


def main() -> None:
    """Serve until standard input ends."""
    store = Store(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    sys.stdout.write("null\n")
    sys.stdout.flush()
    for line in sys.stdin:
        answer = getattr(store, line.strip())()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
