"""Production on AWS through its life, both sides real: every AWS call made, every object on a real API server.

AWS is the test server, the EKS cluster in it the tests' own node. Who may enter is decided by access entries, which the
node's API server asks the account about; nothing here uses the node's own kubeconfig but the checks. The tests build
on each other in this order.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.aws.inventory import left_over, snapshot, table
from tests.cluster.joint import JointProject, assumed, cluster_wide, joined, project_on
from tests.cluster.managed_database import SPACE, managed_database
from tests.cluster.node.cluster import Cluster
from tests.cluster.project import product_image
from tests.standins.aws_server import AwsServer, running

pytestmark = pytest.mark.timeout(1500, func_only=True)
NAME = "slipway-prod-cluster"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with running(tmp_path_factory.mktemp("aws") / "server.log") as started:
        yield started


@pytest.fixture(scope="module")
def project(cluster: Cluster, server: AwsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JointProject]:
    """A checkout with the stack `prod`, on both sides; whatever a test left is destroyed."""
    if cluster.place is None:
        pytest.skip("a given cluster has an authenticator of its own")
    cluster.uninstall_kuberay()
    folder = tmp_path_factory.mktemp("checkout")
    made = project_on(server, folder, {"operator": cluster.image("operator")})
    made.images["product"] = product_image(cluster, made.root, folder.with_suffix(".tar"))
    made.configure()
    made.set_credentials()
    with managed_database(server, cluster), joined(server, cluster, NAME):
        yield made
        if made.state():
            made.pulumi("state", "unprotect", "--all", "--yes")
            made.pulumi("destroy", "--skip-preview")


@pytest.fixture(scope="module")
def before(project: JointProject, cluster: Cluster, server: AwsServer) -> tuple[frozenset[str], set[str]]:
    """What there was on both sides before."""
    return snapshot(server.client, server.account), cluster_wide(cluster)


@pytest.fixture(scope="module")
def production(project: JointProject, before: tuple[frozenset[str], set[str]]) -> JointProject:
    """The environment, up and serving."""
    project.up().must_succeed()
    return project


def test_up_makes_account_and_cluster_and_serves_a_model(production: JointProject, cluster: Cluster) -> None:
    outputs = production.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"]
    made = production.cluster()
    assert made["name"] == NAME
    assert made["endpoint"] == yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]


def test_commands_reach_it_by_the_cluster_s_name_in_aws(production: JointProject) -> None:
    (production.root / production.outputs()["substrate"]["kubeconfig"]).unlink()
    assert "predictions: [" in production.slipway("predict").must_succeed().output
    assert "champion: default 1" in production.slipway("status").must_succeed().output


def test_artifacts_are_in_the_bucket_and_runs_in_the_managed_database(
    production: JointProject, cluster: Cluster
) -> None:
    bucket = production.outputs()["artifact_store"]["uri"].removeprefix("s3://").partition("/")[0]
    listed = production.account().client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert any(entry["Key"].endswith("MLmodel") for entry in listed), [entry["Key"] for entry in listed]
    client = ["/usr/lib/postgresql/15/bin/psql", "-h", "/var/run/postgresql", "-U", "postgres", "-tA", "-c"]
    inside = ["exec", "-n", SPACE, "server", "--", *client]
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'tracking'"
    assert cluster.kubectl(*inside, owner).strip() == "tracking", "MLflow's role, not the administrator's"
    within = [*inside[:-1], "-d", "tracking", "-c"]
    assert cluster.kubectl(*within, "select name from registered_models").split() == ["default"]
    without = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where client_addr is not null"
    assert cluster.kubectl(*inside, f"{without} and not ssl").strip() == "0"


def called(production: JointProject, token: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Ask the cluster's API server with a token; returns status and answer."""
    made = production.cluster()
    authority = ssl.create_default_context()
    authority.load_verify_locations(cadata=_decoded(made["certificateAuthority"]["data"]))
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{made['endpoint']}{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, context=authority, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def test_access_entries_decide_who_enters(production: JointProject) -> None:
    whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    status, who = called(production, production.token(), whoami, body)
    assert status == 201
    assert "system:masters" in who["status"]["userInfo"]["groups"]
    assert who["status"]["userInfo"]["username"].endswith(":assumed-role/slipway-deployer/joint")

    other = production.token(assumed(production.account(), "slipway-prod-cluster"))
    assert called(production, other, whoami, body)[0] == 401, "a role of the account without an access entry"


def test_a_preview_s_role_tries_writes_without_doing_them(production: JointProject) -> None:
    token = production.token(assumed(production.account(), "slipway-prod-preview"))
    namespace = production.outputs()["substrate"]["namespace"]
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tried"}}
    assert called(production, token, f"{path}?dryRun=All", body)[0] == 201
    status, answer = called(production, token, path, body)
    assert status in (403, 422), answer
    assert called(production, token, f"/api/v1/namespaces/{namespace}/secrets")[0] == 403


def test_a_second_up_changes_nothing(production: JointProject) -> None:
    production.up("--expect-no-changes").must_succeed()


def test_what_is_retained_is_not_destroyed_by_mistake(production: JointProject) -> None:
    held = set(production.state())
    said = production.pulumi("destroy").must_fail().output
    assert "protected" in said
    assert set(production.state()) == held
    assert "predictions: [" in production.slipway("predict").must_succeed().output


def test_destroy_takes_workloads_before_the_ground_and_leaves_nothing_on_either_side(
    production: JointProject, cluster: Cluster, server: AwsServer, before: tuple[frozenset[str], set[str]]
) -> None:
    production.configure(artifacts={"retain": False})
    production.pulumi("up", "--skip-preview").must_succeed()

    order = production.deletions()

    inside = [index for index, kind in enumerate(order) if kind.startswith("kubernetes:")]
    ground = ("aws:eks/accessEntry:", "aws:eks/cluster:", "aws:eks/nodeGroup:", "aws:eks/addon:", "aws:rds/instance:")
    below = [index for index, kind in enumerate(order) if kind.startswith(ground)]
    assert len(inside) > 30, order
    assert len(below) > 8, order
    assert max(inside) < min(below), order[min(below) : max(inside) + 1]
    remaining = left_over(before[0], snapshot(server.client, server.account))
    assert remaining == [], table(remaining)
    assert cluster_wide(cluster) - before[1] == set()
    assert production.state() == {}
