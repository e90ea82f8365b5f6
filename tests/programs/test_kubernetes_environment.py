"""The example stack file of a cluster through `deploy()`: which objects there are, how they hang together, how safe."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.mock_engine import Engine
from tests.programs.kubernetes_program import Cluster, Pod, deployed, pods

GOLDEN = Path(__file__).parent / "golden" / "Pulumi.cluster.yaml.json"
TOKENS = {"secrets", "verdict", "release"}
"""Accounts whose pods talk to the API server; and Ray heads with an autoscaler."""
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return deployed()[0]


def shape(engine: Engine) -> list[list[Any]]:
    return sorted([item.type, item.name, item.parent, item.provider] for item in engine.registrations)


def test_the_registered_resources_are_the_golden_ones(engine: Engine) -> None:
    text = json.dumps(shape(engine), indent=1) + "\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text)
        pytest.fail(f"{GOLDEN.name} did not exist and was written: read it, commit it")
    assert text == GOLDEN.read_text(), f"if the change is meant, delete {GOLDEN} and run again"


def test_a_preview_registers_what_an_update_does(engine: Engine) -> None:
    preview, outputs = deployed(preview=True)
    assert shape(preview) == shape(engine), "a resource made in an `apply` is missing from a preview"
    assert "training" not in outputs, "the control: what training will find is unknown, so that output is too"
    assert outputs["tracking"] == {"uri": "http://tracking.slipway-dev.svc.cluster.local:5000"}


def test_two_runs_of_the_program_register_the_same_inputs(engine: Engine) -> None:
    key = lambda item: (item.type, item.name)  # noqa: E731
    assert sorted(deployed()[0].registrations, key=key) == sorted(engine.registrations, key=key)


def test_every_object_is_made_by_the_one_explicit_provider(engine: Engine) -> None:
    providers = {item.provider for item in engine.registrations if item.type.startswith("kubernetes:")}
    assert len(providers) == 1
    assert providers != {""}, "a resource without an explicit provider would use the current context"
    provider = engine.one("pulumi:providers:kubernetes").inputs
    assert provider["context"] == "example"
    assert provider["enableServerSideApply"] == "true"


def test_every_object_says_whose_it_is(engine: Engine) -> None:
    for item in engine.registrations:
        if item.type.startswith("kubernetes:"):
            labels = item.inputs["metadata"].get("labels", {})
            assert labels.get("slipway/environment") == "slipway-dev", f"{item.name} has the labels {labels}"


def ground_of(engine: Engine) -> set[str]:
    return {
        item.name
        for item in engine.registrations
        if item.type.startswith("kubernetes:") and item.parent in ("namespace", "network", "foundation")
    }


def behind(engine: Engine, name: str) -> set[str]:
    """Return everything that the resource depends on, at first or second hand."""
    direct = {item.name: set(item.dependencies) for item in engine.registrations}
    found: set[str] = set()
    open_ = set(direct[name])
    while open_:
        found |= open_
        open_ = {further for one in open_ for further in direct.get(one, ())} - found
    return found


def test_workloads_are_destroyed_before_the_ground_they_stand_on(engine: Engine) -> None:
    ground = ground_of(engine)
    assert {"namespace-namespace", "network-default-deny", "secrets-job"} <= ground
    workloads = [
        item for item in engine.registrations if item.type.startswith("kubernetes:") and item.name not in ground
    ]
    assert {item.parent for item in workloads} == {"tracking", "training", "serving"}
    for item in workloads:
        missing = ground - behind(engine, item.name)
        assert not missing, f"{item.name} must depend on {sorted(missing)}"


def test_training_needs_tracking_and_serving_needs_it_too(engine: Engine) -> None:
    for type_ in ("kubernetes:ray.io/v1:RayJob", "kubernetes:ray.io/v1:RayService"):
        assert "tracking-service" in engine.one(type_).dependencies
    assert "tracking-deployment" in engine.one("kubernetes:core/v1:Service", "tracking-service").dependencies, (
        "a Service is awaited until it has endpoints, which come with the Deployment"
    )


def test_the_database_is_there_before_what_migrates_it(engine: Engine) -> None:
    deployment = engine.one("kubernetes:apps/v1:Deployment", "tracking-deployment")
    assert {"tracking-database", "tracking-database-service"} <= set(deployment.dependencies)


# security, of every pod in the program


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


# what the substrate does with the config


def container_of(engine: Engine, owner: str) -> dict[str, Any]:
    (pod,) = [pod for pod in pods(engine) if pod.owner == owner]
    return dict(pod.spec["containers"][0])


def environment_of(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_the_tracking_server_wants_a_login_and_knows_its_names(engine: Engine) -> None:
    container = container_of(engine, "tracking-deployment")
    assert "basic-auth" in container["args"]
    environment = environment_of(container)
    hosts = environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"tracking", "tracking:*", "tracking.slipway-dev.svc.cluster.local:*", "localhost:*"} <= set(hosts)
    assert "*" not in hosts
    secret = {"secretKeyRef": {"name": "tracking-login", "key": "password"}}
    assert environment["MLFLOW_AUTH_ADMIN_PASSWORD"] == secret
    assert environment["MLFLOW_BACKEND_STORE_URI"] == {"secretKeyRef": {"name": "database", "key": "url"}}
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://models/example"
    assert environment["AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "artifacts-access"


def test_migrations_run_before_the_server_and_get_the_address_from_the_secret(engine: Engine) -> None:
    (pod,) = [pod for pod in pods(engine) if pod.owner == "tracking-deployment"]
    (prepare,) = pod.spec["initContainers"]
    spec = json.loads(prepare["args"][0])
    assert [command[0] for command in spec["commands"]] == ["mlflow", "mlflow.server.auth"]
    assert "postgresql" not in prepare["args"][0], "an argument list must not hold the address with its password"
    environment = environment_of(prepare)
    assert environment.pop("SLIPWAY_IMAGE") == prepare["image"]
    assert environment == {spec["variable"]: {"secretKeyRef": {"name": "database", "key": "url"}}}


def test_training_and_serving_log_in_to_tracking(engine: Engine) -> None:
    for owner in ("training-job", "serving-service"):
        for pod in [pod for pod in pods(engine) if pod.owner == owner]:
            container = pod.spec["containers"][0]
            if container["name"].startswith("ray-job"):
                continue
            environment = environment_of(dict(container))
            assert environment["MLFLOW_TRACKING_URI"] == "http://tracking.slipway-dev.svc.cluster.local:5000"
            assert environment["MLFLOW_TRACKING_PASSWORD"]["secretKeyRef"]["name"] == "tracking-login"


def test_training_goes_to_its_gpu_pool_and_nothing_else_does(engine: Engine) -> None:
    asking = {
        (pod.owner, container["name"])
        for pod in pods(engine)
        for container in pod.containers
        if "nvidia.com/gpu" in container["resources"]["limits"]
    }
    assert asking == {("training-job", "ray-worker")}
    tolerating = {pod.owner for pod in pods(engine) if pod.spec.get("tolerations")}
    assert tolerating == {"training-job"}


def test_outputs_say_where_secrets_are_kept_and_never_what_they_are() -> None:
    _, outputs = deployed()
    assert outputs["secrets"] == {
        "tracking_login": "slipway-dev/tracking-login",
        "ray_token": "slipway-dev/ray-token",
        "serving_token": "slipway-dev/serving-token",
    }
    assert outputs["serving"]["url"] == "https://models.example"
    assert outputs["serving"]["champion"] == "3"
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["ray"] == {"dashboard_url": None}, "absent is None: clusters come and go with their workloads"


def test_credentials_of_the_stack_file_become_a_secret_and_nothing_else() -> None:
    given = {"access_key_id": "AKIA-EXAMPLE", "secret_access_key": "plainly-secret"}
    engine, outputs = deployed(secrets={"artifacts_credentials": json.dumps(given)}, substrate={"store_secret": None})
    holders = [item.name for item in engine.registrations if "plainly-secret" in json.dumps(item.inputs)]
    assert holders == ["artifacts-credentials"]
    assert "plainly-secret" not in json.dumps(outputs)
    environment = environment_of(container_of(engine, "tracking-deployment"))
    assert environment["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["name"] == "artifacts-credentials"


def test_malformed_credentials_are_refused_without_showing_them() -> None:
    with pytest.raises(Exception, match="access_key_id") as caught:
        deployed(secrets={"artifacts_credentials": "plainly-secret"}, substrate={"store_secret": None})
    assert "plainly-secret" not in str(caught.value)


def test_a_database_outside_the_cluster_makes_none_inside() -> None:
    engine, _ = deployed(
        secrets={"database_url": "postgresql://mlflow:pass@db.example/mlflow"}, substrate={"database": {}}
    )
    assert engine.all("kubernetes:apps/v1:StatefulSet") == []
    secret = engine.one("kubernetes:core/v1:Secret", "tracking-database-url")
    assert '"url": "postgresql+psycopg2://mlflow:pass@db.example/mlflow"' in json.dumps(secret.inputs["stringData"])
    assert "pass@db" not in json.dumps([item.inputs for item in engine.registrations if item is not secret])
    named, _ = deployed(substrate={"database": {"url_secret": "given"}})
    environment = environment_of(container_of(named, "tracking-deployment"))
    assert environment["MLFLOW_BACKEND_STORE_URI"]["secretKeyRef"]["name"] == "given"


def test_artifacts_on_a_volume_are_mounted_where_they_are_needed() -> None:
    engine, outputs = deployed(artifacts=None, substrate={"volume": {"size": "5Gi"}, "nodes": 1, "store_secret": None})
    mounting = {
        pod.owner
        for pod in pods(engine)
        if any(
            volume.get("persistentVolumeClaim", {}).get("claimName") == "artifacts" for volume in pod.spec["volumes"]
        )
    }
    assert mounting == {"tracking-deployment", "training-job"}
    assert outputs["artifact_store"] == {"uri": "/var/lib/slipway/artifacts/mlflow"}
    assert "artifacts-volume" in engine.one("kubernetes:apps/v1:Deployment").dependencies


def test_a_changed_image_fills_secrets_anew_under_another_name(engine: Engine) -> None:
    other, _ = deployed(substrate={"image": f"registry.example/slipway@sha256:{'3' * 64}"})
    first, second = (
        found.one("kubernetes:batch/v1:Job", "secrets-job").inputs["metadata"]["name"] for found in (engine, other)
    )
    assert first != second, "a Job's pod cannot be changed; under its old name it could not be made first"


def test_a_failed_run_fails_the_program_with_its_reason() -> None:
    broken = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": "ValueError: no such column"}
    with pytest.raises(Exception, match="no such column"):
        deployed(engine=Cluster(job=broken))


def test_a_rejected_candidate_is_not_released() -> None:
    rejected = {"run_id": "run-1", "verdict": "rejected", "reasons": ["accuracy 0.8 is below 0.9"], "candidate": None}
    engine, outputs = deployed(engine=Cluster(result=rejected))
    config = json.loads(engine.one("kubernetes:ray.io/v1:RayService").inputs["spec"]["serveConfigV2"])
    assert '"candidate": null' in json.dumps(config)
    assert outputs["training"]["reasons"] == ["accuracy 0.8 is below 0.9"]
