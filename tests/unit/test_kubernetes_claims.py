"""Whose things on a cluster are: what is somebody else's is never taken over, an operator elsewhere does not count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.kubernetes.findings import OFFLINE, Finding, Needs
from infra.kubernetes.preflight import PreflightFailed, examine, require
from infra.kubernetes.settings import KubernetesConfig
from tests.unit.fake_cluster import CONTEXT, FakeCluster, fake_cluster

IMAGE = "registry.example/slipway@sha256:" + "0" * 64
MINE = "slipway-prod"
NAMESPACE = f"/api/v1/namespaces/{MINE}"
OPERATORS = "/apis/apps/v1/namespaces/kuberay-operator/deployments"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kuberay-operator"
HOME = "/api/v1/namespaces/kuberay-operator"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    monkeypatch.delenv(OFFLINE, raising=False)
    with fake_cluster() as fake:
        yield fake


def needs(cluster: FakeCluster, folder: Path, operators: str = "external", plugin: str | None = None) -> Needs:
    settings = {
        "kind": "kubernetes",
        "context": CONTEXT,
        "image": IMAGE,
        "database": {"url_secret": "mlflow-database"},
        "operators": operators,
        "operator_images": {"kuberay": IMAGE, "device_plugin": plugin},
    }
    return Needs(
        config=KubernetesConfig.model_validate(settings),
        kubeconfig=cluster.kubeconfig(folder),
        namespace=MINE,
        environment=MINE,
        pods=[],
        surge=[],
        pools=[],
    )


def owned(by: str | None = MINE, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"slipway/environment": by} if by else {"team": "x"}, **metadata}}


def finding(name: str, found: Sequence[Finding]) -> Finding:
    (one,) = (entry for entry in found if entry.name == name)
    return one


@pytest.mark.parametrize("owner", ["slipway-dev", None])
def test_a_namespace_of_somebody_else_is_refused_by_name(
    cluster: FakeCluster, tmp_path: Path, owner: str | None
) -> None:
    cluster.answers[NAMESPACE] = owned(owner)
    with pytest.raises(PreflightFailed, match=r"namespace slipway-prod exists and is not this environment's") as failed:
        require(needs(cluster, tmp_path))
    assert (owner or "no label slipway/environment") in str(failed.value)
    assert "kubectl label --overwrite namespace slipway-prod slipway/environment=slipway-prod" in str(failed.value)


def test_the_environment_s_own_namespace_is_no_matter(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers[NAMESPACE] = owned()
    assert require(needs(cluster, tmp_path)) == []


def test_a_namespace_that_is_going_is_waited_for(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers[NAMESPACE] = owned(deletionTimestamp="2026-01-01T00:00:00Z")
    told = finding("namespace", examine(needs(cluster, tmp_path)))
    assert told.ok is False
    assert "is being deleted" in told.seen
    assert "kubectl wait --for=delete namespace/slipway-prod" in told.fix


@pytest.mark.parametrize(
    ("path", "named"), [(ROLE, "clusterrole/kuberay-operator"), (HOME, "namespace/kuberay-operator")]
)
def test_what_is_left_of_another_operator_is_refused_by_name(
    cluster: FakeCluster, tmp_path: Path, path: str, named: str
) -> None:
    cluster.answers["/apis/ray.io/v1"] = None
    cluster.answers[path] = owned(None)
    told = finding("KubeRay", examine(needs(cluster, tmp_path, "managed")))
    assert told.ok is False
    assert f"{named.replace('/', ' ')} (not by Slipway)" in told.seen
    assert f"kubectl delete {named} " in told.fix
    cluster.answers[path] = owned()
    assert finding("KubeRay", examine(needs(cluster, tmp_path, "managed"))).ok, "this stack made it"


def test_the_namespace_of_a_device_plugin_counts_where_one_is_installed(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers["/apis/ray.io/v1"] = None
    cluster.answers["/api/v1/namespaces/nvidia-device-plugin"] = owned(None)
    assert finding("KubeRay", examine(needs(cluster, tmp_path, "managed"))).ok
    told = finding("KubeRay", examine(needs(cluster, tmp_path, "managed", plugin=IMAGE)))
    assert "namespace nvidia-device-plugin (not by Slipway)" in told.seen


def test_the_operator_of_another_environment_acts_on_that_one_alone(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers[ROLE] = owned("slipway-dev")
    told = finding("KubeRay", examine(needs(cluster, tmp_path, "managed")))
    assert "of the environment slipway-dev, whose operator acts on that one alone" in told.seen
    assert "one operator that watches slipway-prod too" in told.fix


def operator(*words: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"command": ["/manager"], "args": list(words)}]}}}
    return {"metadata": {"name": "kuberay-operator"}, "spec": spec, "status": {"availableReplicas": 1}}


@pytest.mark.parametrize(
    ("words", "ok"),
    [
        ([], True),
        (["--watch-namespace=a,slipway-prod"], True),
        (["--watch-namespace", "slipway-prod"], True),
        (["--watch-namespace="], True),
        (["--watch-namespace=slipway-dev"], False),
        (["--watch-namespace", "slipway-dev", "--zap"], False),
    ],
)
def test_an_external_operator_must_watch_the_namespace(
    cluster: FakeCluster, tmp_path: Path, words: list[str], *, ok: bool
) -> None:
    cluster.answers[OPERATORS] = {"items": [operator(*words)]}
    told = finding("KubeRay", examine(needs(cluster, tmp_path)))
    assert told.ok is ok
    if not ok:
        assert "acts on slipway-dev alone, not on slipway-prod" in told.seen
        assert "watchNamespace" in told.fix


def test_an_operator_elsewhere_is_a_warning_and_one_out_of_sight_is_none(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answers[OPERATORS] = {"items": []}
    (warning,) = require(needs(cluster, tmp_path))
    assert "operator_namespace" in warning.fix
    cluster.statuses[OPERATORS] = 403
    assert require(needs(cluster, tmp_path)) == []


@pytest.mark.parametrize(
    ("replicas", "told", "fix"),
    [(1, "none of its 1 pods is available", "describe deployment"), (0, "it is scaled to 0", "scale deployment")],
)
def test_an_operator_that_is_installed_and_does_not_run_is_refused(
    cluster: FakeCluster, tmp_path: Path, replicas: int, told: str, fix: str
) -> None:
    stopped = {**operator(), "status": {}}
    stopped["spec"]["replicas"] = replicas
    cluster.answers[OPERATORS] = {"items": [stopped]}
    found = finding("KubeRay", examine(needs(cluster, tmp_path)))
    assert found.ok is False
    assert told in found.seen
    assert f"{fix}/kuberay-operator" in found.fix
    cluster.answers[OPERATORS] = {"items": [stopped, operator()]}
    assert finding("KubeRay", examine(needs(cluster, tmp_path))).ok is True, "another one acts"
