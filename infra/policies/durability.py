"""Rules on what must not be lost: protection in stacks that are retained, logs and backups in all."""

from __future__ import annotations

from collections.abc import Iterator

from infra.policies.model import Declared, Posture, Rule, Violation, absent_or_false, demand, present, true

_RETAINED = "slipway:artifacts.retain is on, and a mistaken destroy would take it along"
_KEY_DAYS = 7


def protected_database(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """A database of a retained stack refuses deletion, and leaves a snapshot when that is lifted."""
    if posture.retained:
        yield from demand(resource, "deletionProtection", true, _RETAINED, "set it to true")
        yield from demand(resource, "skipFinalSnapshot", absent_or_false, _RETAINED, "set it to false")


def backed_up_database(resource: Declared, _: Posture) -> Iterator[Violation]:
    """A database is backed up, and logged."""
    yield from demand(
        resource,
        "backupRetentionPeriod",
        lambda days: isinstance(days, int | float) and days >= 1,
        "there would be no backup to go back to",
        "set slipway:substrate.database.backup_days",
    )
    yield from demand(
        resource,
        "enabledCloudwatchLogsExports",
        present,
        "what happened in the database could not be told afterwards",
        'list "postgresql"',
    )


def managed_password(resource: Declared, _: Posture) -> Iterator[Violation]:
    """The database's password is made and kept by AWS, never in the state."""
    if resource.at("password") is not None:
        yield Violation(
            resource=resource, property="password", value="(hidden)",
            reason="a password in the program is a password in the state", fix="set manageMasterUserPassword instead",
        )  # fmt: skip
    if resource.at("snapshotIdentifier") is None and resource.at("replicateSourceDb") is None:
        yield from demand(
            resource, "manageMasterUserPassword", true, "somebody would have to keep the password", "set it to true"
        )


def kept_bucket(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """A bucket of a retained stack is not emptied by destroy."""
    if posture.retained:
        yield from demand(resource, "forceDestroy", absent_or_false, _RETAINED, "set it to false")


def kept_images(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """A registry of a retained stack is not emptied by destroy."""
    if posture.retained:
        yield from demand(resource, "forceDelete", absent_or_false, _RETAINED, "set it to false")


def fixed_images(resource: Declared, _: Posture) -> Iterator[Violation]:
    """A tag never moves to another image, and images are scanned."""
    yield from demand(
        resource,
        "imageTagMutability",
        lambda value: value in ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"),
        "a tag could come to mean another image than the one that was tested",
        "set it to IMMUTABLE",
    )
    yield from demand(
        resource,
        "imageScanningConfiguration.scanOnPush",
        true,
        "nobody would hear of a vulnerable image",
        "set it to true",
    )


def protected_cluster(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """The cluster of a retained stack refuses deletion."""
    if posture.retained:
        yield from demand(resource, "deletionProtection", true, _RETAINED, "set it to true")


def kept_key(resource: Declared, posture: Posture) -> Iterator[Violation]:
    """The key of a retained stack can be brought back for a while, since all that it encrypts is lost with it."""
    if posture.retained:
        yield from demand(
            resource,
            "deletionWindowInDays",
            lambda days: days is None or days >= _KEY_DAYS,
            _RETAINED,
            f"set it to {_KEY_DAYS} or more",
        )


def bounded_logs(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Logs are kept for a stated time."""
    yield from demand(
        resource,
        "retentionInDays",
        lambda days: isinstance(days, int | float) and days > 0,
        "they would be kept, and paid for, for ever",
        "set it to a number of days",
    )


_DATABASE = frozenset({"aws:rds/instance:Instance", "aws:rds/cluster:Cluster"})
_IMAGES = frozenset({"aws:ecr/repository:Repository"})

RULES = (
    Rule(
        name="database-protected",
        about="Databases of retained stacks are protected",
        types=_DATABASE,
        check=protected_database,
    ),
    Rule(
        name="database-backed-up", about="Databases are backed up and logged", types=_DATABASE, check=backed_up_database
    ),
    Rule(name="password-managed", about="AWS keeps database passwords", types=_DATABASE, check=managed_password),
    Rule(
        name="bucket-kept",
        about="Buckets of retained stacks are kept",
        types=frozenset({"aws:s3/bucket:Bucket"}),
        check=kept_bucket,
    ),
    Rule(name="images-kept", about="Images of retained stacks are kept", types=_IMAGES, check=kept_images),
    Rule(name="images-fixed", about="Tags of images are fixed, images are scanned", types=_IMAGES, check=fixed_images),
    Rule(
        name="cluster-protected",
        about="Clusters of retained stacks are protected",
        types=frozenset({"aws:eks/cluster:Cluster"}),
        check=protected_cluster,
    ),
    Rule(
        name="key-kept",
        about="Keys of retained stacks can be brought back",
        types=frozenset({"aws:kms/key:Key"}),
        check=kept_key,
    ),
    Rule(
        name="logs-bounded",
        about="Logs have an end",
        types=frozenset({"aws:cloudwatch/logGroup:LogGroup"}),
        check=bounded_logs,
    ),
)
