"""Where artifacts lie: an S3-compatible bucket that exists, or one volume in the namespace."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, cast

from pulumi import Output, Resource, ResourceOptions

from components.kubernetes.manifest import declare
from components.seam import StoreHandle, StoreSpec
from components.settings import SettingError
from infra.kubernetes.names import STORE_FOLDER, STORE_SECRET, Context, Storage
from infra.kubernetes.settings import STORE_CREDENTIALS

CLAIM = "artifacts"
_CHECKPOINTS = "checkpoints"
_FIELDS = {"access_key_id": "AWS_ACCESS_KEY_ID", "secret_access_key": "AWS_SECRET_ACCESS_KEY"}
_REGION = "us-east-1"
"""What clients sign with where a store has no regions."""


@dataclass(frozen=True, kw_only=True)
class Provided:
    """The store, as the seam sees it and as pods reach it."""

    handle: StoreHandle
    storage: Storage


def provide(context: Context, name: str, spec: StoreSpec, opts: ResourceOptions) -> Provided:
    """Take the bucket that the config names, or make the volume."""
    storage = _volume(context, name, opts) if spec.uri is None else _bucket(context, name, spec.uri, spec, opts)
    handle = StoreHandle(uri=Output.from_input(storage.uri), environment=storage.environment)
    return Provided(handle=handle, storage=storage)


def _bucket(context: Context, name: str, uri: str, spec: StoreSpec, opts: ResourceOptions) -> Storage:
    environment: dict[str, str] = {}
    if spec.endpoint is not None:
        # MLflow reads the first, boto3 and Ray's clients the second
        environment = {
            "MLFLOW_S3_ENDPOINT_URL": spec.endpoint,
            "AWS_ENDPOINT_URL": spec.endpoint,
            "AWS_DEFAULT_REGION": _REGION,
        }
    made = credentials(context, f"{name}-credentials", opts)
    place: Output[str] = Output.from_input(uri) if made is None else _once(made, uri)
    return Storage(
        uri=place,
        checkpoints=place.apply(lambda there: f"{there.rstrip('/')}/{_CHECKPOINTS}"),
        environment=environment,
        secret=context.config.store_secret if made is None else STORE_SECRET,
        claim=None,
    )


def with_credentials(context: Context, store: Storage) -> Storage:
    """Return `store` with the credentials of the stack file, where there are any; else pods have their own identity.

    On a cluster that was made, their Secret is there before the first workload.
    """
    return replace(store, secret=STORE_SECRET) if STORE_CREDENTIALS in context.place.secrets else store


def _once(made: Resource, uri: str) -> Output[str]:
    """Return `uri`, which whoever reads it needs `made` for: destroy takes the reader first."""
    return Output.from_input(cast("Any", made).metadata).apply(lambda _: uri)


def credentials(context: Context, name: str, opts: ResourceOptions) -> Resource | None:
    """Make the Secret with the credentials of the stack file; they are encrypted in Pulumi's state too."""
    encrypted = context.place.secrets.get(STORE_CREDENTIALS)
    if encrypted is None:
        return None
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": context.metadata(STORE_SECRET),
        "type": "Opaque",
        "stringData": encrypted.apply(_key_pair),
    }
    return declare(name, manifest, context.child(opts))


def _key_pair(text: str) -> dict[str, str]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or set(given) != set(_FIELDS):
        raise SettingError(
            f"slipway:{STORE_CREDENTIALS} must be the JSON object {{{', '.join(_FIELDS)}}}. Set it by: "
            f"./pulumiw config set --secret slipway:{STORE_CREDENTIALS} "
            '\'{"access_key_id": "...", "secret_access_key": "..."}\''
        )
    return {variable: str(given[field]) for field, variable in _FIELDS.items()}


def _volume(context: Context, name: str, opts: ResourceOptions) -> Storage:
    settings = context.config.volume
    if settings is None:
        raise SettingError("slipway:artifacts.uri is not set, and neither is slipway:substrate.volume")
    volume = declare(f"{name}-volume", claim(context, CLAIM, settings.size), context.child(opts))
    return Storage(
        uri=_once(volume, f"{STORE_FOLDER}/mlflow"),
        # a URI tells training that it outlives the pod, so that it keeps checkpoints there
        checkpoints=_once(volume, f"file://{STORE_FOLDER}/{_CHECKPOINTS}"),
        environment={},
        secret=None,
        claim=CLAIM,
    )


def claim(context: Context, name: str, size: str) -> dict[str, object]:
    """Return the claim of a volume; it is bound when its first pod is, so nothing waits for it here."""
    class_name = context.config.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": context.metadata(name, annotations={"pulumi.com/skipAwait": "true"}),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **({} if class_name is None else {"storageClassName": class_name}),
        },
    }
