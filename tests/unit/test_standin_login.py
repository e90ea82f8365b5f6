"""How the Kubernetes stand-in logs in by a credential plugin: run once, again when its token is no longer good."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.standins.kubernetes_plugin import login, settings
from tests.standins.kubernetes_plugin.api import Api, ApiError
from tests.standins.kubernetes_plugin.login import PluginLogin
from tests.standins.kubernetes_plugin.refused import NoCluster
from tests.standins.plugin.refused import Refused

V1 = "client.authentication.k8s.io/v1"


class Plugin:
    """A credential plugin that counts its runs in the tokens that it gives."""

    def __init__(self, folder: Path) -> None:
        self._runs, self._until = folder / "runs", folder / "until"
        self._program = folder / "plugin"
        self._runs.write_text("0")
        self.good_for(timedelta(minutes=14))
        self.acts(
            f"n=$(($(cat {self._runs}) + 1)); echo $n >{self._runs}\n"
            f'printf \'{{"apiVersion": "{V1}", "kind": "ExecCredential", "status": '
            f'{{"token": "%s-%s-%s", "expirationTimestamp": "%s"}}}}\' "$WHERE" "$1" $n "$(cat {self._until})"\n'
        )

    def acts(self, script: str) -> None:
        self._program.write_text(f"#!/bin/sh\n{script}")
        self._program.chmod(0o755)

    def good_for(self, time: timedelta) -> None:
        self._until.write_text((datetime.now(UTC) + time).strftime("%Y-%m-%dT%H:%M:%SZ"))

    @property
    def runs(self) -> int:
        return int(self._runs.read_text())

    def user(self, **more: Any) -> dict[str, Any]:
        env = [{"name": "WHERE", "value": "here"}]
        return {"apiVersion": V1, "command": str(self._program), "args": ["a"], "env": env, **more}


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def test_a_plugin_is_run_with_the_first_call_and_its_token_kept(plugin: Plugin) -> None:
    user = PluginLogin(plugin.user())
    assert plugin.runs == 0, "a provider that is only configured logs in nowhere"
    assert [user.headers(), user.headers()] == [{"Authorization": "Bearer here-a-1"}] * 2
    assert plugin.runs == 1


def test_an_expired_token_is_replaced(plugin: Plugin) -> None:
    plugin.good_for(timedelta(seconds=-1))
    user = PluginLogin(plugin.user())
    assert [user.headers()["Authorization"] for _ in range(2)] == ["Bearer here-a-1", "Bearer here-a-2"]


@pytest.mark.parametrize(
    ("script", "why"),
    [("echo no credentials >&2; exit 1", "ended with 1: no credentials"), ("echo nonsense", "no ExecCredential")],
)
def test_a_plugin_that_fails_leads_to_no_cluster_and_says_why(plugin: Plugin, script: str, why: str) -> None:
    plugin.acts(script)
    with pytest.raises(NoCluster, match=why):
        PluginLogin(plugin.user()).headers()


def test_a_plugin_that_is_missing_is_named_with_its_hint(plugin: Plugin) -> None:
    with pytest.raises(NoCluster, match=r"absent is not on PATH\. Install it"):
        PluginLogin(plugin.user(command="absent", installHint="Install it")).headers()


@pytest.mark.parametrize(
    "other", [{"apiVersion": "client.authentication.k8s.io/v1beta1"}, {"provideClusterInfo": True}]
)
def test_what_the_stand_in_does_not_do_is_refused(plugin: Plugin, other: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="credential plugins"):
        PluginLogin(plugin.user(**other))


class Server:
    """An API server that knows some tokens."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.asked: list[str] = []
        asked = self.asked
        known = self.known

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "")
                asked.append(token)
                self.send_response(200 if token in known else 401)
                self.end_headers()
                self.wfile.write(json.dumps({"message": "Unauthorized"}).encode())

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with made.http:
        threading.Thread(target=made.http.serve_forever, daemon=True).start()
        yield made
        made.http.shutdown()


def client(url: str, user: login.Login) -> Api:
    return Api(settings.Access(url, "default", user, ssl.create_default_context()))


def test_a_token_that_the_api_server_refuses_is_replaced_once(plugin: Plugin, server: Server) -> None:
    server.known.add("Bearer here-a-2")
    client(server.url, PluginLogin(plugin.user())).request("GET", "/version", patience_s=10)
    assert server.asked == ["Bearer here-a-1", "Bearer here-a-2"]


def test_whom_the_api_server_does_not_know_is_told_so_after_one_more_attempt(plugin: Plugin, server: Server) -> None:
    with pytest.raises(ApiError, match="Unauthorized"):
        client(server.url, PluginLogin(plugin.user())).request("GET", "/version", patience_s=10)
    assert plugin.runs == 2
    with pytest.raises(ApiError, match="Unauthorized"):
        client(server.url, login.Login("fixed")).request("GET", "/version", patience_s=10)
    assert server.asked[2:] == ["Bearer fixed"], "nothing else could be shown"
