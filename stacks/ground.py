"""What commands and the program know of a substrate besides its foundation: how it is reached, what is checked first.

`GROUND` is the table.  What a command needs beyond this machine, each function imports itself: a laptop's commands
never wait for the Kubernetes client.
"""

from __future__ import annotations

import base64
import contextlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from components.seam import Place
from serving.registry import Registry
from stacks.config import EnvironmentConfig

ROOT = Path(__file__).resolve().parent.parent
_TIMEOUT_S = 5
RayState = tuple[bool | None, str, str]
"""Health, state and version of what training and serving run on."""


class Unreached(Exception):
    """A service cannot be reached from this machine; the text says why."""


class Finding(Protocol):
    """One thing that was looked at before anything is made: `ok` None is a warning."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool | None: ...
    @property
    def seen(self) -> str: ...
    @property
    def fix(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Reached:
    """An environment's services as this machine calls them, while the context lasts."""

    urls: Mapping[str, str]
    """Of `tracking` and `serving`."""
    ray: Callable[[], RayState]
    folders_here: bool
    """Whether a folder in the outputs is one of this machine."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why a service that is missing in `urls` cannot be reached."""
    login: tuple[str, str] | None = field(default=None, repr=False)
    serving_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def url(self, service: str) -> str:
        """Return where this machine reaches the service.

        Raises:
            Unreached: with the reason.
        """
        if service in self.faults:
            raise Unreached(self.faults[service])
        return self.urls[service]

    def headers(self, service: str) -> Mapping[str, str]:
        """Return what a request to the service must carry: its login or token."""
        if service == "serving":
            return self.serving_headers
        if self.login is None:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(':'.join(self.login).encode()).decode()}"}

    def registry(self, timeout_s: float = 10.0) -> Registry:
        """Return the model registry, logged in.

        Raises:
            Unreached: there is no way to the tracking server.
        """
        return Registry(self.url("tracking"), timeout_s=timeout_s, login=self.login)


class Charge(Protocol):
    """One thing that is billed by the hour."""

    @property
    def what(self) -> str: ...
    @property
    def count(self) -> float: ...
    @property
    def each(self) -> float | None: ...
    @property
    def usd(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What an environment costs at rest, in USD an hour, and what that holds for."""

    charges: Sequence[Charge]
    per_hour: float | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One row of the table."""

    reach: Callable[[Mapping[str, Any]], AbstractContextManager[Reached]]
    """Takes the outputs."""
    examine: Callable[[Place, EnvironmentConfig], Sequence[Finding]]
    """Everything that was looked at, for people."""
    require: Callable[[Place, EnvironmentConfig], Sequence[Finding]]
    """The warnings; raises a SettingError with every problem."""
    bill: Callable[[EnvironmentConfig], Bill | None] = lambda _: None
    """What is billed while the environment only waits; None where nobody sends a bill."""


def reach(found: Mapping[str, Any]) -> AbstractContextManager[Reached]:
    """Return the way to the environment whose outputs these are."""
    return GROUND[str(found["substrate"]["kind"])].reach(found)


@contextlib.contextmanager
def _this_machine(found: Mapping[str, Any]) -> Iterator[Reached]:
    urls = {"tracking": str(found["tracking"]["uri"]), "serving": str(found["serving"]["url"])}
    yield Reached(urls=urls, folders_here=True, ray=lambda: _head(str(found["ray"]["dashboard_url"])))


def _head(dashboard_url: str) -> RayState:
    ray = f"Ray {version('ray')}"
    try:
        with urllib.request.urlopen(f"{dashboard_url}/api/gcs_healthz", timeout=_TIMEOUT_S):  # noqa: S310
            return True, "up", ray
    except urllib.error.HTTPError as error:
        return False, f"answers {error.code}", ray
    except (OSError, ValueError) as error:
        return False, f"down ({getattr(error, 'reason', error)})", ray


@contextlib.contextmanager
def _cluster(found: Mapping[str, Any]) -> Iterator[Reached]:
    """Reach services by port-forwards; one that has no ready pod does not keep the others from being looked at."""
    from infra.kubernetes import access, names  # noqa: PLC0415
    from infra.kubernetes.connection import ClusterUnusable, connect  # noqa: PLC0415

    where = found["substrate"]
    namespace = str(where["namespace"])
    ports = {names.TRACKING_SERVICE: names.TRACKING_PORT, names.SERVING_SERVICE: names.SERVING_PORT}
    given = where.get("kubeconfig")
    kubeconfig = str(ROOT / Path(given).expanduser()) if given else None
    urls, faults = {}, {}
    with connect(where["context"], kubeconfig) as cluster, contextlib.ExitStack() as tunnels:
        login = access.secret(cluster, namespace, names.LOGIN_SECRET)
        token = access.secret(cluster, namespace, names.SERVING_TOKEN_SECRET).get("token")
        for service, port in ports.items():
            try:
                urls[service] = tunnels.enter_context(access.forward(cluster, namespace, service, port))
            except ClusterUnusable as error:
                faults[service] = str(error)
        yield Reached(
            urls=urls,
            faults=faults,
            folders_here=False,
            login=(login["username"], login["password"]) if {"username", "password"} <= login.keys() else None,
            serving_headers={"Authorization": f"Bearer {token}"} if token else {},
            ray=lambda: access.ray_state(cluster, namespace),
        )


@contextlib.contextmanager
def _eks(found: Mapping[str, Any]) -> Iterator[Reached]:
    """Find the cluster by its name in AWS, then go the way of every cluster."""
    from infra.aws.access import renew  # noqa: PLC0415

    where = found["substrate"]
    there = {**where, "context": where["cluster"], "kubeconfig": renew(where, ROOT)}
    with _cluster({**found, "substrate": there}) as reached:
        yield reached


def _nothing(_: Place, __: EnvironmentConfig) -> Sequence[Finding]:
    return ()


def _examine_cluster(place: Place, env: EnvironmentConfig) -> Sequence[Finding]:
    from infra.kubernetes import demand, preflight  # noqa: PLC0415

    return preflight.examine(demand.needs(place, env))


def _require_cluster(place: Place, env: EnvironmentConfig) -> Sequence[Finding]:
    from infra.kubernetes import demand, preflight  # noqa: PLC0415

    return preflight.require(demand.needs(place, env))


def _examine_account(place: Place, env: EnvironmentConfig) -> Sequence[Finding]:
    from infra.aws import preflight  # noqa: PLC0415

    return preflight.examine(place, env)


def _require_account(place: Place, env: EnvironmentConfig) -> Sequence[Finding]:
    from infra.aws import preflight  # noqa: PLC0415

    return preflight.require(place, env)


def _bill_of_account(env: EnvironmentConfig) -> Bill | None:
    from infra.aws import cost  # noqa: PLC0415
    from infra.aws.settings import AwsConfig  # noqa: PLC0415

    if not isinstance(env.substrate, AwsConfig):
        raise TypeError(f"the bill of {env.substrate.kind} was asked of AWS")
    charges = cost.at_rest(env.substrate, env.ground())
    return Bill(charges=charges, per_hour=cost.per_hour(charges), source=cost.source())


GROUND = {
    "local": Ground(reach=_this_machine, examine=_nothing, require=_nothing),
    "kubernetes": Ground(reach=_cluster, examine=_examine_cluster, require=_require_cluster),
    "aws": Ground(reach=_eks, examine=_examine_account, require=_require_account, bill=_bill_of_account),
}
"""By the kind of the substrate, which is all that outputs say of it."""
