"""The provider's configuration: which settings there are, which cluster they mean, which change replaces everything.

Owns the rule that no foreign API server is ever reached.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import ssl
import tempfile
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.standins.kubernetes_plugin.login import Login, PluginLogin
from tests.standins.kubernetes_plugin.refused import NoCluster
from tests.standins.kubernetes_plugin.values import UNKNOWN
from tests.standins.plugin.refused import Refused

# The API server may be on this machine only: loopback, and the address that the test node has in its own network.
ALLOWED = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1/128", "172.30.0.1/32"))

_SWITCHES = {  # name in the configuration -> variable that sets it where the configuration does not
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
    "skipUpdateUnreachable": "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
    "enableServerSideApply": "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY",
}
_TEXTS = ("kubeconfig", "context", "cluster", "namespace", "clusterIdentifier")
# without effect here: this plugin prints no deprecations, knows no Helm, and its client has no limits to tune
_IGNORED = ("suppressDeprecationWarnings", "suppressHelmHookWarnings", "kubeClientSettings", "version")


@dataclass(frozen=True)
class Settings:
    """What the program gave to the provider (pulumi_kubernetes, provider.py)."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False
    config_map_mutable: bool = False
    secret_mutable: bool = False
    patch_force: bool = False
    upsert: bool = False


