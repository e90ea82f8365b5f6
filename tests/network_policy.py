"""What NetworkPolicies allow, computed from the policies alone: the semantics of networking.k8s.io/v1.

A pod that no policy selects for a direction is open in it; a selected one is closed but for the union of the rules
that select it.  A connection needs both its source's egress and its destination's ingress.  Where network plugins
differ, the answer here is the wider one: an `ipBlock` matches the addresses of pods too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

Policies = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Pod:
    """A pod of some namespace."""

    name: str
    namespace: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace_labels(self) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace}


@dataclass(frozen=True)
class Host:
    """Something that is no pod."""

    name: str
    address: str


@dataclass(frozen=True, order=True)
class Port:
    number: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return str(self.number) if self.protocol == "TCP" else f"{self.number}/{self.protocol.lower()}"


def allows(policies: Policies, source: Pod | Host, target: Pod | Host, port: Port) -> bool:
    """Whether `source` may open a connection to `target` at `port`."""
    out = not isinstance(source, Pod) or _open(
        policies, source, target, port, direction="Egress", rules="egress", peers="to"
    )
    into = not isinstance(target, Pod) or _open(
        policies, target, source, port, direction="Ingress", rules="ingress", peers="from"
    )
    return out and into


def _open(
    policies: Policies, pod: Pod, peer: Pod | Host, port: Port, *, direction: str, rules: str, peers: str
) -> bool:
    selecting = [policy for policy in policies if _selects(policy, pod) and direction in _types(policy)]
    if not selecting:
        return True
    return any(
        _any_peer(rule.get(peers), peer, policy["metadata"]["namespace"]) and _any_port(rule.get("ports"), port)
        for policy in selecting
        for rule in policy["spec"].get(rules, [])
    )


def _types(policy: Mapping[str, Any]) -> Sequence[str]:
    spec = policy["spec"]
    default = ["Ingress", "Egress"] if "egress" in spec else ["Ingress"]
    return spec.get("policyTypes", default)  # type: ignore[no-any-return]


def _selects(policy: Mapping[str, Any], pod: Pod) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and _matches(policy["spec"]["podSelector"], pod.labels)


def _any_peer(peers: Iterable[Mapping[str, Any]] | None, peer: Pod | Host, namespace: str) -> bool:
    return peers is None or any(_is_peer(one, peer, namespace) for one in peers)


def _is_peer(rule: Mapping[str, Any], peer: Pod | Host, namespace: str) -> bool:
    if "ipBlock" in rule:
        block = rule["ipBlock"]
        outside = any(_within(peer.address, one) for one in block.get("except", []))
        return _within(peer.address, block["cidr"]) and not outside
    if not isinstance(peer, Pod):
        return False
    if "namespaceSelector" in rule:
        in_namespace = _matches(rule["namespaceSelector"], peer.namespace_labels)
    else:
        in_namespace = peer.namespace == namespace
    return in_namespace and _matches(rule.get("podSelector", {}), peer.labels)


@cache
def _within(address: str, cidr: str) -> bool:
    return ip_address(address) in ip_network(cidr)


def _any_port(ports: Iterable[Mapping[str, Any]] | None, port: Port) -> bool:
    return ports is None or any(
        one.get("protocol", "TCP") == port.protocol
        and ("port" not in one or int(one["port"]) <= port.number <= int(one.get("endPort", one["port"])))
        for one in ports
    )


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(_expression(one, labels) for one in selector.get("matchExpressions", []))


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(one["key"])
    answers = {
        "In": value in one.get("values", []),
        "NotIn": value not in one.get("values", []),
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers[one["operator"]]
