"""S3: a bucket, and each part of its configuration as a resource of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from tests.standins.aws_plugin.api import ApiError
from tests.standins.aws_plugin.fields import F, Fields, Values
from tests.standins.aws_plugin.row import Row, Tagging, Work
from tests.standins.aws_plugin.tagging import from_pairs, pairs

_SOURCE = "internal/service/s3/"


def _read_tags(work: Work, _: Values) -> Mapping[str, str]:
    try:
        return from_pairs(work.call("get_bucket_tagging", Bucket=work.id)["TagSet"])
    except ApiError as error:
        if error.code == "NoSuchTagSet":
            return {}
        raise


def _change_tags(work: Work, added: Mapping[str, str], removed: Collection[str]) -> None:
    """S3 takes all tags at once; those of AWS itself stay."""
    kept = {key: value for key, value in _read_tags(work, {}).items() if key not in removed}
    tags = {**kept, **added}
    if tags:
        work.call("put_bucket_tagging", Bucket=work.id, Tagging={"TagSet": pairs(tags)})
    else:
        work.call("delete_bucket_tagging", Bucket=work.id)


def _create_bucket(work: Work) -> str:
    place = {} if work.region == "us-east-1" else {"LocationConstraint": work.region}
    params = {"CreateBucketConfiguration": place} if place else {}
    work.call("create_bucket", **work.params("bucket", "objectLockEnabled"), **params)
    return str(work.value("bucket"))


def _read_bucket(work: Work) -> Values:
    work.call("head_bucket", Bucket=work.id)
    return {"Bucket": work.id}


def _delete_bucket(work: Work) -> None:
    if work.old.get("forceDestroy"):
        _empty(work)
    work.call("delete_bucket", Bucket=work.id)


def _empty(work: Work) -> None:
    while True:
        page = work.call("list_object_versions", Bucket=work.id)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            return
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        work.call("delete_objects", Bucket=work.id, Delete={"Objects": objects, "Quiet": True})


BUCKET = Row(
    token="aws:s3/bucket:Bucket",
    service="s3",
    source=_SOURCE + "bucket.go",
    fields={
        "bucket": F(new=True),
        "forceDestroy": F(local=True, default=False),
        "objectLockEnabled": F(api="ObjectLockEnabledForBucket", new=True, computed=True, once=True),
    },
    computed={
        "arn": lambda work, _: f"arn:{work.partition}:s3:::{work.id}",
        "bucketDomainName": lambda work, _: f"{work.id}.s3.amazonaws.com",
        "bucketRegionalDomainName": lambda work, _: f"{work.id}.s3.{work.region}.amazonaws.com",
        "bucketRegion": lambda work, _: work.region,
    },
    create=_create_bucket,
    read=_read_bucket,
    delete=_delete_bucket,
    tagging=Tagging(given=None, read=_read_tags, change=_change_tags),
    name_field="bucket",
    names_itself=False,
)


def _side(
    name: str,
    fields: Fields,
    *,
    put: str,
    get: str,
    delete: Callable[[Work], Any] | str,
    read: Callable[[Values], Values] = lambda found: found,
) -> Row:
    """Return the row of one setting of a bucket: put as a whole, and its id is the bucket's name."""

    def write(work: Work) -> str:
        work.call(put, **work.all_but())
        return str(work.value("bucket"))

    kind = f"bucket{name}"
    gone = delete if callable(delete) else (lambda work: work.call(delete, Bucket=work.id))
    return Row(
        token=f"aws:s3/{kind}:{kind[:1].upper()}{kind[1:]}",
        service="s3",
        source=f"{_SOURCE}bucket_{'_'.join(put.split('_')[2:])}.go",
        fields={"bucket": F(new=True, required=True), **fields},
        create=write,
        read=lambda work: {**read(work.call(get, Bucket=work.id)), "Bucket": work.id},
        update=write,
        delete=gone,
    )


