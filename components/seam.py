"""The seam between what an ML platform has and the ground it stands on.

Specs say in domain words what should run; handles are Outputs of what does; `Foundation` and `Runtime` are what a
substrate implements.  No Kubernetes or AWS type may cross it, and no substrate is named here.  It is long for one
file, and stays one: whoever writes a substrate reads all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pulumi import Input, Output, Resource, ResourceOptions

from components.limits import BudgetSettings, LifetimeSettings
from components.settings import GpuPoolSpec


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which environment this is: one stack of one project, in one checkout."""

    project: str
    stack: str
    root: Path
    """The folder of Pulumi.yaml; relative paths in the config mean this folder."""
    secrets: Mapping[str, Output[str]] = field(default_factory=dict)
    """What the stack's config holds encrypted, by its key without the prefix."""


@dataclass(frozen=True, kw_only=True)
class GroundSpec:
    """What an environment asks of its ground besides what its substrate's own settings say."""

    gpu_pools: Sequence[GpuPoolSpec] = ()
    retain: bool = False
    """Whether artifacts and the registry outlive the environment."""
    budget: BudgetSettings | None = None
    lifetime: LifetimeSettings | None = None
    """None: not an ephemeral environment."""
    scheduled: bool = False
    """Whether data are read by the clock too, by somebody of its own."""


@dataclass(frozen=True, kw_only=True)
class ReadyCheck:
    """One HTTP request that must answer `status` before a service counts as ready."""

    path: str
    method: Literal["GET", "POST", "PUT"] = "GET"
    body: str | None = None
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class Command:
    """A Python module with its arguments (`python -m module`)."""

    module: str
    arguments: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class DatabaseNeed:
    """A SQL database that outlives the service and is shared by its replicas."""

    variable: str
    """The environment variable that gets the database's SQLAlchemy URL."""
    migrations: Sequence[Command]
    """Run in this order, to their end, before a new version of the service starts; `{database}` is the URL."""


@dataclass(frozen=True, kw_only=True)
class LoginNeed:
    """One generated login; each field names the environment variable that gets the value."""

    username: str
    password: str
    signing_key: str
    """Signs sessions: the same for every replica."""


@dataclass(frozen=True, kw_only=True)
class ProtectedForm:
    """How a service is started where others than its owner can reach it: nobody gets in without the login.

    `{host}`, `{port}` and `{config}` in `command` and `environment` are filled in by the runtime; `{config}` is the
    folder with `files`, in which `{database}` becomes the database's URL.
    """

    command: Command
    environment: Mapping[str, Input[str]]
    files: Mapping[str, str]
    database: DatabaseNeed
    login: LoginNeed
    allowed_hosts: str
    """The environment variable that gets the names under which the service is called, separated by commas."""
    uses_store: bool
    """Whether it reaches the artifact store, and so gets its credentials."""
    ready: ReadyCheck
    """Answered without the login."""
    cpus: float
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    """A long-running HTTP service, in two forms: on the owner's machine, and where others can reach it.

    `{host}`, `{port}` and `{state}` in `arguments` and `environment` are filled in by the runtime: the address to
    listen on, and a folder that outlives restarts.
    """

    role: str
    module: str
    """The Python module that is run (`python -m module`) where only the owner can reach it."""
    arguments: Sequence[str]
    environment: Mapping[str, Input[str]]
    protected: ProtectedForm
    port: int | None
    """The port asked for in the config; the runtime chooses one when absent."""
    port_setting: str
    """The config key that sets the port, for messages."""
    ready: Sequence[ReadyCheck]
    keep_state: bool
    """Whether the state folder survives a destroy."""


@dataclass(frozen=True, kw_only=True)
class ServiceHandle:
    """A service that answers at `url`."""

    url: Output[str]
    resource: Resource


@dataclass(frozen=True, kw_only=True)
class StoreSpec:
    """Where artifacts are kept."""

    retain: bool
    uri: str | None
    endpoint: str | None


@dataclass(frozen=True, kw_only=True)
class StoreHandle:
    """An object store: `uri` is a folder or a bucket prefix, `environment` is what its clients need."""

    uri: Output[str]
    environment: Mapping[str, Input[str]]


