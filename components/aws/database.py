"""The tracking server's database: PostgreSQL on RDS, private, its password known to nobody but Secrets Manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.naming import Names
from components.aws.network import NetworkHandle


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    names: Names
    network: NetworkHandle
    clients: Sequence[Input[str]]
    """Security groups that may connect; nobody else may."""
    key: Input[str]
    instance_class: str = "db.t4g.medium"
    storage_gib: int = 20
    max_storage_gib: int = 100
    """How far the storage may grow by itself."""
    multi_az: bool = False
    backup_days: int = 7
    deletion_protection: bool
    final_snapshot: bool
    """Whether `destroy` leaves a last snapshot."""


class Database(ComponentResource):
    """A PostgreSQL instance that only its clients reach, and only over TLS."""

    address: Output[str]
    port: Output[int]
    database: str
    master_secret_arn: Output[str]
    """The secret in Secrets Manager that RDS keeps and rotates: `{"username": ..., "password": ...}`."""
    ready: Sequence[Resource]

    def __init__(self, name: str, args: DatabaseArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:Database", name, None, opts)
        raise NotImplementedError
