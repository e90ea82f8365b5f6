"""What EKS remembers: resources that take a moment to become what was asked for, as the real ones take minutes."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.standins.aws_server.faults import in_use, invalid_parameter, not_found
from tests.standins.aws_server.wire import now
from tests.standins.aws_server.world import ACCOUNT, CREATOR, World

Members = dict[str, Any]


@dataclass
class Resource:
    """One thing, in the service's own shape, and what it is on its way to."""

    view: Members
    due: float = 0
    """When, on the monotonic clock, `settle` is called; 0: nothing is under way."""
    settle: Callable[[], None] | None = None

    def becoming(self, status: str, final: str, after_s: float, then: Callable[[], None] | None = None) -> None:
        """Show a status now, and another after a while."""
        self.view["status"] = status
        self.view["modifiedAt"] = now()

        def settled() -> None:
            self.view["status"] = final
            if then:
                then()

        self.due, self.settle = time.monotonic() + after_s, settled

    def progress(self) -> None:
        """Finish what is under way when its time has come."""
        if self.settle and time.monotonic() >= self.due:
            finish, self.settle = self.settle, None
            finish()


@dataclass
class ClusterState:
    """A cluster and everything in it."""

    resource: Resource
    creator: str
    self_managed: bool
    node_groups: dict[str, Resource] = field(default_factory=dict)
    addons: dict[str, Resource] = field(default_factory=dict)
    entries: dict[str, Resource] = field(default_factory=dict)
    policies: dict[str, dict[str, Members]] = field(default_factory=dict)
    """Associated access policies, by principal and policy."""
    identities: dict[str, Resource] = field(default_factory=dict)
    updates: list[tuple[str, Resource]] = field(default_factory=list)
    """(what it updates: "" the cluster, "nodegroup/X", "addon/Y"; the update)."""

    @property
    def view(self) -> Members:
        return self.resource.view

    def everything(self) -> Iterable[Resource]:
        yield self.resource
        for held in (self.node_groups, self.addons, self.entries, self.identities):
            yield from list(held.values())
        yield from [update for _, update in self.updates]


@dataclass(frozen=True)
class Endpoint:
    """Where the API server of every cluster made from now on really is; empty: nowhere, as names of AWS's kind."""

    url: str = ""
    certificate: str = ""


@dataclass
class EksState:
    """EKS of one region."""

    world: World
    settle_s: float
    caller: str = CREATOR
    """The principal whose call is being answered."""
    endpoint: Endpoint = field(default_factory=Endpoint)
    clusters: dict[str, ClusterState] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def region(self) -> str:
        return self.world.region

    def arn(self, kind: str, *parts: str) -> str:
        return f"arn:aws:eks:{self.region}:{ACCOUNT}:{'/'.join((kind, *parts))}"

    def settle(self, seconds: float) -> None:
        """Set how long things are on their way; what is under way already takes no longer than that from now."""
        with self.lock:
            self.settle_s = seconds
            for cluster in self.clusters.values():
                for resource in cluster.everything():
                    resource.due = min(resource.due, time.monotonic() + seconds)

    def progress(self) -> None:
        """Let time pass for everything."""
        for cluster in list(self.clusters.values()):
            for resource in list(cluster.everything()):
                resource.progress()

    def cluster(self, name: str) -> ClusterState:
        if name not in self.clusters:
            raise not_found(f"No cluster found for name: {name}.", clusterName=name)
        return self.clusters[name]

    def usable(self, name: str) -> ClusterState:
        """Return a cluster in which things may be made."""
        cluster = self.cluster(name)
        if cluster.view["status"] not in ("ACTIVE", "UPDATING"):
            raise in_use(f"Cluster {name} is in state {cluster.view['status']}, not ACTIVE", clusterName=name)
        return cluster

    def update(self, cluster: ClusterState, of: str, kind: str, params: Members, owner: Resource) -> Members:
        """Begin an update of something and return it; its owner is UPDATING until it is done."""
        if owner.view["status"] != "ACTIVE":
            raise in_use(f"{of or cluster.view['name']} is {owner.view['status']}: one change at a time")
        update = Resource(
            {
                "id": str(uuid.uuid4()),
                "type": kind,
                "params": [{"type": name, "value": str(value)} for name, value in params.items()],
                "createdAt": now(),
                "errors": [],
            }
        )
        update.becoming("InProgress", "Successful", self.settle_s)
        update.view.pop("modifiedAt")
        owner.becoming("UPDATING", "ACTIVE", self.settle_s)
        if not of:
            owner.view.pop("modifiedAt")
        cluster.updates.append((of, update))
        return dict(update.view)


def identifier(prefix: str = "", length: int = 20) -> str:
    return f"{prefix}{secrets.token_hex(length)[:length]}"


def issuer(region: str, cluster: str) -> str:
    digest = hashlib.sha256(f"{region}{cluster}{uuid.uuid4()}".encode()).hexdigest()[:32].upper()
    return f"https://oidc.eks.{region}.amazonaws.com/id/{digest}"


def chosen(given: Members, names: Iterable[str]) -> Members:
    """Return those of the members that were given."""
    return {name: given[name] for name in names if name in given}


def page(names: Iterable[Any], parameters: Members, key: str) -> Members:
    """Return one page of a list, and where the next begins."""
    ordered = list(names)
    try:
        start = int(parameters.get("nextToken") or 0)
    except ValueError as error:
        raise invalid_parameter(f"nextToken {parameters['nextToken']!r} was not issued by this service") from error
    end = start + int(parameters.get("maxResults") or 100)
    return {key: ordered[start:end], "nextToken": str(end) if end < len(ordered) else None}