def _block(name: str) -> F:
    return F(api=f"PublicAccessBlockConfiguration.{name}", default=False)


PUBLIC_ACCESS_BLOCK = _side(
    "PublicAccessBlock",
    {
        "blockPublicAcls": _block("BlockPublicAcls"),
        "blockPublicPolicy": _block("BlockPublicPolicy"),
        "ignorePublicAcls": _block("IgnorePublicAcls"),
        "restrictPublicBuckets": _block("RestrictPublicBuckets"),
    },
    put="put_public_access_block",
    get="get_public_access_block",
    delete="delete_public_access_block",
)

OWNERSHIP_CONTROLS = _side(
    "OwnershipControls",
    {
        "rule": F(
            api="OwnershipControls.Rules",
            required=True,
            sub={"objectOwnership": F(required=True)},
            to=lambda rule: [{"ObjectOwnership": rule["objectOwnership"]}],
            back=lambda rules: {"objectOwnership": rules[0]["ObjectOwnership"]},
        )
    },
    put="put_bucket_ownership_controls",
    get="get_bucket_ownership_controls",
    delete="delete_bucket_ownership_controls",
)


def _suspend(work: Work) -> None:
    """Versions cannot be switched off again: the official plugin suspends them."""
    if (work.old.get("versioningConfiguration") or {}).get("status") == "Enabled":
        work.call("put_bucket_versioning", Bucket=work.id, VersioningConfiguration={"Status": "Suspended"})


VERSIONING = _side(
    "Versioning",
    {"versioningConfiguration": F(required=True, sub={"status": F(required=True)})},
    put="put_bucket_versioning",
    get="get_bucket_versioning",
    delete=_suspend,
    read=lambda found: {"VersioningConfiguration": found},
)

ENCRYPTION = _side(
    "ServerSideEncryptionConfiguration",
    {
        "rules": F(
            api="ServerSideEncryptionConfiguration.Rules",
            required=True,
            many=True,
            sub={
                "applyServerSideEncryptionByDefault": F(
                    sub={
                        "sseAlgorithm": F(api="SSEAlgorithm", required=True),
                        "kmsMasterKeyId": F(api="KMSMasterKeyID"),
                    }
                ),
                "bucketKeyEnabled": F(),
                "blockedEncryptionTypes": F(api="BlockedEncryptionTypes.EncryptionType", unordered=True),
            },
        )
    },
    put="put_bucket_encryption",
    get="get_bucket_encryption",
    delete="delete_bucket_encryption",
)

LIFECYCLE = _side(
    "LifecycleConfiguration",
    {
        "rules": F(
            api="LifecycleConfiguration.Rules",
            required=True,
            many=True,
            sub={
                "id": F(api="ID", required=True),
                "status": F(required=True),
                "filter": F(sub={"prefix": F()}),
                "expiration": F(sub={"days": F(), "expiredObjectDeleteMarker": F()}),
                "abortIncompleteMultipartUpload": F(sub={"daysAfterInitiation": F()}),
                "noncurrentVersionExpiration": F(sub={"noncurrentDays": F()}),
                "transitions": F(many=True, unordered=True, sub={"days": F(), "storageClass": F()}),
            },
        ),
        "transitionDefaultMinimumObjectSize": F(computed=True),
    },
    put="put_bucket_lifecycle_configuration",
    get="get_bucket_lifecycle_configuration",
    delete="delete_bucket_lifecycle",
    read=lambda found: {**found, "LifecycleConfiguration": {"Rules": found["Rules"]}},
)

POLICY = _side(
    "Policy",
    {"policy": F(text=True, required=True)},
    put="put_bucket_policy",
    get="get_bucket_policy",
    delete="delete_bucket_policy",
)

ROWS = (BUCKET, PUBLIC_ACCESS_BLOCK, OWNERSHIP_CONTROLS, VERSIONING, ENCRYPTION, LIFECYCLE, POLICY)
