"""What objects of the Kubernetes substrate are called, and the context that their makers share.

Names are an interface: the in-cluster Jobs, `slipway status` and the NetworkPolicies look objects up by them, so
a rename here is a replacement there.  Nothing in this module talks to a cluster.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pulumi import Input, ProviderResource, Resource, ResourceOptions

from components.seam import Place

if TYPE_CHECKING:
    from components.kubernetes.operators import OperatorsArgs
    from infra.kubernetes.settings import KubernetesConfig

PART_OF = "slipway"
MANAGER = "slipway"
Role = Literal["tracking", "database", "training", "serving", "setup"]
"""The label `app.kubernetes.io/component` of a pod; NetworkPolicies select by it."""
Account = Literal["tracking", "database", "training", "serving", "secrets", "verdict", "release"]
"""The ServiceAccounts, one a workload."""

SCHEDULE_ACCOUNT: Literal["schedule"] = "schedule"
"""The ServiceAccount of scheduled retraining; there only while there is a schedule."""
SCHEDULE_NAME = "retraining"
SCHEDULE_FOLDER = "/etc/slipway/retraining"

TRACKING_SERVICE = "tracking"
TRACKING_PORT = 5000
SERVING_SERVICE = "serving"
SERVING_PORT = 8000
DATABASE_SERVICE = "database"
DATABASE_PORT = 5432

LOGIN_SECRET = "tracking-login"  # noqa: S105 - the name of a Secret, not its value
"""Keys `username`, `password`, `flask_secret`."""
RAY_TOKEN_SECRET = "ray-token"  # noqa: S105
"""Key `auth_token`, which KubeRay prescribes."""
SERVING_TOKEN_SECRET = "serving-token"  # noqa: S105
"""Key `token`."""
DATABASE_SECRET = "database"  # noqa: S105
"""Keys `password`, `url` (a SQLAlchemy URL)."""
STORE_SECRET = "artifacts-credentials"  # noqa: S105
"""Keys `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`: used as environment names as they are."""

SPEC_FOLDER = "/etc/slipway/run"
SPEC_FILE = f"{SPEC_FOLDER}/spec.json"
SPEC_KEY = "spec.json"
RESULT_KEY = "result.json"
STORE_FOLDER = "/var/lib/slipway/artifacts"
"""Where the artifact volume is mounted when the store is a volume."""
TOKEN_FOLDER = "/etc/slipway/token"  # noqa: S105
"""Where the Secret `serving-token` is mounted."""

_ID_LENGTH = 20
_DIGEST_LENGTH = 8


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where artifacts and checkpoints lie, as pods reach it: an S3-compatible bucket, or one volume."""

    uri: Input[str]
    """`s3://bucket/prefix`, or the folder of the volume in a pod that mounts it."""
    checkpoints: Input[str]
    """Below `uri`: where training keeps checkpoints, so that a restarted run resumes."""
    environment: Mapping[str, Input[str]]
    """What S3 clients need besides credentials: endpoint and region."""
    secret: str | None
    """The Secret with the credentials; None when the pod's identity or the volume needs none."""
    claim: str | None
    """The PersistentVolumeClaim, when the store is a volume."""


@dataclass(frozen=True, kw_only=True)
class ManagedDatabase:
    """A PostgreSQL server of the cloud, whose administrator's password the cloud keeps and rotates."""

    host: Input[str]
    port: Input[int]
    name: str
    """The administrator's database."""
    secret: Input[str]
    """ARN of the secret with the administrator's username and password."""
    region: str


@dataclass(frozen=True, kw_only=True)
class Made:
    """What whoever made the cluster adds to what a given one has."""

    operators: OperatorsArgs
    """What is installed on it."""
    database: ManagedDatabase | None = None
    environment: Mapping[str, Input[str]] = field(default_factory=dict)
    """What clients of the cloud need in every pod that calls it, such as the region."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What everything in the environment's namespace is made with."""

    place: Place
    config: KubernetesConfig
    namespace: str
    provider: ProviderResource
    ready: Sequence[Resource]
    """What every workload depends on: namespace, policies, operators, filled secrets."""
    storage: Storage | None = None
    """Known once the artifact store was declared, which `deploy()` does first."""
    made: Made | None = None
    """None: the cluster was given."""

    def child(self, opts: ResourceOptions, *, depends_on: Sequence[Resource] = ()) -> ResourceOptions:
        """Return `opts` on this context's provider, after the ground and `depends_on`."""
        ground = ResourceOptions(provider=self.provider, depends_on=[*self.ready, *depends_on])
        return ResourceOptions.merge(opts, ground)

    def after(self, *resources: Resource) -> Context:
        """Return the context of what comes after these too."""
        return dataclasses.replace(self, ready=[*self.ready, *resources])

    def metadata(self, name: Input[str], **more: Any) -> dict[str, Any]:
        """Return the metadata of a namespaced object; `more` adds `annotations` or `labels`."""
        labels = {**object_labels(self.place), **more.pop("labels", {})}
        return {"name": name, "namespace": self.namespace, "labels": labels, **more}

    @property
    def tracking_url(self) -> str:
        """The tracking server as pods reach it."""
        return service_url(TRACKING_SERVICE, self.namespace, TRACKING_PORT)

    @property
    def serving_url(self) -> str:
        """The model endpoint as pods reach it."""
        return service_url(SERVING_SERVICE, self.namespace, SERVING_PORT)


def service_host(service: str, namespace: str) -> str:
    """Return the DNS name of a Service."""
    return f"{service}.{namespace}.svc.cluster.local"


def service_url(service: str, namespace: str, port: int) -> str:
    """Return the address of a Service inside the cluster."""
    return f"http://{service_host(service, namespace)}:{port}"


def service_aliases(service: str, namespace: str) -> list[str]:
    """Return every host name by which pods may call a Service."""
    return [service, f"{service}.{namespace}", f"{service}.{namespace}.svc", service_host(service, namespace)]


def object_labels(place: Place) -> dict[str, str]:
    """Return the labels of every object: whose it is."""
    return {
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": MANAGER,
        "slipway/environment": f"{place.project}-{place.stack}"[:63],
    }


def training_name(identity: str) -> str:
    """Return the name of the RayJob and of the ConfigMap with its specification."""
    return f"training-{identity[:_ID_LENGTH]}"


def verdict_name(identity: str, gate: Mapping[str, Any]) -> str:
    """Return the name of the Job that judges a run by a gate."""
    return f"verdict-{identity[:_ID_LENGTH]}-{short_digest(gate)}"


def training_result_name(identity: str, gate: Mapping[str, Any]) -> str:
    """Return the name of the ConfigMap that the verdict Job fills."""
    return f"training-result-{identity[:_ID_LENGTH]}-{short_digest(gate)}"


def release_name(request: Mapping[str, Any]) -> str:
    """Return the name of the Job that waits for a release."""
    return f"release-{short_digest(request)}"


def release_result_name(request: Mapping[str, Any]) -> str:
    """Return the name of the ConfigMap that the release Job fills."""
    return f"release-result-{short_digest(request)}"


def short_digest(value: Any) -> str:
    """Return eight hex digits that change when, and only when, the JSON value does."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
