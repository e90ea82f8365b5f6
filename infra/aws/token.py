"""Tokens for the API server of an EKS cluster, made here: nobody has to install AWS's own command line.

A token is a signed request for the caller's identity that the cluster sends on to STS.  It is made from whatever
credentials botocore finds, without a call to AWS unless those credentials themselves need one (SSO, an assumed role).
Nothing here is written to disk.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from components.settings import SettingError

API_VERSION = "client.authentication.k8s.io/v1"
PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
"""Signed with the request, so that a token for one cluster is none for another."""
URL_LIFETIME_S = 60
TOKEN_LIFETIME = timedelta(minutes=14)
"""EKS takes a token for 15 minutes after it was signed; a minute less, so that none expires on its way."""
_PARAMETER = "SlipwayClusterName"


class NoToken(SettingError):
    """No token can be made; the text says why and what to do."""


def credential(cluster: str, region: str, now: datetime | None = None) -> dict[str, Any]:
    """Return the ExecCredential for a cluster, as kubectl and other clients read it from a plugin.

    Raises:
        NoToken: there are no usable credentials.
    """
    expires = (now or datetime.now(UTC)) + TOKEN_LIFETIME
    return {
        "apiVersion": API_VERSION,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
        "status": {
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "token": token(cluster, region),
        },
    }


def token(cluster: str, region: str) -> str:
    """Return a token for a cluster.

    Raises:
        NoToken: there are no usable credentials.
    """
    url = base64.urlsafe_b64encode(presigned_url(cluster, region).encode()).decode()
    return PREFIX + url.rstrip("=")


def presigned_url(cluster: str, region: str) -> str:
    """Return the signed request: GetCallerIdentity at the region's STS, bound to the cluster's name.

    Raises:
        NoToken: there are no usable credentials.
    """
    import botocore.session  # noqa: PLC0415  the rest of `slipway` does not wait for it
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415

    try:
        client = botocore.session.Session().create_client("sts", region_name=region)
        client.meta.events.register("provide-client-params.sts.GetCallerIdentity", _take_cluster)
        client.meta.events.register("before-sign.sts.GetCallerIdentity", _sign_cluster)
        signed: str = client.generate_presigned_url(
            "get_caller_identity", Params={_PARAMETER: cluster}, ExpiresIn=URL_LIFETIME_S, HttpMethod="GET"
        )
    except NoCredentialsError:
        raise NoToken(
            f"no AWS credentials for a token of the cluster {cluster}: set AWS_PROFILE (and log in: aws sso login), "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    except (BotoCoreError, ClientError, ValueError) as error:
        raise NoToken(f"no token of the cluster {cluster} in {region}: {error}") from None
    return signed


def _take_cluster(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Take the cluster's name out of the parameters, where botocore's model does not know it."""
    if _PARAMETER in params:
        context[_PARAMETER] = params.pop(_PARAMETER)


def _sign_cluster(request: Any, **_: Any) -> None:
    context: Mapping[str, Any] = request.context
    if _PARAMETER in context:
        request.headers[CLUSTER_HEADER] = context[_PARAMETER]
