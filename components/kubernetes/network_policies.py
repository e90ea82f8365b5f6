"""NetworkPolicies of an environment's namespace: nothing in or out, then the few paths that the parts need.

`render` is pure: which policies there are follows from `Paths` alone, and docs/reachability.md is computed from what
it returns.  Policies select pods by the label `app.kubernetes.io/component`.  Two things they cannot say: that Ray
pods of two clusters of the same role are strangers, and anything about the node, whose kubelet always reaches its pods
(probes, port-forwards).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, ResourceOptions

from components.kubernetes.manifest import PART_OF, Manifest, declare
from components.kubernetes.platforms import Endpoint

ROLE_LABEL = "app.kubernetes.io/component"
ROLES = ("tracking", "database", "training", "serving", "setup")
RAY_ROLES = ("training", "serving")
AUTOSCALES = {"slipway/autoscales": "true"}
"""The label of a Ray head that asks the API server for workers; no other Ray pod has a token or the way there."""
ANYWHERE = "0.0.0.0/0"
LINK_LOCAL = "169.254.0.0/16"
DNS_PORT, TRACKING_PORT, DATABASE_PORT, SERVING_PORT, DASHBOARD_PORT = 53, 5000, 5432, 8000, 8265
RAY_METRICS = (8080, 44217, 44227, 9101)
"""Ray's own, the autoscaler's and the dashboard's on the head, HAProxy's."""

_HEAD = {"ray.io/node-type": "head"}
"""KubeRay's own label."""
_API_SERVER = Endpoint(cidr=ANYWHERE, ports=(443, 6443))
_HTTPS = Endpoint(cidr=ANYWHERE, ports=(443,))


@dataclass(frozen=True, kw_only=True)
class Paths:
    """What the environment talks to beyond itself."""

    operator_namespace: str = "kuberay-operator"
    api_server: Endpoint = _API_SERVER
    """For the Jobs that read and write results, and for Ray heads that ask for workers (`AUTOSCALES`)."""
    object_store: Sequence[Endpoint] = (_HTTPS,)
    """The artifact store, and data that training reads."""
    store_in: Mapping[str, Sequence[int]] | None = None
    """Object stores inside the cluster: namespace -> ports."""
    database: Sequence[Endpoint] = ()
    """A database outside the cluster; empty: the pods with the role `database`."""
    identity: Sequence[Endpoint] = ()
    """Where the platform hands out cloud identities."""
    dns: Sequence[str] = ()
    """Name servers besides the pods of kube-system."""
    ingress_from: Sequence[str] = ()
    """Namespaces whose pods may call the model endpoint."""
    ingress_networks: Sequence[str] = ()
    """Address ranges that may call it: load balancers that are no pods."""
    scrape_from: Sequence[str] = ()
    """Namespaces whose pods may read metrics."""


def render(paths: Paths) -> dict[str, Manifest]:
    """Return each policy's spec by its name."""
    return {name: spec for name, spec in _policies(paths) if spec is not None}


def _policies(paths: Paths) -> Iterator[tuple[str, Manifest | None]]:
    yield "default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    name_servers = [_dns_pods(), *({"ipBlock": {"cidr": cidr}} for cidr in paths.dns)]
    yield (
        "dns",
        _egress(
            [role for role in ROLES if role != "database"],  # it looks nothing up
            name_servers,
            [{"protocol": "UDP", "port": DNS_PORT}, {"protocol": "TCP", "port": DNS_PORT}],
        ),
    )
    clients = [role for role in ROLES if role not in ("tracking", "database")]
    yield "tracking-clients", _egress(clients, [_role("tracking")], _tcp(TRACKING_PORT))
    yield "tracking", _ingress(["tracking"], [_role(role) for role in clients], _tcp(TRACKING_PORT))
    yield from _database(paths)
    operator = [_pods_of(paths.operator_namespace)]
    for role in RAY_ROLES:
        yield f"ray-{role}", _within(role)
        # jobs and applications are the dashboard's; requests it tries on heads that serve, and none does
        heads = _ingress([role], operator, _tcp(DASHBOARD_PORT))
        heads["podSelector"]["matchLabels"] = dict(_HEAD)
        yield f"ray-{role}-operator", heads
    yield from _outside(paths)
    outside = [{"ipBlock": {"cidr": cidr}} for cidr in paths.ingress_networks]
    callers = [*(_pods_of(namespace) for namespace in paths.ingress_from), *outside]
    yield "serving-callers", _ingress(["serving"], callers, _tcp(SERVING_PORT)) if callers else None
    scrapers = [_pods_of(namespace) for namespace in paths.scrape_from]
    yield "metrics", _ingress(RAY_ROLES, scrapers, _tcp(*RAY_METRICS)) if scrapers else None