def parse_settings(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the provider's configuration; a setting that would be ignored in silence is refused."""
    unknown = sorted(
        name for name in given if name not in {*_SWITCHES, *_TEXTS, *_IGNORED} and given[name] not in (None, "", False)
    )
    if unknown:
        raise Refused(f"the stand-in for the Kubernetes plugin does not know the provider's setting {unknown[0]}")
    on = {
        name: str(given.get(name, environment.get(variable, "false"))).lower() == "true"
        for name, variable in _SWITCHES.items()
    }
    if not on["enableServerSideApply"] and (
        "enableServerSideApply" in given or _SWITCHES["enableServerSideApply"] in environment
    ):
        raise Refused("the stand-in for the Kubernetes plugin has only server-side apply: enable_server_side_apply")
    texts = {name: "" if given.get(name) is None else str(given[name]) for name in _TEXTS}
    return Settings(
        kubeconfig=texts["kubeconfig"],
        context=texts["context"],
        cluster=texts["cluster"],
        namespace=texts["namespace"],
        delete_unreachable=on["deleteUnreachable"],
        skip_update_unreachable=on["skipUpdateUnreachable"],
        config_map_mutable=on["enableConfigMapMutable"],
        secret_mutable=on["enableSecretMutable"],
        patch_force=on["enablePatchForce"],
        upsert=on["upsertExistingObjects"],
    )


@dataclass(frozen=True)
class Access:
    """How to reach the API server."""

    server: str
    namespace: str
    login: Login
    tls: ssl.SSLContext


def load_kubeconfig(text: str, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Read a kubeconfig given as a path or as contents; without one, the user's own (Configure; kubeconfig.go)."""
    if not text:
        text = environment.get("KUBECONFIG") or str(Path(environment.get("HOME", "~")) / ".kube" / "config")
        if os.pathsep in text:
            raise Refused("KUBECONFIG names several files, which the stand-in for the Kubernetes plugin does not merge")
    source = "the kubeconfig"
    if "\n" not in text and not text.lstrip().startswith("{"):
        source, path = text, Path(text).expanduser()
        if not path.is_file():
            raise NoCluster(f"there is no kubeconfig {text}")
        text = path.read_text()
    loaded = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader, in C
    if not isinstance(loaded, dict) or "clusters" not in loaded:
        raise NoCluster(f"{source} is not a kubeconfig: it has no clusters")
    return loaded


def _entry(config: Mapping[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            found: dict[str, Any] = entry.get(section.removesuffix("s")) or {}
            return found
    raise NoCluster(f"the kubeconfig has no {section.removesuffix('s')} {name!r}")


def open_access(settings: Settings) -> Access:
    """Find the cluster, the user and the namespace that the settings mean."""
    config = load_kubeconfig(settings.kubeconfig)
    context = _entry(config, "contexts", settings.context or str(config.get("current-context") or ""))
    cluster = _entry(config, "clusters", settings.cluster or str(context.get("cluster")))
    user = _entry(config, "users", str(context["user"])) if context.get("user") else {}
    server = str(cluster.get("server", ""))
    check_endpoint(server)
    for section, names in ((cluster, ("proxy-url",)), (user, ("auth-provider", "username", "as"))):
        for name in names:
            if section.get(name):
                raise Refused(f"the stand-in for the Kubernetes plugin does not support `{name}` in a kubeconfig")
    token = user.get("token") or (Path(user["tokenFile"]).read_text().strip() if user.get("tokenFile") else "")
    return Access(
        server=server.rstrip("/"),
        namespace=settings.namespace or str(context.get("namespace") or "default"),
        login=PluginLogin(user["exec"]) if user.get("exec") and not token else Login(token),
        tls=_tls(cluster, user),
    )


def check_endpoint(server: str) -> None:
    """Refuse an API server that is not on this machine: a stand-in must not touch anybody's cluster."""
    host = urllib.parse.urlsplit(server).hostname or ""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not any(address in network for network in ALLOWED):
        raise Refused(
            f"the stand-in for the Kubernetes plugin refuses the API server {server}: it is for tests and talks to "
            f"{', '.join(map(str, ALLOWED))}. Take it off PATH and install the official plugin: "
            "pulumi plugin install resource kubernetes"
        )


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif cluster.get("certificate-authority-data"):
        context.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    elif cluster.get("certificate-authority"):
        context.load_verify_locations(cafile=cluster["certificate-authority"])
    if user.get("client-certificate-data"):
        # the ssl module takes a client's key from a file only: one that nobody else can read, gone at once
        with tempfile.NamedTemporaryFile() as file:
            for name in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[name]) + b"\n")
            file.flush()
            context.load_cert_chain(file.name)
    elif user.get("client-certificate"):
        context.load_cert_chain(user["client-certificate"], user.get("client-key"))
    return context


@dataclass(frozen=True)
class ConfigChange:
    """What a change of the provider's configuration means."""

    changed: tuple[str, ...]
    replaces: tuple[str, ...]


def compare_configs(old: Mapping[str, Any], new: Mapping[str, Any]) -> ConfigChange:
    """Say which settings changed and which replace every resource (provider.go, DiffConfig).

    Another active cluster replaces; so does a setting that decides it and is not known yet. With a
    clusterIdentifier that stays, nothing replaces; a changed one replaces; adding or removing one does not.
    """
    changed = tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
    identifiers = old.get("clusterIdentifier"), new.get("clusterIdentifier")
    replaces = ["clusterIdentifier"] if all(identifiers) and identifiers[0] != identifiers[1] else []
    deciding = ("kubeconfig", "context", "cluster")
    unknown = next((key for key in deciding if new.get(key) is UNKNOWN), None)
    if not changed:
        return ConfigChange((), ())
    if unknown:
        changed, replaces = (unknown,), [*replaces, unknown]
    else:
        before, after = _active_cluster(old), _active_cluster(new)
        if before and after and before != after:
            replaces += [key for key in deciding if key in changed]
    if identifiers[0] and identifiers[0] == identifiers[1]:
        replaces = []
    return ConfigChange(changed, tuple(replaces))


def _active_cluster(given: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        config = load_kubeconfig(str(given.get("kubeconfig") or ""))
        context = _entry(config, "contexts", str(given.get("context") or config.get("current-context") or ""))
        return _entry(config, "clusters", str(given.get("cluster") or context.get("cluster")))
    except (Refused, OSError, yaml.YAMLError):
        return None  # it cannot be told whether the cluster is another one
