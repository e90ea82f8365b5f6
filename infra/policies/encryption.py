"""Rules on encryption at rest: buckets, disks, databases, images, logs, topics, Kubernetes secrets; and on its keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.policies.model import UNKNOWN, Declared, Posture, Rule, Violation, demand, present, true

BUCKET_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_KEY_FIX = "name the environment's key"


def bucket(resource: Declared, _: Posture) -> Iterator[Violation]:
    """A bucket is encrypted with a customer key."""
    if not resource.knows("rules"):
        return
    for at, _rule in resource.items("rules") or ():
        yield from demand(
            resource,
            f"{at}.applyServerSideEncryptionByDefault.sseAlgorithm",
            lambda value: str(value).startswith("aws:kms"),
            "objects would not be encrypted with a key of this account",
            "set it to aws:kms and kmsMasterKeyId to the environment's key",
        )
    if not resource.at("rules"):
        yield Violation(
            resource=resource, property="rules", value=resource.at("rules"),
            reason="it encrypts nothing", fix="add a rule with sseAlgorithm aws:kms",
        )  # fmt: skip


def launch_template(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Every disk of a node is named and encrypted."""
    disks = resource.at("blockDeviceMappings")
    if disks is UNKNOWN:
        return
    if not disks:
        yield Violation(
            resource=resource, property="blockDeviceMappings", value=disks,
            reason="the root disk would be the image's, encrypted or not",
            fix="name the root disk with ebs.encrypted true",
        )  # fmt: skip
    for at, disk in resource.items("blockDeviceMappings"):
        if isinstance(disk, dict) and not present(disk.get("ebs")):
            continue  # the disk of the instance itself, or none
        yield from demand(
            resource, f"{at}.ebs.encrypted", true, "the node's disk would be in plain", "set it to true, with kmsKeyId"
        )


def _switch(property_: str, reason: str) -> Any:
    def rule(resource: Declared, _: Posture) -> Iterator[Violation]:
        yield from demand(resource, property_, true, reason, f"set {property_} to true")

    return rule


def _key(property_: str, reason: str) -> Any:
    def rule(resource: Declared, _: Posture) -> Iterator[Violation]:
        yield from demand(resource, property_, present, reason, _KEY_FIX)

    return rule


def repository(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Images are encrypted with a customer key."""
    yield from demand(
        resource,
        "encryptionConfigurations.0.encryptionType",
        lambda value: value in ("KMS", "KMS_DSSE"),
        "images would not be encrypted with a key of this account",
        "set it to KMS and kmsKey to the environment's key",
    )


def cluster_secrets(resource: Declared, _: Posture) -> Iterator[Violation]:
    """Kubernetes secrets are encrypted with a customer key."""
    yield from demand(
        resource,
        "encryptionConfig.resources",
        lambda value: value is not None and "secrets" in value,
        "Kubernetes secrets would not be encrypted with a key of this account",
        'set it to ["secrets"] and provider.keyArn to the environment\'s key',
    )
    if present(resource.at("encryptionConfig")):
        yield from demand(
            resource, "encryptionConfig.provider.keyArn", present, "it names no key to encrypt with", _KEY_FIX
        )


RULES = (
    Rule(name="bucket-encrypted", about="Buckets are encrypted", types=frozenset({BUCKET_ENCRYPTION}), check=bucket),
    Rule(
        name="node-disk-encrypted",
        about="Disks of nodes are encrypted",
        types=frozenset({"aws:ec2/launchTemplate:LaunchTemplate"}),
        check=launch_template,
    ),
    Rule(
        name="volume-encrypted",
        about="Volumes and file systems are encrypted",
        types=frozenset({"aws:ebs/volume:Volume", "aws:efs/fileSystem:FileSystem"}),
        check=_switch("encrypted", "what is on it would be in plain"),
    ),
    Rule(
        name="database-encrypted",
        about="Databases are encrypted",
        types=frozenset({"aws:rds/instance:Instance", "aws:rds/cluster:Cluster"}),
        check=_switch("storageEncrypted", "the database and its backups would be in plain"),
    ),
    Rule(
        name="images-encrypted",
        about="Images are encrypted",
        types=frozenset({"aws:ecr/repository:Repository"}),
        check=repository,
    ),
    Rule(
        name="logs-encrypted",
        about="Logs are encrypted",
        types=frozenset({"aws:cloudwatch/logGroup:LogGroup"}),
        check=_key("kmsKeyId", "the logs would not be encrypted with a key of this account"),
    ),
    Rule(
        name="topic-encrypted",
        about="Topics are encrypted",
        types=frozenset({"aws:sns/topic:Topic"}),
        check=_key("kmsMasterKeyId", "messages would wait in plain"),
    ),
    Rule(
        name="cluster-secrets-encrypted",
        about="Kubernetes secrets are encrypted",
        types=frozenset({"aws:eks/cluster:Cluster"}),
        check=cluster_secrets,
    ),
    Rule(
        name="key-rotates",
        about="Keys rotate",
        types=frozenset({"aws:kms/key:Key"}),
        check=_switch("enableKeyRotation", "one key would encrypt for ever"),
    ),
)
