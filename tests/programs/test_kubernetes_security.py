"""Every pod, account and Secret that the example stack file of a cluster declares, held to the rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.mock_engine import Engine
from tests.programs.kubernetes_program import Pod, deployed, pods

TOKENS = {"secrets", "verdict", "release"}
"""Accounts whose pods talk to the API server; and Ray heads with an autoscaler."""
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return deployed()[0]


def test_the_walk_finds_the_pods_of_every_kind_of_owner(engine: Engine) -> None:
    owners = {pod.owner for pod in pods(engine)}
    assert owners == {
        *("tracking-deployment", "tracking-database", "secrets-job"),
        *("training-job", "training-verdict", "serving-service", "serving-release"),
    }
    assert len(pods(engine)) == 10, "a RayJob has three templates (head, workers, submitter), a RayService two"


def problems_of(pod: Pod) -> list[str]:
    security = pod.spec.get("securityContext", {})
    found = []
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
        found.append("may run as root")
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("has no seccomp profile")
    if pod.spec.get("enableServiceLinks") is not False:
        found.append("gets the addresses of all Services as variables")
    if any("hostPath" in volume for volume in pod.spec.get("volumes", [])):
        found.append("mounts a folder of the node")
    for container in pod.containers:
        found += [f"{container['name']} {problem}" for problem in _container_problems(container)]
    return found


def _container_problems(container: Any) -> list[str]:
    security = container.get("securityContext", {})
    requests, limits = (container.get("resources", {}).get(key, {}) for key in ("requests", "limits"))
    rules = {
        "may gain privileges": security.get("allowPrivilegeEscalation") is False,
        "keeps capabilities": security.get("capabilities") == {"drop": ["ALL"]},
        "has a writable root": security.get("readOnlyRootFilesystem") is True,
        "has an image without a digest": bool(DIGEST.search(container["image"])),
        "has no bounds": {"cpu", "memory"} <= set(requests) and {"cpu", "memory"} <= set(limits),
        "overcommits memory": requests.get("memory") == limits.get("memory"),
    }
    return [problem for problem, kept in rules.items() if not kept]


def test_every_pod_is_held_to_the_rules(engine: Engine) -> None:
    assert {pod.owner: problems_of(pod) for pod in pods(engine) if problems_of(pod)} == {}


def test_the_rules_find_a_careless_pod() -> None:
    careless = {"containers": [{"name": "main", "image": "python:3.11"}], "volumes": [{"hostPath": {"path": "/"}}]}
    found = " ".join(problems_of(Pod("careless", {}, careless)))
    for rule in ("root", "seccomp", "node", "privileges", "capabilities", "writable", "digest", "bounds"):
        assert rule in found


def test_a_token_is_mounted_where_the_api_server_is_needed_and_nowhere_else(engine: Engine) -> None:
    for pod in pods(engine):
        autoscaled_head = pod.owner == "serving-service" and pod.spec["containers"][0]["name"] == "ray-head"
        wanted = pod.spec["serviceAccountName"] in TOKENS or autoscaled_head
        assert pod.spec["automountServiceAccountToken"] is wanted, f"{pod.owner} as {pod.spec['serviceAccountName']}"


def test_every_pod_is_known_to_the_network_policies_by_its_role(engine: Engine) -> None:
    roles = {pod.labels.get("app.kubernetes.io/component") for pod in pods(engine)}
    assert roles == {"tracking", "database", "training", "serving", "setup"}
    assert {pod.labels.get("app.kubernetes.io/part-of") for pod in pods(engine)} == {"slipway"}


def test_long_running_services_are_probed(engine: Engine) -> None:
    for owner in ("tracking-deployment", "tracking-database"):
        (pod,) = [pod for pod in pods(engine) if pod.owner == owner]
        main = pod.spec["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(main), owner


def test_only_the_accounts_of_small_jobs_have_rights_and_only_on_objects_by_name(engine: Engine) -> None:
    roles = engine.all("kubernetes:rbac.authorization.k8s.io/v1:Role")
    assert {role.inputs["metadata"]["name"] for role in roles} == TOKENS
    for role in roles:
        for rule in role.inputs["rules"]:
            assert rule["resourceNames"], f"{role.name} reaches objects that are not its own"
            assert set(rule["verbs"]) == {"get", "patch"}


def test_no_generated_secret_is_in_any_input(engine: Engine) -> None:
    generated = [
        item
        for item in engine.all("kubernetes:core/v1:Secret")
        if item.inputs["metadata"]["name"] != "artifacts-access"
    ]
    assert {item.inputs["metadata"]["name"] for item in generated} == {
        *("tracking-login", "ray-token", "serving-token", "database"),
    }
    for item in generated:
        assert not {"data", "stringData"} & set(item.inputs), f"{item.name} is filled in the cluster, not by Pulumi"
        assert set(item.ignores) == {"data", "stringData"}, f"a refresh would bring {item.name}'s values into the state"
