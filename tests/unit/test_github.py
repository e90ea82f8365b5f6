"""The comment on pull requests: what it says of a preview, how long it gets, and that there is only ever one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.github import __main__ as command
from infra.github import preview as previews
from infra.github.comment import AUTHOR, Api, Refused, publish
from infra.github.preview import LONGEST, MARKER, Shown, markdown, preview

COUNTS = """Resources:
    + 3 to create
    ~ 1 to update
    +-2 to replace
    67 unchanged"""


class GitHub:
    """The comments of pull request 7, a page at a time."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, str]] = []
        self.status = 200
        self.url = ""

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path, token))
        if self.status != 200:
            return self.status, {"message": "Resource not accessible by integration"}
        if method == "GET":
            page, size = (int(re.findall(rf"{name}=(\d+)", path)[0]) for name in ("[?&]page", "per_page"))
            return 200, self.comments[(page - 1) * size : page * size]
        if method == "POST":
            self.add(AUTHOR, body["body"])
            return 201, self.comments[-1]
        comment = next(one for one in self.comments if path.endswith(f"/issues/comments/{one['id']}"))
        comment["body"] = body["body"]
        return 200, comment

    def add(self, author: str, body: str) -> None:
        number = len(self.comments) + 1
        self.comments.append(
            {"id": number, "user": {"login": author}, "body": body, "html_url": f"https://github.example/{number}"}
        )


@pytest.fixture
def github() -> Iterator[GitHub]:
    found = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content) if content else None
            status, answer = found.answer(self.command, self.path, self.headers["Authorization"], body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_GET  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def api(github: GitHub) -> Api:
    return Api(github.url, "example/slipway", "workflow-token")


def test_the_comment_is_made_once_and_edited_from_then_on(github: GitHub) -> None:
    for number in range(150):
        github.add("somebody", f"comment {number}")
    first = publish(api(github), 7, f"{MARKER} first", MARKER)
    assert publish(api(github), 7, f"{MARKER} second", MARKER) == first
    mine = [comment["body"] for comment in github.comments if MARKER in comment["body"]]
    assert mine == [f"{MARKER} second"]
    assert {token for _, _, token in github.asked} == {"Bearer workflow-token"}
    assert all(path.startswith("/repos/example/slipway/issues/") for _, path, _ in github.asked)


def test_a_comment_of_somebody_else_is_never_edited(github: GitHub) -> None:
    github.add("somebody", f"{MARKER} look what I quote")
    publish(api(github), 7, f"{MARKER} mine", MARKER)
    assert [comment["body"] for comment in github.comments] == [f"{MARKER} look what I quote", f"{MARKER} mine"]


def test_a_token_without_the_right_is_told_with_the_permission(github: GitHub) -> None:
    github.status = 403
    with pytest.raises(Refused, match="pull-requests: write"):
        publish(api(github), 7, f"{MARKER} text", MARKER)
    with pytest.raises(ValueError, match="marker"):
        publish(api(github), 7, "text", MARKER)


def test_the_command_publishes_what_the_preview_handed_on(github: GitHub, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": "example/slipway",
        "GITHUB_TOKEN": "workflow-token",
        "PULL_REQUEST": "7",
        "PREVIEW": f"{MARKER} text",
    }
    assert command.main(["comment"], environment) == 0
    assert capsys.readouterr().out == "https://github.example/1\n"
    github.status = 500
    assert command.main(["comment"], environment) == 1
    assert "workflow-token" not in "".join(capsys.readouterr())
    assert command.main(["other"], environment) == 2


def engine(folder: Path, script: str) -> list[str]:
    path = folder / "engine"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return [str(path)]


def test_a_preview_is_asked_for_without_questions_and_without_colours(tmp_path: Path) -> None:
    shown = preview("prod", engine(tmp_path, f'echo "$@"; printf "\\033[1mbold\\033[0m\\n"; cat <<E\n{COUNTS}\nE'))
    assert shown.text.startswith("preview --stack prod --non-interactive --color never\nbold\n")
    assert shown.ok
    assert shown.summary == "+ 3 to create, ~ 1 to update, +-2 to replace, 67 unchanged"


def test_a_preview_that_fails_is_shown_as_such_with_its_message(tmp_path: Path) -> None:
    shown = preview("prod", engine(tmp_path, "echo error: no such account >&2; exit 255"))
    assert (shown.ok, shown.summary) == (False, "**failed**")
    assert "no such account" in markdown([shown], offline=True)


def test_one_text_holds_every_stack_and_says_what_was_compared() -> None:
    text = markdown(
        [Shown(stack="staging", ok=True, text=COUNTS), Shown(stack="prod", ok=False, text="x")],
        offline=False,
        commit="0123456789abcdef",
    )
    assert text.startswith(MARKER)
    assert "of 0123456789ab against what is deployed" in text
    assert "- `staging`: + 3 to create" in text
    assert "- `prod`: **failed**" in text
    assert text.count("<details>") == 2
    assert "from an empty state" in markdown([Shown(stack="prod", ok=True, text="x")], offline=True)


def test_a_long_preview_is_cut_where_github_would_refuse_it_and_keeps_its_end() -> None:
    long = "├─ resource\n" * 20_000 + COUNTS
    text = markdown(
        [Shown(stack="staging", ok=True, text=long), Shown(stack="prod", ok=True, text=long)], offline=False
    )
    assert len(text.encode()) <= LONGEST
    assert text.count("67 unchanged") == 4, "twice in the heads, twice at the ends"
    assert text.count("... cut;") == 2


def test_a_preview_cannot_end_the_block_that_holds_it() -> None:
    text = markdown([Shown(stack="prod", ok=True, text="~~~~~~\n</details> @everybody")], offline=False)
    assert text.count("~~~~~~") == 2


def test_the_text_goes_to_the_summary_and_to_the_output_whatever_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        command, "preview", lambda stack: Shown(stack=stack, ok=stack == "staging", text="EOF\ntext<<EOF\n")
    )
    environment = {"GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    assert command.main(["preview", "staging", "prod"], environment) == 1, "prod failed"
    output = (tmp_path / "output").read_text()
    mark = output.partition("\n")[0].removeprefix("text<<")
    assert len(mark) == 32
    assert output == f"text<<{mark}\n{(tmp_path / 'summary').read_text()}\n{mark}\n"
    assert "== prod: **failed**" in capsys.readouterr().out


def test_stacks_that_were_previewed_as_two_roles_stand_in_one_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "preview", lambda stack: Shown(stack=stack, ok=True, text=f"text of {stack}"))
    kept = str(tmp_path / "kept" / "previews.json")
    for stack in ("staging", "prod"):
        environment = {"GITHUB_OUTPUT": str(tmp_path / stack), "SLIPWAY_PREVIEWS": kept}
        assert command.main(["preview", stack], environment) == 0
    first, second = (tmp_path / "staging").read_text(), (tmp_path / "prod").read_text()
    assert "text of prod" not in first
    assert second.index("text of staging") < second.index("text of prod")
    assert second.count(MARKER) == 1


def test_offline_is_said_by_the_variable_that_makes_it_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_OFFLINE", raising=False)
    assert not previews.is_offline()
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    assert previews.is_offline()
