"""Operators in a cluster: which objects they make, with which security, in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions

from components.kubernetes import cluster_autoscaler, crds, kuberay
from components.kubernetes.cluster_autoscaler import ClusterAutoscalerArgs
from components.kubernetes.device_plugin import DevicePluginArgs, daemon_set
from components.kubernetes.environment_namespace import (
    EnvironmentNamespace,
)
from components.kubernetes.kuberay import KubeRayArgs
from components.kubernetes.manifest import declare, pinned
from components.kubernetes.network_policies import NetworkPolicies, Paths
from components.kubernetes.operators import Operators, OperatorsArgs
from infra.engine import manifests
from tests.components.kubernetes_blocks import (
    DEFINITION,
    DEPLOYMENT,
    IMAGE,
    NAMESPACE,
    NAMESPACE_ARGS,
    cached,
    on_cluster,
    registered,
    with_operators,
)
from tests.mock_engine import Engine
from tests.pod_security import violations


@pytest.fixture(scope="session")
def kuberay_args() -> KubeRayArgs:
    return KubeRayArgs(manifests=cached(manifests.KUBERAY), image=IMAGE)


@pytest.fixture(scope="session")
def managed(kuberay_args: KubeRayArgs) -> OperatorsArgs:
    return OperatorsArgs(
        kuberay=kuberay_args,
        device_plugin=DevicePluginArgs(manifests=cached(manifests.DEVICE_PLUGIN), image=IMAGE, platform="eks"),
        autoscaler=ClusterAutoscalerArgs(
            image=IMAGE, discovery="asg:tag=owned", environment={"AWS_REGION": "eu-west-1"}
        ),
        storage_class="eks",
    )


@pytest.fixture(scope="session")
def up(managed: OperatorsArgs) -> Engine:
    """A program that installs every operator."""
    return with_operators(managed)


def test_external_operators_install_nothing() -> None:
    assert registered(with_operators(OperatorsArgs())) == [
        ("pulumi:providers:kubernetes", "cluster"),
        ("slipway:kubernetes:Operators", "operators"),
    ]


def test_workloads_wait_for_definitions_and_controllers(managed: OperatorsArgs) -> None:
    ready: list[str] = []

    def make(opts: ResourceOptions) -> None:
        made = Operators("operators", managed, opts)
        ready.extend(resource._name for resource in made.ready)

    on_cluster(make)
    assert ready == [
        "operators-kuberay-crd-rayclusters",
        "operators-kuberay-crd-rayjobs",
        "operators-kuberay-crd-rayservices",
        "operators-kuberay-deployment",
        "operators-device-plugin-daemonset",
        "operators-autoscaler-deployment",
        "operators-storage-class",
    ]


def test_the_controller_starts_after_its_definitions_and_rights(up: Engine) -> None:
    controller = up.one(DEPLOYMENT, "operators-kuberay-deployment")
    wanted = {"operators-kuberay-crd-rayjobs", "operators-kuberay-role", "operators-kuberay-binding"}
    assert wanted <= set(controller.dependencies), "it would start, find no kinds, and back off"


def test_every_object_is_on_the_explicit_provider(up: Engine) -> None:
    objects = [item for item in up.registrations if item.type.startswith("kubernetes:")]
    assert objects
    assert {item.provider.endswith("pulumi:providers:kubernetes") for item in objects} == {True}


@pytest.mark.parametrize("namespace", ["kuberay-operator", "nvidia-device-plugin", "cluster-autoscaler"])
def test_each_operator_has_a_namespace_of_its_own(up: Engine, namespace: str) -> None:
    engine = up
    levels = {
        item.inputs["metadata"]["name"]: item.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for item in engine.all(NAMESPACE)
    }
    assert levels[namespace] == ("privileged" if namespace == "nvidia-device-plugin" else "restricted")


def test_a_namespace_that_admits_more_says_why(up: Engine) -> None:
    for item in up.all(NAMESPACE):
        metadata = item.inputs["metadata"]
        if metadata["labels"]["pod-security.kubernetes.io/enforce"] != "restricted":
            assert "device-plugins" in metadata["annotations"]["slipway/why"]


def test_every_pod_is_restricted_but_the_device_plugin_s(up: Engine) -> None:
    engine = up
    for item in engine.all(DEPLOYMENT):
        assert violations(item.inputs["spec"]["template"]["spec"]) == [], item.name
    (plugin,) = engine.all("kubernetes:apps/v1:DaemonSet")
    found = violations(plugin.inputs["spec"]["template"]["spec"])
    assert found == [
        "volume kubelet-device-plugins-dir is a hostPath",
        "nvidia-device-plugin-ctr may run as root",
    ], "it needs the kubelet's folder, which belongs to root, and nothing else"


def test_every_image_is_named_by_digest(up: Engine) -> None:
    engine = up
    pods = [
        item.inputs["spec"]["template"]["spec"]
        for item in engine.registrations
        if "template" in item.inputs.get("spec", {})
    ]
    images = [container["image"] for pod in pods for container in pod["containers"]]
    assert len(images) == 3
    assert all("@sha256:" in image for image in images)


def test_an_image_by_tag_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the operator's image .*v1.6.2.* pin the image by digest"):
        pinned("quay.io/kuberay/operator:v1.6.2", "the operator's image")


def test_the_plugin_runs_on_gpu_nodes_only_whatever_else_taints_them(managed: OperatorsArgs) -> None:
    assert managed.device_plugin is not None
    pod = daemon_set(managed.device_plugin)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [{"operator": "Exists", "effect": "NoSchedule"}]


def test_a_second_plugin_on_gke_is_refused(managed: OperatorsArgs) -> None:
    assert managed.device_plugin is not None
    with pytest.raises(ValueError, match="runs NVIDIA's device plugin itself"):
        daemon_set(replace(managed.device_plugin, platform="gke"))


def test_every_right_of_the_operator_has_a_reason(kuberay_args: KubeRayArgs) -> None:
    for rule in kuberay.rules(kuberay_args):
        for group in rule["apiGroups"]:
            assert group not in kuberay.LEFT_OUT
            for resource in rule["resources"]:
                assert (group, resource) in kuberay.REASONS or (group, "*") in kuberay.REASONS


def test_a_right_that_a_release_adds_stops_the_program(kuberay_args: KubeRayArgs, tmp_path: Path) -> None:
    text = (kuberay_args.manifests / "role.yaml").read_text()
    added = "- apiGroups: ['']\n  resources: [nodes]\n  verbs: [delete]\n"
    (tmp_path / "role.yaml").write_text(text + added)
    with pytest.raises(ValueError, match=r"core/nodes.*has no reason"):
        kuberay.rules(replace(kuberay_args, manifests=tmp_path))


def test_a_watched_namespace_is_where_the_operator_s_rights_end(kuberay_args: KubeRayArgs) -> None:
    engine = with_operators(OperatorsArgs(kuberay=replace(kuberay_args, watch=["slipway-prod"])))
    assert not engine.all("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding")
    bindings = engine.all("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding")
    assert {item.inputs["metadata"]["namespace"] for item in bindings} == {"slipway-prod", "kuberay-operator"}
    (container,) = engine.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["--watch-namespace=slipway-prod"]


def test_routes_are_granted_only_for_incremental_upgrades(kuberay_args: KubeRayArgs) -> None:
    def groups(args: KubeRayArgs) -> set[str]:
        return {group for rule in kuberay.rules(args) for group in rule["apiGroups"]}

    assert "gateway.networking.k8s.io" not in groups(kuberay_args)
    assert "gateway.networking.k8s.io" in groups(replace(kuberay_args, gateway=True))


def test_the_autoscaler_deletes_no_pod_and_reads_no_secret() -> None:
    rules = [cluster_autoscaler._rule(*rule) for rule in cluster_autoscaler.RULES]
    assert not any("secrets" in rule["resources"] or "*" in rule["resources"] for rule in rules)
    assert not any("delete" in rule["verbs"] for rule in rules)


def test_a_preview_registers_what_an_up_registers(managed: OperatorsArgs) -> None:
    def whole(opts: ResourceOptions) -> None:
        Operators("operators", managed, opts)
        space = EnvironmentNamespace("namespace", NAMESPACE_ARGS, opts)
        NetworkPolicies("network", Paths(), namespace=space.namespace, opts=opts)

    assert registered(on_cluster(whole, preview=True)) == registered(on_cluster(whole))


def test_definitions_reach_the_engine_as_they_are(up: Engine, kuberay_args: KubeRayArgs) -> None:
    engine = up
    for kind, definition in crds.load(kuberay_args.manifests):
        found = engine.one(DEFINITION, f"operators-kuberay-crd-{kind}").inputs
        assert found["spec"] == definition["spec"], "a renamed key would change the schema"


def test_a_kind_that_the_sdk_lacks_is_named() -> None:
    with pytest.raises(LookupError, match=r"ray\.io/v1 RayJob"):
        declare("job", {"apiVersion": "ray.io/v1", "kind": "RayJob"}, ResourceOptions())


def test_components_promise_what_they_register(managed: OperatorsArgs) -> None:
    seen: dict[str, Any] = {}

    def make(opts: ResourceOptions) -> None:
        operators = Operators("operators", managed, opts)
        space = EnvironmentNamespace("namespace", NAMESPACE_ARGS, opts)
        pulumi.Output.all(operators.installed, space.namespace).apply(
            lambda both: seen.update(installed=both[0], namespace=both[1])
        )

    on_cluster(make)
    assert seen == {
        "installed": ["autoscaler", "device-plugin", "kuberay", "storage-class"],
        "namespace": "slipway-prod",
    }