def _database(paths: Paths) -> Iterator[tuple[str, Manifest]]:
    if paths.database:
        yield "tracking-database", _to_endpoints(["tracking"], paths.database)
        return
    yield "tracking-database", _egress(["tracking"], [_role("database")], _tcp(DATABASE_PORT))
    yield "database", _ingress(["database"], [_role("tracking")], _tcp(DATABASE_PORT))


def _outside(paths: Paths) -> Iterator[tuple[str, Manifest | None]]:
    store_users = ["tracking", "training"]  # serving gets models through tracking
    yield "object-store", _to_endpoints(store_users, paths.object_store) if paths.object_store else None
    inside = [
        {"to": [_pods_of(namespace)], "ports": _tcp(*ports)} for namespace, ports in (paths.store_in or {}).items()
    ]
    yield "object-store-pods", _egress_rules(store_users, inside) if inside else None
    yield "identity", _to_endpoints(store_users, paths.identity) if paths.identity else None
    yield "api-server", _to_endpoints(["setup"], [paths.api_server])
    heads = _to_endpoints(RAY_ROLES, [paths.api_server])
    heads["podSelector"]["matchLabels"] = {**_HEAD, **AUTOSCALES}
    yield "ray-autoscaler", heads


def to_data(selector: Mapping[str, str], paths: Paths) -> Manifest:
    """Return the policy that lets pods with these labels read data, besides what their role may: the object store."""
    endpoints = _to_endpoints([], [*paths.object_store, *paths.identity])["egress"]
    inside = [
        {"to": [_pods_of(namespace)], "ports": _tcp(*ports)} for namespace, ports in (paths.store_in or {}).items()
    ]
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Egress"],
        "egress": [*endpoints, *inside],
    }


def _dns_pods() -> Manifest:
    """The cluster's name servers, and the caches of them on nodes.

    Where the network plugin hands what is sent to the Service `kube-dns` to the cache on the node (Cilium's local
    redirect, which GKE's Dataplane V2 does too), it is the cache's pod that a policy must allow.
    """
    servers = {"key": "k8s-app", "operator": "In", "values": ["kube-dns", "node-local-dns"]}
    return {**_pods_of("kube-system"), "podSelector": {"matchExpressions": [servers]}}


def _pods_of(namespace: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


def _role(role: str) -> Manifest:
    return {"podSelector": {"matchLabels": {ROLE_LABEL: role}}}


def _select(roles: Sequence[str]) -> Manifest:
    return {"matchExpressions": [{"key": ROLE_LABEL, "operator": "In", "values": list(roles)}]}


def _tcp(*ports: int) -> list[Manifest]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _ingress(roles: Sequence[str], peers: Sequence[Manifest], ports: Sequence[Manifest]) -> Manifest:
    rules = [{"from": list(peers), "ports": list(ports)}]
    return {"podSelector": _select(roles), "policyTypes": ["Ingress"], "ingress": rules}


def _egress(roles: Sequence[str], peers: Sequence[Manifest], ports: Sequence[Manifest]) -> Manifest:
    return _egress_rules(roles, [{"to": list(peers), "ports": list(ports)}])


def _egress_rules(roles: Sequence[str], rules: Sequence[Manifest]) -> Manifest:
    return {"podSelector": _select(roles), "policyTypes": ["Egress"], "egress": list(rules)}


def _to_endpoints(roles: Sequence[str], endpoints: Sequence[Endpoint]) -> Manifest:
    rules = [{"to": [{"ipBlock": _block(one.cidr)}], "ports": _tcp(*one.ports)} for one in endpoints]
    return _egress_rules(roles, rules)


def _block(cidr: str) -> Manifest:
    """Anywhere never means the node: its identity and its agents answer on link-local addresses."""
    return {"cidr": cidr, "except": [LINK_LOCAL]} if cidr == ANYWHERE else {"cidr": cidr}


def _within(role: str) -> Manifest:
    """Ray's pods talk to each other on ports that they choose themselves."""
    peers = [_role(role)]
    return {
        "podSelector": _select([role]),
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peers}],
        "egress": [{"to": peers}],
    }


class NetworkPolicies(ComponentResource):
    """The policies of one namespace. Enforcing them is the cluster's affair: not every network plugin does."""

    names: Output[Sequence[str]]

    def __init__(self, name: str, paths: Paths, *, namespace: Input[str], opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:kubernetes:NetworkPolicies", name, None, opts)
        rendered = render(paths)
        for policy, spec in rendered.items():
            declare(f"{name}-{policy}", manifest(policy, spec, namespace), ResourceOptions(parent=self))
        self.names = Output.from_input(sorted(rendered))
        self.register_outputs({"names": self.names})


def manifest(policy: str, spec: Mapping[str, Any], namespace: Input[str]) -> Manifest:
    """Return the object of one rendered policy."""
    metadata = {"name": policy, "namespace": namespace, "labels": PART_OF}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": dict(spec)}
