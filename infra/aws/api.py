"""How this machine asks AWS: clients with short time-outs, refusals in one line, and the cluster of a stack.

It only reads.  boto3 is imported where a client is made: it costs half a second, and only stacks on AWS pay it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.settings import SettingError
from infra.kubernetes.findings import Finding

_CONNECT_S, _READ_S, _ATTEMPTS = 5, 15, 3
ABSENT = "ResourceNotFoundException"
REACHABLE = ("ACTIVE", "UPDATING")
"""States of a cluster whose API server answers."""


class AwsUnusable(SettingError):
    """AWS cannot be asked, or refused; the text says why and what to do.  `code` is AWS's own, empty without one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class ClusterState:
    """An EKS cluster as it is now."""

    name: str
    status: str
    version: str
    endpoint: str
    certificate: str

    @property
    def reachable(self) -> bool:
        """Whether it has an API server that answers."""
        return self.status in REACHABLE and bool(self.endpoint and self.certificate)


def client(service: str, region: str, endpoint_url: str | None = None) -> Any:
    """Return a client; credentials are whatever the SDK finds: AWS_PROFILE, the environment, the machine's role."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    limits = Config(
        connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}
    )
    try:
        session = boto3.session.Session(region_name=region)
        return session.client(service, endpoint_url=endpoint_url, config=limits)
    except (BotoCoreError, ValueError) as error:
        raise AwsUnusable(f"no client of {service} in {region}: {error}") from None


def ask(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an operation by its Python name and return the answer.

    Raises:
        AwsUnusable: there are no credentials, AWS does not answer, or it refused.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        found: dict[str, Any] = getattr(client, operation)(**parameters)
    except ClientError as error:
        said = error.response.get("Error", {})
        code = str(said.get("Code", ""))
        raise AwsUnusable(f"{operation} was refused: {code}: {said.get('Message', '')}".rstrip(": "), code) from None
    except BotoCoreError as error:
        raise AwsUnusable(f"{operation}: {error}", type(error).__name__) from None
    return found


def cluster(name: str, region: str, endpoint_url: str | None = None) -> ClusterState | None:
    """Return the cluster as it is now; None when there is none of this name.

    Raises:
        AwsUnusable: AWS could not be asked.
    """
    try:
        found = ask(client("eks", region, endpoint_url), "describe_cluster", name=name)["cluster"]
    except AwsUnusable as error:
        if error.code == ABSENT:
            return None
        raise
    return ClusterState(
        name=name,
        status=str(found.get("status", "")),
        version=str(found.get("version", "")),
        endpoint=str(found.get("endpoint") or ""),
        certificate=str((found.get("certificateAuthority") or {}).get("data") or ""),
    )


def unread(name: str, error: AwsUnusable, action: str) -> Finding:
    """Return the finding that something could not be looked at, for want of the right to do `action`."""
    return Finding(name=name, ok=None, seen=f"cannot be read: {error}", fix=f"allow {action}")
