"""Who presigned a URL: checks AWS's signature, in the query, against the keys that this account has given out."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from tests.standins.aws_server.world import ACCOUNT, CREATOR, STATIC_KEY

FORM = "%Y%m%dT%H%M%SZ"
SKEW = timedelta(minutes=5)
LIFETIME = timedelta(minutes=15)
"""STS takes a signature for as long, whatever X-Amz-Expires says of it."""


class Unsigned(Exception):
    """The URL proves nothing, and why."""


@dataclass(frozen=True)
class Caller:
    """Whom a valid signature names."""

    arn: str
    """Of the caller: of an assumed role's session, or of a user."""
    principal: str
    """Of the role or user, as access entries name it."""
    session: str
    user_id: str


def caller(url: str, headers: Mapping[str, str], at: datetime | None = None) -> Caller:
    """Return who presigned a URL with these headers; raises what is wrong with the signature."""
    query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
    missing = [
        key
        for key in ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")
        if key not in query
    ]
    if missing:
        raise Unsigned(f"the URL has no {', '.join(missing)}")
    signed = query["X-Amz-SignedHeaders"].split(";")
    if unsigned := [name for name in ("host", *(key.lower() for key in headers)) if name not in signed]:
        raise Unsigned(f"{', '.join(unsigned)} is not among the signed headers {signed}")
    when = _date(query["X-Amz-Date"])
    moment = at or datetime.now(UTC)
    if when - moment > SKEW:
        raise Unsigned(f"signed in the future, at {when:%H:%M:%S}")
    if moment > when + LIFETIME:
        raise Unsigned(f"expired: signed at {when:%H:%M:%S}, more than {LIFETIME} ago")
    key, _, region, service, _ = query["X-Amz-Credential"].rsplit("/", 4)
    credentials, found = _known(key, query.get("X-Amz-Security-Token"))
    expected = _signature(url, headers, credentials, region, service, query["X-Amz-Date"])
    if not hmac.compare_digest(expected, query["X-Amz-Signature"]):
        raise Unsigned("the signature does not match the URL and its headers")
    return found


def holder(key: str) -> str:
    """Return the principal that an access key belongs to; a key that nobody was given is the administrator's."""
    for role in sts_backends[ACCOUNT]["aws"].assumed_roles:
        if role.access_key_id == key:
            return str(role.role_arn)
    for user in iam_backends[ACCOUNT]["aws"].users.values():
        if key in [held.access_key_id for held in user.access_keys]:
            return str(user.arn)
    return CREATOR


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, FORM).replace(tzinfo=UTC)
    except ValueError as error:
        raise Unsigned(f"X-Amz-Date {text!r} is no date") from error


def _known(key: str, token: str | None) -> tuple[Credentials, Caller]:
    if key == STATIC_KEY and token is None:
        return Credentials(STATIC_KEY, STATIC_KEY), Caller(CREATOR, CREATOR, "", "AIDAADMINISTRATOR")
    for role in sts_backends[ACCOUNT]["aws"].assumed_roles:
        if role.access_key_id == key and role.session_token == token:
            return Credentials(key, role.secret_access_key, token), Caller(
                role.arn, role.role_arn, role.session_name, role.user_id
            )
    for user in iam_backends[ACCOUNT]["aws"].users.values():
        for held in user.access_keys:
            if held.access_key_id == key and held.status == "Active" and token is None:
                return Credentials(key, held.secret_access_key), Caller(user.arn, user.arn, "", user.id)
    raise Unsigned(f"the security token is not valid: key {key} is not one of this account")


def _signature(
    url: str, headers: Mapping[str, str], credentials: Credentials, region: str, service: str, date: str
) -> str:
    """Sign the same request again, as of the same time."""
    parts = urlsplit(url)
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    params.pop("X-Amz-Signature")
    request = AWSRequest("GET", f"{parts.scheme}://{parts.netloc}{parts.path or '/'}", dict(headers), params=params)
    request.context["timestamp"] = date
    auth = SigV4QueryAuth(credentials, service, region)
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
