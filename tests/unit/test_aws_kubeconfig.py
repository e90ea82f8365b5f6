"""The way to an EKS cluster: the document for the provider, the file for commands, and how a file is found anew."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pytest
from moto import mock_aws

from infra.aws import access, api, kubeconfig
from infra.aws.api import AwsUnusable
from infra.kubernetes.connection import connect
from tests.mock_engine import run
from tests.unit.fake_cluster import fake_cluster

NAME, REGION = "slipway-prod-cluster", "eu-central-1"
CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def cluster_in_aws(region: str = REGION) -> dict[str, Any]:
    eks = boto3.client("eks", region_name=region)
    made: dict[str, Any] = eks.create_cluster(
        name=NAME, roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": []}, version="1.35"
    )["cluster"]
    return made


def unknown() -> pulumi.Output[str]:
    """Return an output of which a preview knows nothing."""

    def future(value: Any) -> asyncio.Future[Any]:
        made = asyncio.get_event_loop().create_future()
        made.set_result(value)
        return made

    return pulumi.Output(future(set()), future(None), future(False))  # noqa: FBT003


def where(**more: Any) -> dict[str, Any]:
    return {"cluster": NAME, "region": REGION, "kubeconfig": kubeconfig.relative("prod"), **more}


def test_the_document_holds_no_credentials_and_says_how_to_get_some() -> None:
    found = kubeconfig.kubeconfig(NAME, "https://api", CERTIFICATE, REGION)
    assert found["current-context"] == NAME
    assert found["clusters"][0]["cluster"] == {"server": "https://api", "certificate-authority-data": CERTIFICATE}
    plugin = found["users"][0]["user"]["exec"]
    assert [plugin["command"], *plugin["args"]] == ["slipway", "eks-token", "--cluster", NAME, "--region", REGION]
    assert plugin["interactiveMode"] == "Never", "version v1 of the API requires it"
    assert "env" not in plugin
    assert list(found["users"][0]["user"]) == ["exec"]


def test_a_moved_endpoint_is_handed_to_the_plugin() -> None:
    found = kubeconfig.kubeconfig(NAME, "https://api", CERTIFICATE, REGION, endpoint_url="http://127.0.0.1:5000")
    assert found["users"][0]["user"]["exec"]["env"] == [{"name": "AWS_ENDPOINT_URL", "value": "http://127.0.0.1:5000"}]


def test_the_file_is_its_owners_alone_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / kubeconfig.relative("prod")
    kubeconfig.write(path, NAME, "https://old", CERTIFICATE, REGION)
    kubeconfig.write(path, NAME, "https://new", CERTIFICATE, REGION)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["clusters"][0]["cluster"]["server"] == "https://new"
    assert [entry.name for entry in path.parent.iterdir()] == ["kubeconfig"], "no draft is left"
    path.chmod(0o644)
    kubeconfig.write(path, NAME, "https://new", CERTIFICATE, REGION)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_provider_gets_the_same_text_on_every_machine_and_the_file_comes_when_the_address_is_known(
    tmp_path: Path,
) -> None:
    path = tmp_path / "kubeconfig"
    seen: dict[str, str] = {}

    def program(endpoint: pulumi.Input[str]) -> None:
        kubeconfig.document(NAME, endpoint, CERTIFICATE, REGION).apply(partial(seen.__setitem__, "document"))
        kubeconfig.keep(path, NAME, endpoint, CERTIFICATE, REGION).apply(partial(seen.__setitem__, "path"))

    run(lambda: program(unknown()), preview=True)
    assert seen == {}
    assert not path.exists(), "in a preview of a first `up` nobody knows the address"
    run(lambda: program("https://api"))
    assert json.loads(seen["document"])["users"][0]["user"]["exec"]["command"] == "slipway"
    assert seen["path"] == str(path)
    assert json.loads(path.read_text())["clusters"][0]["cluster"]["server"] == "https://api"


def test_a_client_gets_its_token_from_the_plugin_in_the_file(tmp_path: Path) -> None:
    """Against an API server on loopback, which has no certificate: the rest of the file is used as it is."""
    with fake_cluster() as cluster:
        path = tmp_path / "kubeconfig"
        kubeconfig.write(path, NAME, cluster.url, CERTIFICATE, REGION)
        assert Path(json.loads(path.read_text())["users"][0]["user"]["exec"]["command"]).is_absolute()
        with connect(NAME, str(path)) as found:
            assert found.get("/version").ok
        sent = cluster.asked[-1][2]
        assert sent is not None
        assert sent.startswith("Bearer k8s-aws-v1.")


@mock_aws
def test_the_file_is_made_anew_from_what_eks_says(tmp_path: Path) -> None:
    made = cluster_in_aws()
    path = Path(access.renew(where(), tmp_path))
    assert path == tmp_path / ".slipway" / "prod" / "kubeconfig"
    found = json.loads(path.read_text())["clusters"][0]["cluster"]
    assert found == {"server": made["endpoint"], "certificate-authority-data": made["certificateAuthority"]["data"]}


@mock_aws
def test_a_cluster_that_is_not_there_is_named_and_its_old_file_goes(tmp_path: Path) -> None:
    cluster_in_aws("eu-west-1")
    path = tmp_path / kubeconfig.relative("prod")
    kubeconfig.write(path, NAME, "https://old", CERTIFICATE, REGION)
    with pytest.raises(AwsUnusable, match=f"no EKS cluster {NAME} in {REGION}"):
        access.renew(where(), tmp_path)
    assert not path.exists()


def test_a_cluster_that_is_still_being_made_is_not_reached_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = api.ClusterState(name=NAME, status="CREATING", version="1.35", endpoint="", certificate="")
    monkeypatch.setattr(api, "cluster", lambda *_: state)
    with pytest.raises(AwsUnusable, match="is CREATING"):
        access.renew(where(), tmp_path)
