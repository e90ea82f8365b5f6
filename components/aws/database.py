"""The tracking server's database: PostgreSQL on RDS, private, its password known to nobody but Secrets Manager.

It owns the instance and who may reach it. What is in it, and the users beside the master one, is the tracking server's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import cloudwatch, ec2, rds, vpc

from components.aws.naming import Names, digest
from components.aws.network import NetworkHandle

DATABASE = "mlflow"
USERNAME = "slipway"
PORT = 5432
MAJOR = "17"
"""PostgreSQL's major version; RDS takes minor ones by itself."""
LOGS = ("postgresql", "upgrade")
_PERFORMANCE_DAYS = 7  # what costs nothing


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """How large, who connects, and what destroy leaves."""

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
    """Whether the engine and RDS both refuse to delete it: the engine before anything else is gone."""
    final_snapshot: bool
    """Whether `destroy` leaves a last snapshot."""
    log_days: int = 30
    log_key: Input[str] | None = None
    """Key of its log groups, as `Keys.logs`."""


class Database(ComponentResource):
    """A PostgreSQL instance that only its clients reach, and only over TLS."""

    address: Output[str]
    port: Output[int]
    database: str
    master_secret_arn: Output[str]
    """The secret in Secrets Manager that RDS keeps and rotates: `{"username": ..., "password": ...}`."""
    ready: Sequence[Resource]

    def __init__(self, name: str, args: DatabaseArgs, opts: ResourceOptions | None = None) -> None:
        _check(args)
        super().__init__("slipway:aws:Database", name, None, opts)
        identifier = args.names.name("tracking")
        group, rules = self._entrance(name, args)
        instance = self._instance(name, args, identifier, group, self._log_groups(name, args, identifier))
        self.address, self.port, self.database = instance.address, instance.port, DATABASE
        self.master_secret_arn = instance.master_user_secrets.apply(lambda secrets: secrets[0].secret_arn)
        self.ready = [instance, *rules]
        self.register_outputs({
            "address": self.address,
            "port": self.port,
            "database": self.database,
            "master_secret_arn": self.master_secret_arn,
        })  # fmt: skip

    def _entrance(self, name: str, args: DatabaseArgs) -> tuple[ec2.SecurityGroup, Sequence[Resource]]:
        child = ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            f"{name}-group",
            name=args.names.name("database"),
            description="PostgreSQL from its clients only",
            vpc_id=args.network.vpc_id,
            tags={"Name": args.names.name("database")},
            opts=child,
        )
        rules = [
            vpc.SecurityGroupIngressRule(
                f"{name}-client-{index}",
                security_group_id=group.id,
                description="PostgreSQL",
                ip_protocol="tcp",
                from_port=PORT,
                to_port=PORT,
                referenced_security_group_id=client,
                opts=child,
            )
            for index, client in enumerate(args.clients)
        ]
        return group, rules

    def _log_groups(self, name: str, args: DatabaseArgs, identifier: str) -> Sequence[Resource]:
        """Made before RDS would make them, which it does without an end and without a key."""
        return [
            cloudwatch.LogGroup(
                f"{name}-log-{log}",
                name=f"/aws/rds/instance/{identifier}/{log}",
                retention_in_days=args.log_days,
                kms_key_id=args.log_key,
                opts=ResourceOptions(parent=self),
            )
            for log in LOGS
        ]

    def _instance(
        self, name: str, args: DatabaseArgs, identifier: str, group: ec2.SecurityGroup, logs: Sequence[Resource]
    ) -> rds.Instance:
        return rds.Instance(
            f"{name}-instance",
            identifier=identifier,
            engine="postgres",
            engine_version=MAJOR,
            auto_minor_version_upgrade=True,
            instance_class=args.instance_class,
            multi_az=args.multi_az,
            allocated_storage=args.storage_gib,
            max_allocated_storage=args.max_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key,
            db_name=DATABASE,
            port=PORT,
            username=USERNAME,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key,
            iam_database_authentication_enabled=False,
            db_subnet_group_name=self._subnets(name, args).name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            parameter_group_name=self._parameters(name, args).name,
            backup_retention_period=args.backup_days,
            backup_window="02:00-03:00",
            maintenance_window="sun:03:30-sun:04:30",
            copy_tags_to_snapshot=True,
            enabled_cloudwatch_logs_exports=list(LOGS),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key,
            performance_insights_retention_period=_PERFORMANCE_DAYS,
            apply_immediately=True,  # what `up` says is changed is changed, not next Sunday
            deletion_protection=args.deletion_protection,
            skip_final_snapshot=not args.final_snapshot,
            final_snapshot_identifier=_snapshot(args) if args.final_snapshot else None,
            tags={"Name": identifier},
            opts=ResourceOptions(
                parent=self, depends_on=list(logs), protect=args.deletion_protection, delete_before_replace=True
            ),
        )

    def _subnets(self, name: str, args: DatabaseArgs) -> rds.SubnetGroup:
        return rds.SubnetGroup(
            f"{name}-subnets",
            name=args.names.name("database"),
            description="Private subnets of the environment",
            subnet_ids=[subnet.id for subnet in args.network.private],
            tags={"Name": args.names.name("database")},
            opts=ResourceOptions(parent=self),
        )

    def _parameters(self, name: str, args: DatabaseArgs) -> rds.ParameterGroup:
        """Parameters belong to a major version: with it in their name, the next version's are made before these go."""
        return rds.ParameterGroup(
            f"{name}-parameters",
            name=args.names.name(f"postgres{MAJOR}"),
            family=f"postgres{MAJOR}",
            description="TLS only",
            # RDS reports this way of applying it for a value that is its own default; another would differ for ever
            parameters=[{"name": "rds.force_ssl", "value": "1", "apply_method": "pending-reboot"}],
            opts=ResourceOptions(parent=self),
        )


def _snapshot(args: DatabaseArgs) -> Output[str]:
    """A name that the last snapshot of an earlier environment of this stack does not have: its key was another."""
    stem = args.names.name("tracking-final", 50)
    return Output.from_input(args.key).apply(lambda key: f"{stem}-{digest(key)}")


def _check(args: DatabaseArgs) -> None:
    wrong = []
    if not args.clients:
        wrong.append("clients is empty: nobody could connect; give the security group of the nodes")
    zones = {subnet.zone for subnet in args.network.private}
    if len(zones) < 2:  # noqa: PLR2004 - RDS's rule
        wrong.append(f"private subnets lie in {len(zones)} zone: RDS wants subnets in at least two; name another zone")
    least = -(-args.storage_gib * 11 // 10)
    if args.max_storage_gib < least:
        wrong.append(
            f"max_storage_gib {args.max_storage_gib} with storage_gib {args.storage_gib}: RDS wants a tenth to grow; "
            f"set it to at least {least}"
        )
    if wrong:
        raise ValueError("database: " + "; ".join(wrong))
