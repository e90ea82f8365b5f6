"""Whether a store takes checkpoints is found out before anything is trained, and said with its own words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from training import store
from training.console import Refused

FULL = b"<Error><Code>XMinioStorageFull</Code><Message>minimum free drive threshold</Message></Error>"


class Full(BaseHTTPRequestHandler):
    """An object store that is read, but has no room."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(507)
        self.send_header("Content-Length", str(len(FULL)))
        self.end_headers()
        self.wfile.write(FULL)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class names it so
        pass


@pytest.fixture
def without_room() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Full)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def credentials(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    given = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def test_a_store_with_room_is_left_as_it_was(tmp_path: Path) -> None:
    store.prove(f"file://{tmp_path}/deep", "run")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_store_without_room_is_refused_in_its_own_words(monkeypatch: pytest.MonkeyPatch, without_room: str) -> None:
    credentials(monkeypatch, without_room)
    with pytest.raises(Refused, match=r"kept in s3://models/here at http://127\.0\.0\.1.*minimum free drive threshold"):
        store.prove("s3://models/here", "run")


def test_a_store_that_does_not_answer_is_refused_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    credentials(monkeypatch, endpoint)
    with pytest.raises(Refused, match=rf"{endpoint}.*connect.*slipway:artifacts answers"):
        store.prove("s3://models/here", "run")


def test_a_folder_that_may_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Refused, match=r"kept in file://.*/file/inner: .*Nothing was trained"):
        store.prove(f"file://{tmp_path}/file/inner", "run")
