"""The artifact bucket: closed, encrypted, versioned; what expires, and what a destroy leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pulumi import Output, ResourceOptions

from components.aws.artifact_store import CHECKPOINTS, DATA, MLFLOW, ArtifactBucket, ArtifactBucketArgs, lifecycle_rules
from tests.components.aws_blocks import KEY, NAMES, OTHER, assert_well_formed, on_aws, statements
from tests.mock_engine import Engine, Registration

ARGS = ArtifactBucketArgs(names=NAMES, key=KEY, retain=False, protect=False)
NAME = "slipway-prod-artifacts-123456789012-eu-central-1"


def made(args: ArtifactBucketArgs) -> Callable[[ResourceOptions], ArtifactBucket]:
    return lambda opts: ArtifactBucket("artifacts", args, opts)


@pytest.fixture(scope="module")
def store() -> Engine:
    return on_aws(made(ARGS))


def one(engine: Engine, kind: str) -> Registration:
    return engine.one(f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}")


def test_a_bucket_is_the_same_in_a_preview_and_twice() -> None:
    assert_well_formed(made(ARGS))


def test_nothing_in_it_can_be_made_public(store: Engine) -> None:
    block = one(store, "BucketPublicAccessBlock").inputs
    switches = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert {key: block[key] for key in switches} == dict.fromkeys(switches, True)
    assert one(store, "BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_every_setting_is_on_the_one_bucket(store: Engine) -> None:
    settings = [
        item
        for item in store.registrations
        if item.type.startswith("aws:s3/bucket") and item.name != "artifacts-bucket"
    ]
    assert len(settings) == 6
    assert {item.inputs["bucket"] for item in settings} == {"artifacts-bucket-id"}
    assert one(store, "Bucket").inputs["bucket"] == NAME


def test_everything_is_encrypted_with_the_environment_s_key(store: Engine) -> None:
    (rule,) = one(store, "BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}
    assert rule["bucketKeyEnabled"] is True, "each checkpoint file would be a call to KMS"
    assert rule["blockedEncryptionTypes"] == ["SSE-C"], "nobody else could read what a client's own key encrypts"


def test_only_tls_from_1_2_on_is_let_in(store: Engine) -> None:
    found = statements(one(store, "BucketPolicy"))
    assert {statement["Effect"] for statement in found.values()} == {"Deny"}, "rights are the roles' matter"
    for statement in found.values():
        assert (statement["Principal"], statement["Action"]) == ("*", "s3:*")
        assert statement["Resource"] == [f"arn:aws:s3:::{NAME}", f"arn:aws:s3:::{NAME}/*"]
    assert found["TLSOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert found["TLS12"]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}


def test_versions_are_kept_and_their_rules_come_after_versioning(store: Engine) -> None:
    assert one(store, "BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert "artifacts-versioning" in one(store, "BucketLifecycleConfiguration").dependencies
    assert "artifacts-public-access-block" in one(store, "BucketPolicy").dependencies, "S3 aborts one of two at once"
    assert "artifacts-ownership" in one(store, "BucketPublicAccessBlock").dependencies


def expires_after(rules: list[dict[str, Any]], key: str) -> int | None:
    """When a current object goes, read from the rules as S3 reads them."""
    days = [
        rule["expiration"]["days"]
        for rule in rules
        if rule["status"] == "Enabled"
        and key.startswith(rule["filter"]["prefix"])
        and "days" in rule.get("expiration", {})
    ]
    return min(days, default=None)


def test_checkpoints_expire_and_models_and_data_never_do(store: Engine) -> None:
    rules = one(store, "BucketLifecycleConfiguration").inputs["rules"]
    assert expires_after(rules, f"{CHECKPOINTS}/run/1") == 14
    assert expires_after(rules, f"{MLFLOW}/models/1") is None
    assert expires_after(rules, f"{DATA}/set.parquet") is None
    assert expires_after(rules, "anything") is None
    assert expires_after(lifecycle_rules(3, 90), f"{CHECKPOINTS}/run/1") == 3


def test_old_versions_and_unfinished_uploads_go_everywhere(store: Engine) -> None:
    rules = {rule["id"]: rule for rule in one(store, "BucketLifecycleConfiguration").inputs["rules"]}
    everywhere = {rule["filter"]["prefix"] for rule in (rules["old-versions"], rules["unfinished-uploads"])}
    assert everywhere == {""}
    assert rules["old-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert rules["unfinished-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert rules["checkpoints"]["noncurrentVersionExpiration"] == {"noncurrentDays": 1}, (
        "or they would cost for 90 more"
    )


def test_a_store_of_an_ephemeral_environment_goes_with_everything_in_it(store: Engine) -> None:
    assert one(store, "Bucket").inputs["forceDestroy"] is True
    assert not any(item.retain or item.protect for item in store.registrations)


def test_a_kept_store_keeps_its_settings_too() -> None:
    engine = on_aws(made(replace(ARGS, retain=True)))
    buckets = [item for item in engine.registrations if item.type.startswith("aws:s3/")]
    assert len(buckets) == 7
    assert all(item.retain for item in buckets), "it would be left open, unversioned and without a policy"
    assert not one(engine, "Bucket").inputs.get("forceDestroy")


def test_a_protected_store_is_not_emptied_either() -> None:
    engine = on_aws(made(replace(ARGS, protect=True)))
    assert {item.name for item in engine.registrations if item.protect} == {"artifacts-bucket"}
    assert not one(engine, "Bucket").inputs.get("forceDestroy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint_days": 0}, "checkpoint_days is 0: a lifecycle rule counts whole days"),
        ({"checkpoint_days": 0, "noncurrent_days": -1}, "checkpoint_days is 0.*noncurrent_days is -1"),
    ],
)
def test_days_that_s3_refuses_are_refused_all_at_once(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        on_aws(made(replace(ARGS, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize("preview", [True, False])
def test_name_and_uri_are_known_in_a_preview_already(preview: bool) -> None:  # noqa: FBT001 - a case
    seen: dict[str, Any] = {}

    def make(opts: ResourceOptions) -> None:
        store = ArtifactBucket("artifacts", ARGS, opts)
        seen["ready"] = {resource._name for resource in store.ready}
        Output.all(store.bucket, store.arn, store.uri).apply(lambda values: seen.update(values=values))

    on_aws(make, preview=preview)
    assert seen["values"] == [NAME, f"arn:aws:s3:::{NAME}", f"s3://{NAME}/mlflow"]
    assert {"artifacts-bucket", "artifacts-policy", "artifacts-encryption"} <= seen["ready"], "no object before these"


def test_two_stacks_have_two_buckets() -> None:
    assert one(on_aws(made(replace(ARGS, names=OTHER))), "Bucket").inputs["bucket"] != NAME
