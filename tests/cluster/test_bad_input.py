"""What a user gets wrong on a real cluster, on the real engine: `up` says what it is and how to correct it.

Nothing is changed.  Where the cluster is what was wrong, it is corrected and a preview goes on; the cases whose fix is
in the stack file are all corrected to the same one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.node.cluster import Cluster
from tests.cluster.project import NO_IMAGE, TRAINING, ClusterProject, environment_on
from tests.cluster.users import limited_user

GPUS: dict[str, Any] = {
    "gpu_pools": [{"name": "l4", "gpus": 1, "cpus": 8, "memory_gib": 32, "max": 2}],
    "training": {**TRAINING, "resources": {"workers": 1, "cpus": 2, "gpus": 1}},
}


@pytest.fixture(scope="module")
def project(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ClusterProject:
    """A checkout whose stack is right, and of which nothing is deployed."""
    cluster.uninstall_kuberay()
    return environment_on(cluster, tmp_path_factory.mktemp("checkout"), NO_IMAGE)


@pytest.fixture(autouse=True)
def right(project: ClusterProject) -> None:
    project.configure()


def refused(project: ClusterProject, *told: str, verb: str = "preview", **settings: Any) -> str:
    """Assert that these settings are refused with `told`, and that nothing was made; return all that was said."""
    substrate = {**project.substrate, **settings.pop("substrate", {})}
    project.configure(substrate=substrate, **settings)
    said = project.pulumi(verb).must_fail().output
    for text in told:
        assert text in said, said
    assert "nothing was changed" in said
    assert "Traceback" not in said, said
    return said


def goes_on(project: ClusterProject, **substrate: Any) -> None:
    """Assert that the corrected environment can be made."""
    project.configure(substrate={**project.substrate, **substrate})
    said = project.pulumi("preview").must_succeed().output
    assert "kubernetes:ray.io/v1:RayService" in said, f"the control: this is the whole environment:\n{said}"


def test_an_unknown_context_lists_those_there_are(project: ClusterProject, cluster: Cluster) -> None:
    said = refused(project, "there is no such context", verb="up", substrate={"context": "production"})
    assert f"There are: {cluster.context}. Set one of them, or slipway:substrate.kubeconfig" in said
    state = json.loads(project.pulumi("stack", "export").must_succeed().output)
    made = {resource["type"] for resource in state["deployment"].get("resources", [])}
    assert made <= {"pulumi:pulumi:Stack"}, "a refused `up` has made nothing"
    goes_on(project)


def test_an_api_server_that_does_not_answer_is_named(project: ClusterProject, cluster: Cluster, tmp_path: Path) -> None:
    shown = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json", f"--kubeconfig={cluster.kubeconfig}"))
    for entry in shown["clusters"]:
        entry["cluster"]["server"] = "https://127.0.0.1:9"
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(shown))
    refused(
        project,
        f"the API server https://127.0.0.1:9 of the context {cluster.context} does not answer: ",
        "Connection refused",
        "check slipway:substrate.context and kubeconfig",
        substrate={"kubeconfig": str(path)},
    )


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that somebody else made."""
    name = f"bad-input-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def label(project: ClusterProject, namespace: str) -> None:
    assert project.cluster is not None
    owner = f"slipway/environment=slipway-{project.stack}"
    project.cluster.kubectl("label", "--overwrite", "namespace", namespace, owner)


def test_what_a_user_may_not_do_is_named_by_verb_and_resource(
    project: ClusterProject, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    label(project, namespace)
    kubeconfig = limited_user(cluster, namespace, tmp_path, "get", "list", "watch", "create", "patch")
    user = f"system:serviceaccount:{namespace}:jane"
    said = refused(
        project,
        f"{user} may not delete deployments.apps in namespace {namespace}",
        f"{user} may not create, delete, get, list, patch, watch secrets in namespace {namespace}",
        f"{user} may not create, delete, get, list, patch, watch customresourcedefinitions.apiextensions.k8s.io",
        f"kubectl create role slipway-deployments -n {namespace} --verb=delete --resource=deployments.apps",
        substrate={"kubeconfig": str(kubeconfig), "namespace": namespace},
    )
    assert "may not create deployments.apps" not in said, "a right that he has"


def test_a_namespace_of_somebody_else_is_not_taken_over(project: ClusterProject, namespace: str) -> None:
    told = f"the namespace {namespace} exists and is not this environment's"
    said = refused(project, told, substrate={"namespace": namespace})
    assert f"kubectl label --overwrite namespace {namespace} slipway/environment=slipway-{project.stack}" in said
    label(project, namespace)
    goes_on(project, namespace=namespace)


def test_a_quota_of_an_administrator_that_is_too_small_is_named(
    project: ClusterProject, cluster: Cluster, namespace: str
) -> None:
    label(project, namespace)
    cluster.kubectl("create", "quota", "team", "-n", namespace, "--hard=requests.cpu=1,pods=3")
    refused(
        project,
        f"quota team: in namespace {namespace}: pods is 3, the stack asks for ",
        "requests.cpu is 1, the stack asks for ",
        "fix: let an administrator raise it",
        substrate={"namespace": namespace},
    )
    cluster.kubectl("delete", "quota", "team", "-n", namespace)
    goes_on(project, namespace=namespace)


def test_a_quota_of_the_stack_that_is_too_small_is_named(project: ClusterProject) -> None:
    refused(
        project,
        "slipway:substrate.quota: cpu is 1, the stack asks for ",
        "slipway:substrate.quota: memory is 4Gi, the stack asks for ",
        "fix: raise slipway:substrate.quota",
        substrate={"quota": {"cpu": "1", "memory": "4Gi", "pods": 40}},
    )


def test_gpus_that_no_node_has_are_named(project: ClusterProject, cluster: Cluster) -> None:
    if cluster.place is None:
        pytest.skip("a given cluster may have GPUs")
    substrate = {"quota": {"cpu": "8", "memory": "32Gi", "pods": 40, "gpus": 1}}
    refused(
        project, "no node has nvidia.com/gpu", "add GPU nodes with NVIDIA's device plugin", substrate=substrate, **GPUS
    )


def test_gpus_that_no_pool_or_quota_has_are_found_without_the_cluster(project: ClusterProject) -> None:
    two = {**GPUS["training"], "resources": {"workers": 1, "cpus": 2, "gpus": 2}}
    said = refused(
        project,
        "fits no pool. Nearest is l4",
        "describe larger nodes in slipway:gpu_pools",
        **{**GPUS, "training": two},
    )
    assert "slipway:substrate.quota: nvidia.com/gpu is 0, the stack asks for 2" in said


def test_missing_definitions_are_named_with_the_command(project: ClusterProject, cluster: Cluster) -> None:
    if cluster.place is None:
        pytest.skip("a given cluster keeps its operator")
    refused(
        project,
        "the cluster lacks rayclusters.ray.io, rayjobs.ray.io, rayservices.ray.io",
        "helm install kuberay-operator",
        substrate={"operators": "external"},
    )


def test_what_is_left_of_another_operator_is_not_taken_over(project: ClusterProject, cluster: Cluster) -> None:
    if cluster.place is None:
        pytest.skip("a given cluster keeps its operator")
    cluster.kubectl("create", "clusterrole", "kuberay-operator", "--verb=get", "--resource=pods")
    try:
        refused(
            project,
            "installed by somebody else: clusterrole kuberay-operator (not by Slipway)",
            "set slipway:substrate.operators: external",
            "kubectl delete clusterrole/kuberay-operator",
        )
    finally:
        cluster.kubectl("delete", "clusterrole", "kuberay-operator")
    goes_on(project)
