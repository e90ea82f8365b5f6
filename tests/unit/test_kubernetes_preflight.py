"""Whether a cluster can take an environment: each problem is named with its fix, all in one message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes import fit, rights
from infra.kubernetes.findings import OFFLINE, Finding, Needs
from infra.kubernetes.preflight import PreflightFailed, examine, require
from infra.kubernetes.settings import KubernetesConfig
from tests.unit.fake_cluster import CONTEXT, FakeCluster, fake_cluster

IMAGE = "registry.example/slipway@sha256:" + "0" * 64
CPU_POD = fit.Pod(name="the tracking server", setting="slipway:tracking", cpu=0.5, memory=2**30)
GPU_POD = fit.Pod(
    name="a training worker",
    setting="slipway:training.resources.gpus",
    cpu=2,
    memory=4 * 2**30,
    gpus=1,
    selector={"nvidia.com/gpu.present": "true"},
    tolerations=[fit.Toleration(key="nvidia.com/gpu", operator="Exists")],
)
GPU_POOL = fit.Pool(
    name="pool a10g", each=fit.Amount(cpu=8, memory=32 * 2**30, gpus=1), labels=GPU_POD.selector, nodes=2
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.delenv(OFFLINE, raising=False)
    with fake_cluster() as fake:
        yield fake


def needs(kubeconfig: str, **changes: Any) -> Needs:
    given = {"url_secret": "mlflow-database"}
    settings = {"kind": "kubernetes", "context": CONTEXT, "kubeconfig": kubeconfig, "image": IMAGE, "database": given}
    pods = changes.pop("pods", [CPU_POD])
    pools = changes.pop("pools", [])
    surge = changes.pop("surge", [])
    config = KubernetesConfig.model_validate({**settings, **changes})
    return Needs(
        config=config,
        kubeconfig=kubeconfig,
        namespace="slipway-prod",
        environment="slipway-prod",
        pods=pods,
        surge=surge,
        pools=pools,
    )


def problems(found: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in found if finding.ok is False}


def test_a_cluster_that_can_take_the_environment_has_neither_problem_nor_warning(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    assert require(needs(cluster.kubeconfig(tmp_path))) == []
    assert {token for _, _, token in cluster.asked} == {"Bearer secret-token"}, "every call carries the user's token"


def test_every_problem_is_told_in_one_message_with_its_fix(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers["/apis/ray.io/v1"] = None
    cluster.answers["/apis/storage.k8s.io/v1/storageclasses"] = {"items": []}
    cluster.allowed = lambda asked: (
        (asked["resource"], asked["verb"])
        not in {
            ("deployments", "*"),
            ("deployments", "create"),
        }
    )
    wanted = needs(cluster.kubeconfig(tmp_path), database={"image": IMAGE}, pods=[CPU_POD, GPU_POD])
    with pytest.raises(PreflightFailed) as failed:
        require(wanted)
    text = str(failed.value)
    assert "rayclusters.ray.io, rayjobs.ray.io, rayservices.ray.io" in text
    assert "helm install kuberay-operator" in text
    assert "jane may not create deployments.apps in namespace slipway-prod" in text
    assert "--verb=create --resource=deployments.apps" in text
    assert "a default StorageClass is missing" in text
    assert "no node has nvidia.com/gpu" in text
    assert "nothing was changed" in text
    assert text.count("fix: ") == text.count("\n  - ")


def test_an_unknown_context_lists_those_there_are(cluster: FakeCluster, tmp_path: Path) -> None:
    with pytest.raises(PreflightFailed, match=r"'prod'.*no such context in .*There are: fake\."):
        require(needs(cluster.kubeconfig(tmp_path), context="prod"))


def test_a_missing_kubeconfig_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OFFLINE, raising=False)
    with pytest.raises(PreflightFailed, match="there is no kubeconfig"):
        require(needs(str(tmp_path / "absent")))


def test_an_api_server_that_does_not_answer_is_named_with_its_address_and_the_reason(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.url = "http://127.0.0.1:9"
    with pytest.raises(PreflightFailed, match=r"http://127\.0\.0\.1:9 .*does not answer: .*Connection refused"):
        require(needs(cluster.kubeconfig(tmp_path)))


def test_refused_credentials_are_not_taken_for_missing_rights(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.statuses["/version"] = 401
    with pytest.raises(PreflightFailed, match="refuses the credentials of the context fake") as failed:
        require(needs(cluster.kubeconfig(tmp_path)))
    assert "1 problem " in str(failed.value)


def test_a_credential_plugin_that_is_not_installed_is_named(cluster: FakeCluster, tmp_path: Path) -> None:
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}
    with pytest.raises(PreflightFailed, match="credential plugin no-such-plugin"):
        require(needs(cluster.kubeconfig(tmp_path, plugin)))


def test_a_version_outside_what_is_tested_is_a_warning(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers["/version"] = {"major": "1", "minor": "31+", "gitVersion": "v1.31.2-gke.1"}
    (warning,) = require(needs(cluster.kubeconfig(tmp_path)))
    assert "v1.31.2-gke.1" in warning.seen
    assert "tested are 1.34 and 1.35" in warning.fix


def test_every_line_of_the_table_of_rights_is_asked_for(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.allowed = lambda asked: asked["verb"] != "*"
    assert not problems(examine(needs(cluster.kubeconfig(tmp_path))))
    asked = {
        (one.get("group", ""), one["resource"], one.get("subresource", ""), one["verb"]) for one in cluster.reviews
    }
    for right in [*rights.ENVIRONMENT, *rights.READS]:
        resource, _, subresource = right.resource.partition("/")
        assert {(right.group, resource, subresource, verb) for verb in right.verbs} <= asked
    assert ("apiextensions.k8s.io", "customresourcedefinitions", "", "create") not in asked


def test_managed_operators_ask_for_their_rights_too(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers["/apis/ray.io/v1"] = None
    cluster.allowed = lambda asked: asked["resource"] != "customresourcedefinitions"
    found = problems(examine(needs(cluster.kubeconfig(tmp_path), operators="managed")))
    assert "customresourcedefinitions.apiextensions.k8s.io in the cluster" in found["permissions"].seen
    assert "kubectl create clusterrole" in found["permissions"].fix
    assert "KubeRay" not in found, "what is missing is about to be installed"


@pytest.mark.parametrize("owner", ["other-stack", None, "slipway-prod"])
def test_an_operator_of_somebody_else_is_not_installed_again(
    cluster: FakeCluster, tmp_path: Path, owner: str | None
) -> None:
    labels = {"slipway/environment": owner} if owner else {}
    for name in ("rayclusters", "rayjobs", "rayservices"):
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}.ray.io"
        cluster.answers[path] = {"metadata": {"labels": labels}}
    found = problems(examine(needs(cluster.kubeconfig(tmp_path), operators="managed")))
    if owner == "slipway-prod":
        assert "KubeRay" not in found
    else:
        assert (owner or "not by Slipway") in found["KubeRay"].seen
        assert "operators: external" in found["KubeRay"].fix


def test_a_quota_of_the_namespace_that_is_too_small_is_found(cluster: FakeCluster, tmp_path: Path) -> None:
    quota = {"metadata": {"name": "team"}, "spec": {"hard": {"requests.cpu": "250m"}}}
    cluster.answers["/api/v1/namespaces/slipway-prod/resourcequotas"] = {"items": [quota]}
    found = problems(examine(needs(cluster.kubeconfig(tmp_path))))
    assert "requests.cpu is 250m, the stack asks for 0.5" in found["quota team"].seen


def test_the_quota_that_the_stack_itself_made_is_not_held_against_it(cluster: FakeCluster, tmp_path: Path) -> None:
    own = {"name": "own", "labels": {"slipway/environment": "slipway-prod"}}
    quota = {"metadata": own, "spec": {"hard": {"requests.cpu": "250m"}}}
    cluster.answers["/api/v1/namespaces/slipway-prod/resourcequotas"] = {"items": [quota]}
    assert not problems(examine(needs(cluster.kubeconfig(tmp_path))))


def test_a_cluster_autoscaler_may_bring_the_gpu_nodes(cluster: FakeCluster, tmp_path: Path) -> None:
    wanted = needs(cluster.kubeconfig(tmp_path), pods=[GPU_POD], pools=[GPU_POOL], quota={"gpus": 1})
    assert set(problems(examine(wanted))) == {"GPU nodes"}
    cluster.answers["/apis/karpenter.sh/v1"] = {"resources": []}
    assert not problems(examine(wanted))


def test_a_cluster_autoscaler_is_found_in_whatever_namespace_it_runs(cluster: FakeCluster, tmp_path: Path) -> None:
    wanted = needs(cluster.kubeconfig(tmp_path), pods=[GPU_POD], pools=[GPU_POOL], quota={"gpus": 1})
    everywhere = "/api/v1/configmaps?fieldSelector=metadata.name%3Dcluster-autoscaler-status"
    cluster.answers[everywhere] = {"items": []}
    assert set(problems(examine(wanted))) == {"GPU nodes"}
    cluster.answers[everywhere] = {"items": [{"metadata": {"namespace": "autoscaling"}}]}
    assert not problems(examine(wanted))


def test_the_stack_that_brings_the_device_plugin_is_not_refused_because_it_does_not_run_yet(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    """Before the first `up` no node counts its GPUs; only the label tells where there are any."""
    images = {"kuberay": IMAGE, "device_plugin": IMAGE}
    given = {"pods": [GPU_POD], "pools": [GPU_POOL], "quota": {"gpus": 1}}
    brings = needs(cluster.kubeconfig(tmp_path), operators="managed", operator_images=images, **given)
    found = problems(examine(brings))["GPU nodes"]
    assert "with the label nvidia.com/gpu.present=true" in found.fix, "without the label the plugin runs nowhere"
    node = cluster.answers["/api/v1/nodes"]["items"][0]
    node["metadata"].setdefault("labels", {})["nvidia.com/gpu.present"] = "true"
    assert "GPU nodes" not in problems(examine(brings))
    assert "GPU nodes" in problems(examine(needs(cluster.kubeconfig(tmp_path), **given))), "nobody brings the plugin"


def test_an_autoscaler_that_may_not_be_looked_for_makes_missing_gpu_nodes_a_warning(
    cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.statuses["/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status"] = 403
    wanted = needs(cluster.kubeconfig(tmp_path), pods=[GPU_POD], pools=[GPU_POOL], quota={"gpus": 1})
    found = {finding.name: finding.ok for finding in examine(wanted)}
    assert found["GPU nodes"] is None


def test_nodes_that_may_not_be_listed_are_a_warning(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.statuses["/api/v1/nodes"] = 403
    cluster.allowed = lambda asked: asked["resource"] != "nodes"
    warnings = require(needs(cluster.kubeconfig(tmp_path), pods=[CPU_POD]))
    assert {warning.name for warning in warnings} == {"permissions", "nodes"}


def test_a_cluster_without_a_ready_node_is_a_warning(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers["/api/v1/nodes"]["items"][0]["status"]["conditions"][0]["status"] = "False"
    (warning,) = require(needs(cluster.kubeconfig(tmp_path)))
    assert (warning.name, warning.seen) == ("nodes", "none is ready")


def test_artifacts_on_a_volume_need_a_cluster_of_one_node(cluster: FakeCluster, tmp_path: Path) -> None:
    wanted = needs(cluster.kubeconfig(tmp_path), volume={})
    assert not problems(examine(wanted))
    cluster.answers["/api/v1/nodes"]["items"] *= 2
    assert "the cluster has 2 nodes" in problems(examine(wanted))["artifact volume"].seen


GATEWAY = {"name": "public", "namespace": "gateways", "hostname": "models.example"}


def test_a_gateway_needs_the_gateway_api_and_must_be_there(cluster: FakeCluster, tmp_path: Path) -> None:
    wanted = needs(cluster.kubeconfig(tmp_path), gateway=GATEWAY)
    assert "lacks httproutes" in problems(examine(wanted))["gateway"].seen
    cluster.answers["/apis/gateway.networking.k8s.io/v1"] = {"resources": [{"name": "httproutes"}]}
    assert "the Gateway public in namespace gateways" in problems(examine(wanted))["gateway"].seen
    there = "/apis/gateway.networking.k8s.io/v1/namespaces/gateways/gateways/public"
    cluster.answers[there] = {"metadata": {"name": "public"}}
    assert not problems(examine(wanted))
    cluster.statuses[there] = 403
    assert [finding.name for finding in require(wanted)] == ["gateway"], "it may be there: a warning"


def test_a_storage_class_that_is_not_there_lists_those_there_are(cluster: FakeCluster, tmp_path: Path) -> None:
    wanted = needs(cluster.kubeconfig(tmp_path), volume={}, storage_class="slow")
    assert "the StorageClass slow is missing; there are: fast" in problems(examine(wanted))["storage"].seen


def test_offline_only_the_config_is_looked_at(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    wanted = needs(cluster.kubeconfig(tmp_path), pods=[GPU_POD])
    assert set(problems(examine(wanted))) == {"GPU pools", "quota of the stack"}
    assert cluster.asked == []


def test_a_preflight_waits_for_many_answers_at_once(cluster: FakeCluster, tmp_path: Path) -> None:
    """A hundred calls in a row to a cluster that is far away would take longer than the `up` after them."""
    cluster.allowed = lambda asked: asked["verb"] != "*"  # the most questions there can be
    cluster.takes_s = 0.02
    examine(needs(cluster.kubeconfig(tmp_path)))
    assert len(cluster.asked) > 100, "the control: this was the long way"
    assert cluster.most_at_once >= 8, "of the sixteen that may be under way"
