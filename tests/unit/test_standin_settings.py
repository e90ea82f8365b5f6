"""The Kubernetes stand-in's configuration: whom it talks to, and what a change of cluster means."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.standins.kubernetes_plugin import settings
from tests.standins.kubernetes_plugin.api import Api, Unreachable
from tests.standins.kubernetes_plugin.login import Login
from tests.standins.kubernetes_plugin.refused import NoCluster
from tests.standins.kubernetes_plugin.values import UNKNOWN
from tests.standins.plugin.refused import Refused


def kubeconfig(server: str = "https://127.0.0.1:6443", **user: Any) -> str:
    return yaml.safe_dump(
        {
            "current-context": "one",
            "contexts": [
                {"name": "one", "context": {"cluster": "a", "user": "me", "namespace": "mine"}},
                {"name": "two", "context": {"cluster": "b"}},
            ],
            "clusters": [
                {"name": "a", "cluster": {"server": server}},
                {"name": "b", "cluster": {"server": "https://127.0.0.1:7443"}},
            ],
            "users": [{"name": "me", "user": user or {"token": "t"}}],
        }
    )


@pytest.mark.parametrize(
    "server",
    [
        "https://127.0.0.1:6443",
        "https://127.3.2.1",
        "http://localhost:8080",
        "https://[::1]:6443",
        "https://172.30.0.1",
    ],
)
def test_api_servers_of_this_machine_are_accepted(server: str) -> None:
    settings.check_endpoint(server)


@pytest.mark.parametrize(
    "server",
    [
        "https://10.0.0.1:6443",
        "https://172.30.0.2",
        "https://example.org",
        "https://127.0.0.1.example.org",
        "",
        "nonsense",
    ],
)
def test_any_other_api_server_is_refused_by_name(server: str) -> None:
    with pytest.raises(Refused, match="stand-in for the Kubernetes plugin refuses the API server") as told:
        settings.check_endpoint(server)
    assert not isinstance(told.value, NoCluster), "a preview would go on without the cluster"
    assert server in str(told.value)


def test_contents_and_path_of_a_kubeconfig_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig())
    for given in (kubeconfig(), str(path)):
        access = settings.open_access(settings.parse_settings({"kubeconfig": given}, {}))
        assert (access.server, access.namespace) == ("https://127.0.0.1:6443", "mine")
        assert access.login.headers() == {"Authorization": "Bearer t"}


def test_context_and_namespace_of_the_provider_win() -> None:
    given = {"kubeconfig": kubeconfig(), "context": "two", "namespace": "env"}
    access = settings.open_access(settings.parse_settings(given, {}))
    assert (access.server, access.namespace, access.login.headers()) == ("https://127.0.0.1:7443", "env", {})


@pytest.mark.parametrize("given", [{"kubeconfig": "/no/such/file"}, {"kubeconfig": kubeconfig(), "context": "three"}])
def test_what_leads_to_no_cluster_lets_a_preview_go_on(given: dict[str, str]) -> None:
    with pytest.raises(NoCluster):
        settings.open_access(settings.parse_settings(given, {}))


def test_a_login_in_another_s_name_is_refused() -> None:
    given = {"kubeconfig": kubeconfig(**{"as": "somebody"})}
    with pytest.raises(Refused, match="`as`"):
        settings.open_access(settings.parse_settings(given, {}))


@pytest.mark.parametrize("given", [{"renderYamlToDirectory": "out"}, {"enableServerSideApply": "false"}])
def test_modes_that_are_not_implemented_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(Refused, match="stand-in"):
        settings.parse_settings(given, {})


def test_a_switch_is_the_provider_s_and_else_the_environment_s() -> None:
    environment = {"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true"}
    assert settings.parse_settings({}, environment).upsert
    assert not settings.parse_settings({"upsertExistingObjects": "false"}, environment).upsert
    assert not settings.parse_settings({}, {}).upsert


OLD = {"kubeconfig": kubeconfig()}
OTHER = {"kubeconfig": kubeconfig("https://127.0.0.1:9443")}


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        (OLD, OLD, ()),
        (OLD, {"kubeconfig": kubeconfig(token="another")}, ()),
        (OLD, OTHER, ("kubeconfig",)),
        (OLD, {**OLD, "context": "two"}, ("context",)),
        (OLD, {**OLD, "namespace": "env"}, ()),
        (OLD, {"kubeconfig": UNKNOWN}, ("kubeconfig",)),
        ({**OLD, "clusterIdentifier": "x"}, {**OTHER, "clusterIdentifier": "x"}, ()),
        ({**OLD, "clusterIdentifier": "x"}, {**OLD, "clusterIdentifier": "y"}, ("clusterIdentifier",)),
        (OLD, {**OLD, "clusterIdentifier": "x"}, ()),
    ],
)
def test_another_cluster_replaces_and_nothing_else(old: Any, new: Any, replaces: tuple[str, ...]) -> None:
    assert settings.compare_configs(old, new).replaces == replaces
    assert bool(settings.compare_configs(old, new).changed) == (old != new)


def test_a_request_is_repeated_while_the_api_server_is_away() -> None:
    busy: list[int] = [503, 429]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(busy.pop() if busy else 200)
            self.end_headers()
            self.wfile.write(b'{"gitVersion": "v1"}')

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        api = Api(settings.Access(url, "default", Login(), ssl.create_default_context()))
        assert api.request("GET", "/version", patience_s=30) == {"gitVersion": "v1"}
        server.shutdown()
    with pytest.raises(Unreachable, match="does not answer"):
        api.request("GET", "/version", patience_s=0.5)
