"""The environment's namespace and its policies: which objects they are, with which security, in which order."""

from __future__ import annotations

from dataclasses import replace

from components.kubernetes.network_policies import NetworkPolicies, Paths, render
from tests.components.kubernetes_blocks import NAMESPACE, NAMESPACE_ARGS, on_cluster, with_namespace


def test_the_environment_s_namespace_admits_only_restricted_pods() -> None:
    labels = with_namespace().one(NAMESPACE).inputs["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert {labels[f"pod-security.kubernetes.io/{mode}-version"] for mode in ("enforce", "audit", "warn")} == {"v1.35"}


def test_the_quota_covers_gpus_and_containers_that_ask_for_nothing_get_a_default() -> None:
    engine = with_namespace()
    hard = engine.one("kubernetes:core/v1:ResourceQuota").inputs["spec"]["hard"]
    assert hard == {
        "requests.cpu": "8",
        "requests.memory": "32Gi",
        "pods": "50",
        "persistentvolumeclaims": "20",
        "requests.nvidia.com/gpu": "4",
    }
    (limits,) = engine.one("kubernetes:core/v1:LimitRange").inputs["spec"]["limits"]
    assert {"cpu", "memory"} == limits["defaultRequest"].keys(), "the quota refuses a pod that asks for neither"


def test_without_a_quota_there_is_neither_quota_nor_default() -> None:
    engine = with_namespace(replace(NAMESPACE_ARGS, quota=None))
    assert not engine.all("kubernetes:core/v1:ResourceQuota")
    assert not engine.all("kubernetes:core/v1:LimitRange")


def test_there_is_one_account_a_workload_and_none_mounts_a_token_by_itself() -> None:
    accounts = with_namespace().all("kubernetes:core/v1:ServiceAccount")
    assert {item.inputs["metadata"]["name"] for item in accounts} == {"training", "serving"}
    assert all(item.inputs["automountServiceAccountToken"] is False for item in accounts)
    identities = {item.inputs["metadata"]["name"]: item.inputs["metadata"].get("annotations") for item in accounts}
    assert identities == {"training": {"eks.amazonaws.com/role-arn": "arn:role"}, "serving": None}


def test_what_is_in_the_namespace_comes_after_it_and_goes_before_it() -> None:
    for item in with_namespace().registrations:
        if item.type.startswith("kubernetes:core") and item.type != NAMESPACE:
            assert "namespace-namespace" in item.dependencies, f"{item.name} would be made before its namespace"


def test_every_policy_is_declared_in_the_namespace() -> None:
    engine = on_cluster(lambda opts: NetworkPolicies("network", Paths(), namespace="slipway-prod", opts=opts))
    found = {
        item.inputs["metadata"]["name"]: item for item in engine.all("kubernetes:networking.k8s.io/v1:NetworkPolicy")
    }
    assert found.keys() == render(Paths()).keys()
    assert {item.inputs["metadata"]["namespace"] for item in found.values()} == {"slipway-prod"}
    for name, spec in render(Paths()).items():
        assert found[name].inputs["spec"] == spec, "the SDK must not rename what is inside"
