"""The model service on Kubernetes: what is changed in place, what makes a new cluster, and what it may never hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from infra.kubernetes.ray_template import WORKER
from serving import settings
from tests.components.kubernetes_ray import JOB, RAY_SERVICE, declare
from tests.mock_engine import Engine

ROUTE = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
GATEWAY = {"name": "public", "namespace": "gateways", "hostname": "models.example"}


def service_of(made: Engine) -> dict[str, Any]:
    spec: dict[str, Any] = made.one(RAY_SERVICE).inputs["spec"]
    return spec


def config_of(made: Engine) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(service_of(made)["serveConfigV2"])
    return config


def arguments_of(made: Engine) -> dict[str, Any]:
    arguments: dict[str, Any] = config_of(made)["applications"][0]["args"]
    return arguments


def test_the_configuration_hands_over_candidate_and_policy_and_nothing_else() -> None:
    config = config_of(declare(app_changes={}))
    (controller,) = config["applications"][0]["deployments"]
    assert controller["name"] == "ReleaseController"
    assert controller["user_config"] == {"candidate": "3", "release": {"strategy": "rolling"}}
    assert "weight" not in json.dumps(config)


def test_the_application_accepts_its_arguments() -> None:
    assert settings.parse(arguments_of(declare(app_changes={}))).model_name == "default"


def test_another_candidate_is_an_edit_in_place() -> None:
    before = service_of(declare(app_changes={}))
    after = service_of(changed_candidate("4"))
    assert before["serveConfigV2"] != after["serveConfigV2"]
    assert before["rayClusterConfig"] == after["rayClusterConfig"]


def changed_candidate(version: str | None) -> Engine:
    return declare(app_changes={"candidate": version})


def test_no_candidate_asks_for_nothing() -> None:
    made = changed_candidate(None)
    (controller,) = config_of(made)["applications"][0]["deployments"]
    assert controller["user_config"]["candidate"] is None
    arguments = made.one(JOB, "serving-release").inputs["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[arguments.index("--candidate") + 1] == ""


def test_another_image_is_another_cluster_with_the_same_application() -> None:
    before = service_of(declare(app_changes={}))
    after = service_of(declare(app_changes={}, image=f"registry.example/slipway@sha256:{'b' * 64}"))
    assert before["serveConfigV2"] == after["serveConfigV2"]
    assert before["rayClusterConfig"] != after["rayClusterConfig"]


def test_the_configuration_names_the_code_that_it_wants() -> None:
    assert arguments_of(declare(app_changes={}))["code_digest"] == "s1"


def test_the_release_controller_stays_off_the_head() -> None:
    (controller,) = config_of(declare(app_changes={}))["applications"][0]["deployments"]
    assert controller["ray_actor_options"] == {"num_cpus": 0, "resources": {WORKER: 0.01}}


def test_replicas_between_bounds_are_scaled() -> None:
    fixed = service_of(declare(app_changes={}))["rayClusterConfig"]
    scaled = service_of(declare(app_changes={"arguments": {"replicas": {"min": 2, "max": 5}}}))["rayClusterConfig"]
    assert "enableInTreeAutoscaling" not in fixed
    assert scaled["enableInTreeAutoscaling"] is True
    (group,) = scaled["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (2, 5)


def test_callers_need_the_token_which_is_a_file() -> None:
    (group,) = service_of(declare(app_changes={}))["rayClusterConfig"]["workerGroupSpecs"]
    pod = group["template"]["spec"]
    variables = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
    mounts = {item["name"]: item["mountPath"] for item in pod["containers"][0]["volumeMounts"]}
    volume = next(item for item in pod["volumes"] if item["name"] == "serving-token")
    assert volume["secret"]["secretName"] == "serving-token"
    assert variables["SLIPWAY_TOKEN_FILE"] == f"{mounts['serving-token']}/token"


def test_the_service_has_a_name_that_never_changes() -> None:
    service = service_of(declare(app_changes={}))["serveService"]
    assert service["metadata"]["name"] == "serving"
    assert "selector" not in service["spec"], "KubeRay points it at the cluster that answers"


def test_requests_go_to_workers_whose_own_proxy_answers() -> None:
    made = declare(app_changes={})
    assert config_of(made)["proxy_location"] == "EveryNode"
    assert service_of(made)["excludeHeadPodFromServeSvc"] is True


def test_serve_gives_up_after_the_application_did() -> None:
    assert config_of(declare(app_changes={}))["http_options"]["request_timeout_s"] > 30


def test_the_service_is_waited_for_and_then_the_release() -> None:
    made = declare(app_changes={})
    assert made.one(RAY_SERVICE).inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"
    assert "serving-service" in made.one(JOB, "serving-release").dependencies


@pytest.mark.parametrize(
    ("changes", "renamed"),
    [({}, False), ({"wait": "started"}, True), ({"candidate": "4"}, True)],
)
def test_the_release_job_is_another_when_something_else_is_asked(changes: dict[str, Any], renamed: bool) -> None:  # noqa: FBT001
    first = declare(app_changes={}).one(JOB, "serving-release").inputs["metadata"]["name"]
    other = declare(app_changes=changes)
    assert (other.one(JOB, "serving-release").inputs["metadata"]["name"] != first) is renamed


def test_workers_that_nobody_needs_go_and_shared_memory_is_where_ray_looks_for_it() -> None:
    more = {"arguments": {"poll_s": 1.0, "replicas": {"min": 1, "max": 3}, "limits": {"request_timeout_s": 30}}}
    cluster = declare(app_changes=more).one(RAY_SERVICE).inputs["spec"]["rayClusterConfig"]
    assert cluster["autoscalerOptions"]["idleTimeoutSeconds"] == 120
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        ray = group["template"]["spec"]["containers"][0]
        assert {"name": "shared-mem", "mountPath": "/dev/shm"} in ray["volumeMounts"]  # noqa: S108


def test_another_image_waits_anew_for_the_release() -> None:
    names = [
        declare(app_changes={}, image=f"registry.example/slipway@sha256:{digit * 64}")
        .one(JOB)
        .inputs["metadata"]["name"]
        for digit in "ab"
    ]
    assert names[0] != names[1], "a Job's pod cannot be changed, and the new image's replicas are to be waited for"


def test_a_gateway_routes_its_host_name_by_tls() -> None:
    assert declare(app_changes={}).all(ROUTE) == []
    seen: dict[str, Any] = {}
    made = declare(app_changes={}, seen=seen, gateway={**GATEWAY, "tls": {"section": "https"}})
    route = made.one(ROUTE).inputs["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways", "sectionName": "https"}]
    assert route["rules"][0]["backendRefs"] == [{"name": "serving", "port": 8000}]
    assert seen["url"] == "https://models.example"


def test_an_upgrade_by_steps_has_a_stable_service_and_the_autoscaler() -> None:
    made = declare(app_changes={}, incremental_upgrade={"gateway_class": "istio", "step_percent": 20})
    spec = service_of(made)
    assert spec["upgradeStrategy"]["clusterUpgradeOptions"]["stepSizePercent"] == 20
    assert spec["rayClusterConfig"]["enableInTreeAutoscaling"] is True
    assert "serveService" not in spec, "KubeRay ignores it then"
    assert made.one("kubernetes:core/v1:Service").inputs["metadata"]["name"] == "serving"
