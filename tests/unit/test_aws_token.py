"""Tokens for EKS without AWS's command line: what is signed, how long it holds, and what is said without keys."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.aws import token
from infra.aws.token import NoToken
from stacks import cli

ROOT = Path(__file__).parents[2]
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CLUSTER, REGION = "slipway-prod-cluster", "eu-central-1"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Static keys and nothing else of this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def url_of(made: str) -> str:
    assert made.startswith("k8s-aws-v1.")
    text = made.removeprefix("k8s-aws-v1.")
    assert "=" not in text, "the authenticator takes no padding"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def signature(cluster: str, asked: dict[str, list[str]]) -> str:
    """Return the signature of the same request, made anew by the public signer at the same second."""
    request = AWSRequest(
        method="GET",
        url=f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={"x-k8s-aws-id": cluster},
    )
    request.context["timestamp"] = asked["X-Amz-Date"][0]
    signer = SigV4QueryAuth(Credentials(KEY, SECRET), "sts", REGION, expires=60)
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


def test_a_token_is_the_signed_question_who_is_asking_bound_to_one_cluster() -> None:
    url = urlsplit(url_of(token.token(CLUSTER, REGION)))
    asked = parse_qs(url.query)
    assert (url.scheme, url.netloc, url.path) == ("https", f"sts.{REGION}.amazonaws.com", "/")
    assert asked["Action"] == ["GetCallerIdentity"]
    assert asked["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert asked["X-Amz-Expires"] == ["60"]
    assert asked["X-Amz-Credential"][0].startswith(f"{KEY}/")
    assert "X-Amz-Security-Token" not in asked


def test_the_signature_is_that_of_the_cluster_and_of_no_other() -> None:
    asked = parse_qs(urlsplit(token.presigned_url(CLUSTER, REGION)).query)
    assert asked["X-Amz-Signature"] == [signature(CLUSTER, asked)]
    assert asked["X-Amz-Signature"] != [signature("another", asked)], "the control: the name is signed"


def test_a_session_token_goes_with_temporary_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "temporary")
    asked = parse_qs(urlsplit(token.presigned_url(CLUSTER, REGION)).query)
    assert asked["X-Amz-Security-Token"] == ["temporary"]


def test_the_credential_is_what_clients_read_and_expires_before_eks_refuses_it() -> None:
    now = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
    made = token.credential(CLUSTER, REGION, now)
    assert (made["apiVersion"], made["kind"]) == ("client.authentication.k8s.io/v1", "ExecCredential")
    assert made["status"]["expirationTimestamp"] == "2026-11-24T12:14:00Z"
    assert made["status"]["token"].startswith(token.PREFIX)


def test_profiles_and_moved_endpoints_are_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_PROFILE", "team")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:5000")
    url = urlsplit(token.presigned_url(CLUSTER, REGION))
    assert url.netloc == "127.0.0.1:5000"
    assert parse_qs(url.query)["X-Amz-Credential"][0].startswith("AKIDTEAM/")


def test_without_credentials_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NoToken, match="set AWS_PROFILE"):
        token.token(CLUSTER, REGION)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(NoToken, match="nobody"):
        token.token(CLUSTER, REGION)


def test_the_command_prints_the_credential_and_one_line_when_it_cannot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eks-token", "--cluster", CLUSTER, "--region", REGION]
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert urlsplit(url_of(printed["status"]["token"])).netloc == f"sts.{REGION}.amazonaws.com"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert "slipway: no AWS credentials" in str(ended.value.code)


def test_the_command_line_does_not_wait_for_the_sdk_of_a_cloud() -> None:
    code = "import sys, stacks.cli; print(*sorted(name for name in sys.modules if name.startswith('boto')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
    assert botocore.session.__name__.startswith("boto"), "the control: it is installed"