@dataclass(frozen=True, kw_only=True)
class RaySpec:
    """The cluster template for training and serving."""

    dashboard_port: int | None
    shared: bool
    serving_port: int | None
    request_timeout_s: float
    gpu_pools: Sequence[GpuPoolSpec]
    environment: Mapping[str, Input[str]]
    workers: int = 1
    worker_cpus: float = 1
    """What a training asks for: a cluster that several runs share has as many workers, of that size."""
    worker_memory_gib: float | None = None


@dataclass(frozen=True, kw_only=True)
class RayHandle:
    """The template, and where a cluster runs, its addresses."""

    dashboard_url: Output[str]
    token_file: Output[str]
    incarnation: Output[str]
    """Changes whenever the cluster was started anew: what ran on it has to be deployed again."""
    serving_port: int
    request_timeout_s: float
    resource: Resource


@dataclass(frozen=True, kw_only=True)
class Code:
    """The files that run somewhere else, and their digest (sha256 over names and contents)."""

    root: Path
    files: Sequence[str]
    digest: str
    lock: str
    """The lock file, relative to `root`."""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One training run, named by its identity."""

    identity: str
    identity_parts: Mapping[str, str]
    code: Code
    model_name: str
    tracking_url: Output[str]
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    gate: Mapping[str, Any]
    resources: Mapping[str, float]
    memory_gib: float | None = None
    """Of one worker, where workers are bounded; None: as the runtime thinks fit."""
    timeout_s: float
    retries: int = 0
    """How often a failed run starts again by itself, where it has a cluster of its own."""
    wait: bool
    schedule: str | None = None
    """Cron, UTC: when the substrate looks for newer data by itself, and trains on it."""


@dataclass(frozen=True, kw_only=True)
class RunHandle:
    """What a training run came to; `None` inside while it has not finished."""

    run_id: Output[str | None]
    model_version: Output[str | None]
    verdict: Output[str]
    """`passed`, `rejected` or `pending`."""
    metrics: Output[Mapping[str, float]]
    reasons: Output[Sequence[str]]
    candidate: Output[str | None]
    """The version to release: the registered version when the verdict is `passed`."""


@dataclass(frozen=True, kw_only=True)
class AppSpec:
    """The serving application; it follows the champion and is handed a candidate."""

    import_path: str
    code: Code
    model_name: str
    tracking_url: Output[str]
    arguments: Mapping[str, Any]
    candidate: Output[str | None]
    strategy: str
    wait: Literal["started", "done"]


@dataclass(frozen=True, kw_only=True)
class AppHandle:
    """A model that answers at `url`; versions as of the last deployment or refresh."""

    url: Output[str]
    champion: Output[str | None]
    challenger: Output[str | None]


class Runtime(Protocol):
    """How a workload becomes something running."""

    @property
    def ready(self) -> Sequence[Resource]:
        """What every workload depends on, so that destroy takes workloads before the ground."""
        ...

    def service(self, name: str, spec: ServiceSpec, opts: ResourceOptions) -> ServiceHandle:
        """Run a service until it is removed."""
        ...

    def ray(self, name: str, spec: RaySpec, opts: ResourceOptions) -> RayHandle:
        """Provide the cluster template, and a shared cluster where the substrate has one."""
        ...

    def run(self, name: str, spec: RunSpec, ray: RayHandle, opts: ResourceOptions) -> RunHandle:
        """Ensure that the run of this identity exists and has finished."""
        ...

    def serve(self, name: str, spec: AppSpec, ray: RayHandle, opts: ResourceOptions) -> AppHandle:
        """Deploy the serving application and hand it its candidate."""
        ...


class Foundation(Protocol):
    """Where nodes, buckets and identities come from."""

    @property
    def usd_per_hour(self) -> float | None:
        """What the ground costs while it only waits, where somebody sends a bill and the prices are known."""
        ...

    @property
    def runtime(self) -> Runtime:
        """The runtime that stands on this foundation."""
        ...

    @property
    def missing(self) -> str | None:
        """What workloads still wait for, and how it is given, where there is only the ground yet."""
        ...

    @property
    def secrets(self) -> Mapping[str, Input[str]]:
        """Where the environment's secrets are kept, by what they are; never their values."""
        ...

    @property
    def address(self) -> Mapping[str, Input[str] | None]:
        """Where on the substrate it is, for the commands that reach it; `stacks.outputs` lists the keys."""
        ...

    def object_store(self, name: str, spec: StoreSpec, opts: ResourceOptions) -> StoreHandle:
        """Provide the store for artifacts."""
        ...
