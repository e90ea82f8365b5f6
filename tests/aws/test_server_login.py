"""Who a bearer token is on the AWS test server: the authenticator that an API server asks."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.aws.account import Account

ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


class Signed(SigV4QueryAuth):  # type: ignore[misc]
    """A signature as of any time."""

    at = datetime.now(UTC)

    def add_auth(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self.at.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


def token(
    cluster: str,
    keys: Credentials,
    at: datetime | None = None,
    host: str = "https://sts.us-east-1.amazonaws.com",
    action: str = "GetCallerIdentity",
    expires: int = 60,
) -> str:
    signer = Signed(keys, "sts", "us-east-1", expires)
    signer.at = at or datetime.now(UTC)
    query = {"Action": action, "Version": "2011-06-15"}
    request = AWSRequest("GET", f"{host}/", headers={"x-k8s-aws-id": cluster} if cluster else {}, params=query)
    signer.add_auth(request)
    return encoded(str(request.url))


def encoded(url: str) -> str:
    return f"k8s-aws-v1.{base64.urlsafe_b64encode(url.encode()).decode().rstrip('=')}"


@pytest.fixture
def person(account: Account) -> tuple[str, Credentials]:
    """A role with a session, and an entry in the cluster for it."""
    account.cluster()
    role = account.role("person", "ec2.amazonaws.com")
    made = account.server.client("sts").assume_role(RoleArn=role, RoleSessionName="ann@example")["Credentials"]
    account.eks.create_access_entry(clusterName=account.name, principalArn=role, kubernetesGroups=["readers"])
    return role, Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def test_a_token_is_the_user_and_the_groups_of_its_access_entry(account: Account, person: Any) -> None:
    role, keys = person

    found = account.server.review(account.name, token(account.name, keys))

    assert found["authenticated"] is True
    assert found["user"]["groups"] == ["readers"]
    assert found["user"]["username"].endswith(f"assumed-role/{role.rpartition('/')[2]}/ann-example")
    assert found["user"]["extra"]["canonicalArn"] == [role]


def test_the_cluster_administrators_policy_is_the_group_that_may_do_everything(account: Account, person: Any) -> None:
    role, keys = person
    named = {"clusterName": account.name, "principalArn": role}

    def groups() -> list[str]:
        found: list[str] = account.server.review(account.name, token(account.name, keys))["user"]["groups"]
        return found

    account.eks.associate_access_policy(
        **named, policyArn=ADMIN, accessScope={"type": "namespace", "namespaces": ["one"]}
    )
    assert groups() == ["readers"]
    account.eks.associate_access_policy(**named, policyArn=ADMIN, accessScope={"type": "cluster"})
    assert groups() == ["readers", "system:masters"]


def test_a_token_that_proves_nothing_is_nobodys(account: Account, person: Any) -> None:
    _, keys = person
    now = datetime.now(UTC)
    stranger = Credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    url = base64.urlsafe_b64decode(token(account.name, keys).removeprefix("k8s-aws-v1.") + "==").decode()
    cases = {
        "does not match": token("another-cluster", keys),
        "is not among the signed headers": token("", keys),
        "expired": token(account.name, keys, at=now - timedelta(minutes=16)),
        "in the future": token(account.name, keys, at=now + timedelta(minutes=10)),
        "unexpected hostname": token(account.name, keys, host="https://sts.evil.example"),
        "unexpected scheme": token(account.name, keys, host="http://sts.us-east-1.amazonaws.com"),
        "unexpected action": token(account.name, keys, action="GetSessionToken"),
        "at most 900 s": token(account.name, keys, expires=3600),
        "not one of this account": token(account.name, stranger),
        "the signature does not match": token(
            account.name, Credentials(keys.access_key, f"{keys.secret_key}x", keys.token)
        ),
        "given twice": encoded(f"{url}&Action=GetCallerIdentity"),
        "the URL has no": encoded("https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&X-Amz-Expires=60"),
        "does not begin": "k8s-aws-v2.x",
        "not a URL in base64": "k8s-aws-v1.__7_",
    }
    for message, given in cases.items():
        found = account.server.review(account.name, given)
        assert found["authenticated"] is False, message
        assert message in found["error"]
    assert account.server.review(account.name, token(account.name, keys))["authenticated"] is True
    assert "no such cluster" in account.server.review("nowhere", token("nowhere", keys))["error"]


def test_a_caller_without_an_access_entry_does_not_get_in(account: Account, person: Any) -> None:
    role, keys = person
    account.eks.delete_access_entry(clusterName=account.name, principalArn=role)
    assert "has no access entry" in account.server.review(account.name, token(account.name, keys))["error"]


def test_a_token_of_the_products_own_making_is_accepted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.aws.token import token as made  # noqa: PLC0415  it reads the environment

    account.cluster(accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True})
    for name, value in account.server.variables.items():
        monkeypatch.setenv(name, value)

    found = account.server.review(account.name, made(account.name, "us-east-1"))

    assert found["user"]["groups"] == ["system:masters"], found


def test_a_joint_test_says_where_the_api_server_of_a_cluster_is(account: Account) -> None:
    account.server.clusters_are_at("https://127.0.0.1:6443", "Y2VydA==")
    try:
        made = account.create()
    finally:
        account.server.clusters_are_at("", "")
    assert (made["endpoint"], made["certificateAuthority"]["data"]) == ("https://127.0.0.1:6443", "Y2VydA==")
