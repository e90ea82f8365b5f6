"""The bearer token: who is let in, what the others are told, and a token that is rotated."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from serving import access, image
from serving.access import Access
from serving.errors import Refused
from serving.service import Service
from tests.serving.asgi_client import Response, ask
from tests.serving.fakes import ARGS, FakeRegistry, native, served, settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own, about pydantic, while it is imported
    from serving import app

from serving.follower import Follower

TOKEN = "correct-horse"
INFER = "/v2/models/default/infer"
BODY = {"inputs": [{"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": [0.0, 1.0, 2.0, 3.0]}]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def guarded(file: Path | None) -> Service:
    follower = Follower(FakeRegistry(), "default", 0.01)
    follower.champion = served(native(), "2")
    return Service(settings(), follower, None if file is None else Access(file))


def infer(service: Service, header: str | None = None) -> Response:
    return ask(service, "POST", INFER, BODY, {} if header is None else {"Authorization": header})


def test_the_right_token_is_let_in_and_its_scheme_may_be_written_either_way(file: Path) -> None:
    service = guarded(file)
    assert infer(service, f"Bearer {TOKEN}").status == 200
    assert infer(service, f"bearer  {TOKEN}").status == 200


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_anything_else_is_told_how_to_ask_and_not_what_the_token_is(file: Path, header: str | None) -> None:
    response = infer(guarded(file), header)
    assert response.status == 401
    assert response.headers["www-authenticate"].startswith("Bearer ")
    assert "Authorization: Bearer" in response.error
    assert TOKEN not in response.error


@pytest.mark.parametrize("path", ["/v2", "/v2/models/default", "/invocations", "/nowhere"])
def test_every_path_is_behind_the_token_those_that_do_not_exist_too(file: Path, path: str) -> None:
    assert ask(guarded(file), "GET", path).status == 401


@pytest.mark.parametrize("path", sorted(access.OPEN))
def test_probes_need_no_token(file: Path, path: str) -> None:
    assert ask(guarded(file), "GET", path).status == 200


def test_without_a_token_everyone_may_ask() -> None:
    assert infer(guarded(None)).status == 200
    assert infer(guarded(None), "Bearer whatever").status == 200


def test_a_rotated_token_holds_and_the_old_one_does_not(file: Path) -> None:
    check = Access(file)
    replacement = file.with_name("next")  # a Secret's volume swaps a link: another inode
    replacement.write_text("battery-staple")
    replacement.replace(file)
    check._next_look = 0.0
    check.check({"headers": [(b"authorization", b"Bearer battery-staple")]}, INFER)
    with pytest.raises(Refused):
        check.check({"headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}, INFER)


def test_the_file_is_looked_at_once_in_a_while_not_for_every_request(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Access(file)
    looks = 0

    def count() -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(check, "_read", count)
    for _ in range(100):
        check.check({"headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}, INFER)
    assert looks == 1


def test_a_token_that_is_gone_for_a_moment_still_holds_and_is_reported_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(access.LOG, "error", lambda text, *parts: said.append(text % parts))
    check = Access(file)
    file.unlink()
    for _ in range(3):
        check._next_look = 0.0
        check.check({"headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}, INFER)
    assert [text.count("former token holds") for text in said] == [1]


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_service_whose_token_is_missing_or_empty_does_not_start_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(access.VARIABLE, str(file))
    with pytest.raises(ValueError, match="SLIPWAY_TOKEN_FILE names"):
        Access.from_environment()


def about(folder: Path, serving: str) -> Path:
    path = folder / "image.json"
    path.write_text(json.dumps({"contract": 1, "code": {"serving": serving, "training": "t"}, "lock": "l"}))
    return path


def test_an_image_with_other_code_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_IMAGE", "registry/slipway@sha256:0")
    monkeypatch.setattr(image, "ABOUT", about(tmp_path, "a" * 64))
    wanted: dict[str, Any] = {**ARGS, "code_digest": "b" * 64}
    with pytest.raises(ValueError, match=r"image registry/slipway@sha256:0 holds code a{12}, the stack wants b{12}"):
        app.build(wanted)
    app.build({**wanted, "code_digest": "a" * 64})


def test_code_that_came_in_no_image_is_not_asked(tmp_path: Path) -> None:
    image.verify("anything", tmp_path / "image.json")
