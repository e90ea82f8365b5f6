"""The one AWS provider of an environment: account, region, tags; and how a preview goes without any account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC

import pulumi_aws as aws
from pulumi import ResourceOptions
from pulumi.runtime import is_dry_run

from components.limits import LifetimeSettings
from components.seam import GroundSpec, Place
from components.settings import SettingError
from infra.aws.ownership import owned_by
from infra.aws.settings import AwsConfig

OFFLINE = "SLIPWAY_OFFLINE"
"""Set by the command in a preview that needs neither network nor credentials."""
_SERVICES = (
    *("autoscaling", "budgets", "ec2", "ecr", "eks", "iam", "kms", "logs", "rds", "s3", "s3control"),
    *("secretsmanager", "sns", "sts"),
)
"""Those that `components.aws` calls; `substrate.endpoint_url` moves them all."""


def offline() -> bool:
    """Whether this preview must reach nothing."""
    return bool(os.environ.get(OFFLINE))


def tags(place: Place, config: AwsConfig, asked: GroundSpec) -> dict[str, str]:
    """Return the tags of everything in the environment: whose it is, who pays, and when it ends."""
    found = owned_by(place)
    if config.owner is not None:
        found["slipway:owner"] = config.owner
    if config.cost_centre is not None:
        found["slipway:cost-centre"] = config.cost_centre
    if asked.lifetime is not None:
        found["slipway:expires-at"] = _end(place, asked.lifetime)
    return found


def _end(place: Place, lifetime: LifetimeSettings) -> str:
    """Return when an ephemeral environment ends; the template of such environments has no end, and only previews."""
    if lifetime.expires_at is not None:
        return lifetime.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not is_dry_run():
        raise SettingError(
            "slipway:lifetime.expires_at is not set: this stack is a template. Make an environment of it by: "
            f"./pulumiw stack init NAME --copy-config-from {place.stack}; or give it an end by: ./pulumiw config set "
            "--path slipway:lifetime.expires_at 2027-01-31T18:00:00Z"
        )
    return f"{lifetime.hours:g} hours after it is made"


def provider(config: AwsConfig, default_tags: Mapping[str, str], opts: ResourceOptions) -> aws.Provider:
    """Declare the provider.

    Online it takes the credentials of whoever runs it, and refuses those of another account.  Offline it has none:
    the placeholders are sent nowhere.
    """
    tagged = aws.ProviderDefaultTagsArgs(tags=dict(default_tags))
    if offline():
        return aws.Provider(
            "aws",
            region=config.region,
            access_key="offline",
            secret_key="offline",  # noqa: S106
            skip_credentials_validation=True,
            skip_metadata_api_check=True,
            skip_region_validation=True,
            skip_requesting_account_id=True,
            default_tags=tagged,
            opts=opts,
        )
    if config.endpoint_url is not None:
        return aws.Provider(
            "aws",
            region=config.region,
            allowed_account_ids=[config.account],
            endpoints=[aws.ProviderEndpointArgs(**dict.fromkeys(_SERVICES, config.endpoint_url))],
            s3_use_path_style=True,
            skip_metadata_api_check=True,
            default_tags=tagged,
            opts=opts,
        )
    return aws.Provider(
        "aws", region=config.region, allowed_account_ids=[config.account], default_tags=tagged, opts=opts
    )
