"""EKS's authenticator: the webhook that an API server asks whose a bearer token is, by a TokenReview."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.standins.aws_server.eks.access import ADMIN
from tests.standins.aws_server.eks.state import ClusterState
from tests.standins.aws_server.signature import Caller, Unsigned, caller
from tests.standins.aws_server.world import ACCOUNT

PREFIX = "k8s-aws-v1."
HEADER = "x-k8s-aws-id"
LONGEST_S = 900
MASTERS = "system:masters"


class Denied(Exception):
    """Why a token is nobody's."""


def review(body: Any, cluster: ClusterState | None, hosts: frozenset[str]) -> dict[str, Any]:
    """Answer a TokenReview for a cluster; `hosts` are where its tokens may be for."""
    status: dict[str, Any] = {"authenticated": False}
    version = body.get("apiVersion", "authentication.k8s.io/v1") if isinstance(body, dict) else ""
    try:
        status = {"authenticated": True, "user": _user(body["spec"]["token"], cluster, hosts)}
    except (Denied, Unsigned) as denied:
        status["error"] = str(denied)
    except (KeyError, TypeError):
        status["error"] = "the body is no TokenReview: spec.token is missing"
    return {"apiVersion": version, "kind": "TokenReview", "status": status}


def _user(token: str, cluster: ClusterState | None, hosts: frozenset[str]) -> dict[str, Any]:
    if cluster is None:
        raise Denied("no such cluster")
    url = _url(token, hosts)
    found = caller(url, {HEADER: cluster.view["name"]})
    entry = cluster.entries.get(found.principal)
    if entry is None:
        raise Denied(f"{found.arn} has no access entry in {cluster.view['name']}")
    groups = list(entry.view["kubernetesGroups"])
    held = cluster.policies.get(found.principal, {}).get(ADMIN)
    if held and held["accessScope"]["type"] == "cluster":
        groups.append(MASTERS)
    return {
        "username": _filled(entry.view["username"], found),
        "uid": f"aws-iam-authenticator:{ACCOUNT}:{found.user_id.partition(':')[0]}",
        "groups": groups,
        "extra": {"arn": [found.arn], "canonicalArn": [found.principal], "sessionName": [found.session]},
    }


def _filled(name: str, found: Caller) -> str:
    """Fill in the one template that names of sessions have; `@` is not allowed in what becomes part of a name."""
    return name.replace("{{SessionName}}", found.session.replace("@", "-")).replace("{{AccountID}}", ACCOUNT)


def _url(token: str, hosts: frozenset[str]) -> str:
    """Return the URL in a token when it is a GetCallerIdentity of AWS's own STS and nothing else."""
    if not token.startswith(PREFIX):
        raise Denied(f"the token does not begin with {PREFIX}")
    text = token.removeprefix(PREFIX)
    try:
        url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        parts = urlsplit(url)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Denied("the token is not a URL in base64") from error
    if parts.netloc not in hosts:
        raise Denied(f"unexpected hostname {parts.netloc!r} in the pre-signed URL")
    if parts.scheme != ("http" if parts.port else "https") or parts.path not in ("", "/"):
        raise Denied(f"unexpected scheme or path in the pre-signed URL: {parts.scheme} {parts.path}")
    query = parse_qs(parts.query)
    if any(len(values) > 1 for values in query.values()):
        raise Denied("a parameter of the pre-signed URL is given twice")
    if query.get("Action") != ["GetCallerIdentity"]:
        raise Denied(f"unexpected action {query.get('Action')} in the pre-signed URL")
    expires = query.get("X-Amz-Expires", [""])[0]
    if not expires.isdigit() or int(expires) > LONGEST_S:
        raise Denied(f"the pre-signed URL is valid for {expires or 'ever'}: at most {LONGEST_S} s")
    return url
