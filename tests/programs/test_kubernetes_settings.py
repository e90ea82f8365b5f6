"""What a cluster's program makes of its settings: store, database, pools, image, and the result of the run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.runtime import MockResourceArgs

from tests.mock_engine import Engine
from tests.programs.kubernetes_program import Cluster, deployed, pods


@pytest.fixture(scope="module")
def engine() -> Engine:
    return deployed()[0]


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


def test_the_tracking_server_is_replaced_without_a_gap_and_never_holds_up_the_drain_of_a_node(engine: Engine) -> None:
    spec = engine.one("kubernetes:apps/v1:Deployment", "tracking-deployment").inputs["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = engine.one("kubernetes:policy/v1:PodDisruptionBudget").inputs["spec"]
    assert budget["maxUnavailable"] == 1, "with one replica, `minAvailable: 1` or 0 here would block every drain"
    assert budget["selector"] == spec["selector"], "it is about these pods"


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
    spec = json.loads(engine.one("kubernetes:core/v1:ConfigMap", "training-spec").inputs["data"]["spec.json"])
    assert spec["storage"] == "file:///var/lib/slipway/artifacts/checkpoints", "a folder of the pod would go with it"


def test_a_changed_image_fills_secrets_anew_under_another_name(engine: Engine) -> None:
    other, _ = deployed(substrate={"image": f"registry.example/slipway@sha256:{'3' * 64}"})
    first, second = (
        found.one("kubernetes:batch/v1:Job", "secrets-job").inputs["metadata"]["name"] for found in (engine, other)
    )
    assert first != second, "a Job's pod cannot be changed; under its old name it could not be made first"


def test_secrets_that_were_made_again_are_filled_again(engine: Engine) -> None:
    job = engine.one("kubernetes:batch/v1:Job", "secrets-job")
    made = {item.name for item in engine.all("kubernetes:core/v1:Secret") if item.name.startswith("secrets-")}
    assert len(made) == 4
    assert made <= set(job.dependencies)
    again, _ = deployed(engine=Remade())
    mark, other = (
        found.one("kubernetes:batch/v1:Job", "secrets-job").inputs["spec"]["template"]["metadata"]["annotations"]
        for found in (engine, again)
    )
    assert mark != other, "a Secret that somebody deleted is another object, and empty"


class Remade(Cluster):
    """A cluster on which one of the Secrets is another object than before."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        found, state = super().new_resource(args)
        if args.name == "secrets-ray-token":
            state = {**state, "metadata": {**state["metadata"], "uid": "another"}}
        return found, state


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
