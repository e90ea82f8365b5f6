"""The AWS stack files through `deploy()`: which resources there are, how they hang together, how safe they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.aws_inputs import check_all
from tests.mock_engine import Engine, Registration
from tests.programs.aws_program import STACKS, deployed, inputs, settings

GOLDEN = Path(__file__).parent / "golden"
_CACHE: dict[str, tuple[Engine, dict[str, Any]]] = {}


def engine_of(stack: str) -> Engine:
    if stack not in _CACHE:
        _CACHE[stack] = deployed(stack)
    return _CACHE[stack][0]


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(stack: str) -> Engine:
    return engine_of(stack)


def shape(engine: Engine) -> list[list[Any]]:
    return sorted([item.type, item.name, item.parent] for item in engine.registrations)


def behind(engine: Engine, name: str, type_: str | None = None) -> set[str]:
    """Return everything that a resource depends on, at first or second hand."""
    direct: dict[str, set[str]] = {}
    for item in engine.registrations:
        direct.setdefault(item.name, set()).update(item.dependencies)
    found: set[str] = set()
    open_ = set(direct[name])
    while open_:
        found |= open_
        open_ = {further for one in open_ for further in direct.get(one, ())} - found
    return found


def test_the_registered_resources_are_the_golden_ones(stack: str, engine: Engine) -> None:
    golden = GOLDEN / f"Pulumi.{stack}.yaml.json"
    text = json.dumps(shape(engine), indent=1) + "\n"
    if not golden.exists():
        golden.write_text(text)
        pytest.fail(f"{golden.name} did not exist and was written: read it, commit it")
    assert text == golden.read_text(), f"if the change is meant, delete {golden} and run again"


def test_every_property_is_one_that_the_aws_sdk_has(engine: Engine) -> None:
    assert check_all(engine.registrations) > 60, "the control: there is an environment's worth of them"


def test_a_preview_registers_what_an_update_does(stack: str, engine: Engine) -> None:
    preview, outputs = deployed(stack, preview=True)
    assert shape(preview) == shape(engine), "a resource made in an `apply` is missing from a preview"
    assert "training" not in outputs, "the control: what training will find is unknown"


def test_two_runs_of_the_program_register_the_same_inputs(stack: str, engine: Engine) -> None:
    key = lambda item: (item.type, item.name)  # noqa: E731
    again = deployed(stack)[0]
    assert sorted(again.registrations, key=key) == sorted(engine.registrations, key=key)


def test_everything_is_made_by_one_explicit_provider_of_its_cloud(engine: Engine) -> None:
    for package in ("aws", "kubernetes"):
        providers = {item.provider for item in engine.registrations if item.type.startswith(f"{package}:")}
        assert len(providers) == 1, f"{package} resources are made by {providers}"
        assert providers != {""}, "a default provider would take whatever credentials lie around"
    aws = engine.one("pulumi:providers:aws").inputs
    assert aws["region"] == "us-east-1"
    assert "111122223333" in aws["allowedAccountIds"], "credentials of another account are refused"
    assert {"slipway:project", "slipway:stack", "slipway:owner"} <= json.loads(aws["defaultTags"])["tags"].keys()
    cluster = engine.one("pulumi:providers:kubernetes").inputs
    assert cluster["clusterIdentifier"], "a changed kubeconfig would replace everything in the cluster"
    assert "exec" in cluster["kubeconfig"], "and it holds no credentials"


def test_offline_the_provider_has_placeholders_and_checks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_OFFLINE", "1")
    given = deployed("prod", preview=True)[0].one("pulumi:providers:aws").inputs
    checks = ("CredentialsValidation", "MetadataApiCheck", "RegionValidation", "RequestingAccountId")
    assert {check: given.get(f"skip{check}") for check in checks} == dict.fromkeys(checks, "true")
    assert given["accessKey"]["value"] == given["secretKey"]["value"] == "offline"
    assert "allowedAccountIds" not in given, "to hold one against it, the provider asks who it is"


def test_workloads_are_destroyed_before_nodes_and_nodes_before_the_network(engine: Engine) -> None:
    needed = {item.name for item in engine.all("aws:eks/nodeGroup:NodeGroup")}
    needed |= {item.name for item in engine.all("aws:eks/addon:Addon")}
    needed |= {item.name for item in engine.all("aws:eks/podIdentityAssociation:PodIdentityAssociation")}
    assert needed, "the control: there is a ground"
    needed |= {item.name for item in engine.all("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")}
    workloads = [item for item in engine.registrations if item.parent in ("tracking", "training", "serving")]
    assert len(workloads) > 5, "the control: there are workloads"
    for item in workloads:
        if item.type.startswith("kubernetes:"):
            missing = needed - behind(engine, item.name)
            assert not missing, f"{item.name} must depend on {sorted(missing)}"
    for group in engine.all("aws:eks/nodeGroup:NodeGroup"):
        assert behind(engine, group.name) >= {"network-nat-us-east-1a"} or any(
            "nat" in name for name in behind(engine, group.name)
        ), f"{group.name} starts before there is a way out"


def test_nodes_come_after_what_makes_them_ready_and_before_what_runs_on_them(engine: Engine) -> None:
    groups = engine.all("aws:eks/nodeGroup:NodeGroup")
    assert groups, "the control: there are nodes"
    first = {"addons-vpc-cni", "addons-kube-proxy", "addons-eks-pod-identity-agent"}
    for group in groups:
        missing = first - behind(engine, group.name)
        assert not missing, f"{group.name} would wait for nodes that never become ready without {sorted(missing)}"
    later = [one for one in engine.all("aws:eks/addon:Addon") if one.name not in first]
    assert {one.inputs["addonName"] for one in later} >= {"coredns", "aws-ebs-csi-driver", "metrics-server"}
    for one in later:
        assert "system-nodes" in behind(engine, one.name), f"{one.name} would wait for a node for ever"


def test_nothing_is_asked_of_the_cluster_before_who_asks_may_enter_it(engine: Engine) -> None:
    entered = {one.name for one in engine.all("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")}
    assert {name for name in entered if name.startswith("cluster-admin-")}, "the control: somebody administers it"
    provider = behind(engine, "cluster")
    missing = {name for name in entered if name.startswith("cluster-admin-")} - provider
    assert not missing, f"the cluster's provider must depend on {sorted(missing)}"
    assert "system-nodes" in provider, "what waits for pods would wait for nodes that are not asked for yet"


def objects(engine: Engine, *actions: str) -> dict[str, set[str]]:
    """Return below which prefixes of the bucket each workload's role may do any of `actions`."""
    found: dict[str, set[str]] = {}
    for item in engine.all("aws:iam/rolePolicy:RolePolicy"):
        for statement in json.loads(item.inputs["policy"])["Statement"]:
            if statement["Effect"] == "Allow" and {*actions, "s3:*", "*"} & set(statement["Action"]):
                paths = {one.partition("/")[2] for one in statement["Resource"]}
                found.setdefault(item.name.removesuffix("-policy"), set()).update(paths)
    return found


def test_each_workload_reaches_its_own_prefixes_of_the_bucket_alone(engine: Engine) -> None:
    assert objects(engine, "s3:PutObject", "s3:DeleteObject") == {
        "identity-tracking": {"mlflow/*"},
        "identity-training": {"checkpoints/*"},
    }, "a training must not write registered models: it hands them to the tracking server"
    assert objects(engine, "s3:GetObject") == {
        "identity-tracking": {"mlflow/*"},
        "identity-training": {"checkpoints/*", "data/*"},
    }


def test_the_pods_of_each_workload_have_an_identity_of_their_own(engine: Engine) -> None:
    found = {
        (one["namespace"], one["serviceAccount"])
        for one in inputs(engine, "aws:eks/podIdentityAssociation:PodIdentityAssociation").values()
    }
    namespace = engine.one("kubernetes:core/v1:Namespace", "namespace-namespace").inputs["metadata"]["name"]
    assert found == {
        (namespace, "tracking"),
        (namespace, "training"),
        (namespace, "secrets"),
        ("cluster-autoscaler", "cluster-autoscaler"),
    }, "serving gets its models through the tracking server, and is nobody in AWS"


def test_no_two_stacks_share_a_physical_name() -> None:
    names: dict[str, set[str]] = {}
    for stack in ("gpu-pr42", "gpu-pr43"):
        engine = deployed("gpu", name=stack)[0]
        ids = {f"{item.name}-id" for item in engine.registrations}  # of something named elsewhere
        names[stack] = {
            str(item.inputs[key])
            for item in engine.registrations
            if item.type.startswith("aws:")
            for key in ("name", "bucket", "nodeGroupName", "identifier", "alias")
            if key in item.inputs and item.type not in _NAMED_WITHIN and item.inputs[key] not in ids
        }
        assert len(names[stack]) > 20
    assert names["gpu-pr42"] & names["gpu-pr43"] == set()


_NAMED_WITHIN = {"aws:eks/addon:Addon", "aws:iam/rolePolicy:RolePolicy", "aws:autoscaling/tag:Tag"}
"""Names inside of something that has a name of its own."""


def protected(engine: Engine) -> set[str]:
    return {item.type for item in engine.registrations if item.protect or item.retain}


def test_production_keeps_its_data_and_an_ephemeral_environment_nothing() -> None:
    refused = {item.type for item in engine_of("prod").registrations if item.protect}
    lost = {"aws:s3/bucket:Bucket", "aws:rds/instance:Instance", "aws:eks/cluster:Cluster"}
    assert refused >= lost, "the engine refuses a destroy before the first of them is gone"
    kept = {item.name for item in engine_of("prod").registrations if item.retain}
    assert "keys-data" in kept, "without its key a kept bucket and a last snapshot are lost"
    assert {"aws:s3/bucket:Bucket", "aws:rds/instance:Instance"} <= protected(engine_of("prod"))
    assert protected(engine_of("gpu")) == set()


def test_without_an_image_there_is_the_ground_alone_and_a_word_on_what_comes_next() -> None:
    whole = engine_of("prod")
    engine, outputs = deployed("prod", image=None)
    left_out = {item.type.split(":")[0] for item in whole.registrations} - {
        item.type.split(":")[0] for item in engine.registrations
    }
    assert left_out == {"kubernetes"}
    assert outputs["substrate"]["registry"], "where the first image is pushed"
    assert outputs["tracking"] == {"uri": None}
    assert outputs["serving"]["url"] is None


def test_what_the_stack_file_says_of_the_cluster_reaches_it() -> None:
    engine = engine_of("prod")
    said = settings("prod")["substrate"]["cluster"]
    cluster = engine.one("aws:eks/cluster:Cluster").inputs
    assert cluster["version"] == said["version"]
    assert cluster["vpcConfig"]["publicAccessCidrs"] == said["public_cidrs"]
    assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/16", "which no VPC may overlap"
    tags = json.loads(engine.one("pulumi:providers:aws").inputs["defaultTags"])["tags"]
    driver = engine.one("aws:eks/addon:Addon", "workload-addons-aws-ebs-csi-driver").inputs["configurationValues"]
    assert json.loads(driver)["controller"]["extraVolumeTags"] == tags, "default tags do not reach volumes of claims"
    told = engine.one("kubernetes:apps/v1:Deployment", "operators-autoscaler-deployment").inputs["spec"]["template"]
    command = " ".join(told["spec"]["containers"][0]["command"])
    assert f"k8s.io/cluster-autoscaler/{cluster['name']}" in command, "it would scale the groups of other clusters"
    assert "--scale-down-unneeded-time=10m" in command, "GPU nodes that nobody uses go"


def test_outputs_say_where_the_cluster_is() -> None:
    engine_of("prod")
    outputs = _CACHE["prod"][1]
    where = outputs["substrate"]
    assert where["kind"] == "aws"
    assert where["region"] == "us-east-1"
    assert where["kubeconfig"] == ".slipway/prod/kubeconfig"
    assert where["cluster"] == where["context"]
    assert outputs["artifact_store"]["uri"].startswith("s3://")


def test_a_vpc_and_a_bucket_of_ones_own_are_used_and_not_made() -> None:
    subnets = {f"us-east-1{zone}": f"subnet-{zone}" for zone in "abc"}
    vpc = {"id": "vpc-0123456789abcdef0", "cidr": "10.9.0.0/16", "private_subnets": subnets}
    engine, _ = deployed("prod", network=None, vpc=vpc)
    assert engine.all("aws:ec2/vpc:Vpc") == []
    cluster = engine.one("aws:eks/cluster:Cluster").inputs["vpcConfig"]
    assert cluster["subnetIds"] == ["subnet-a", "subnet-b"], "zones of the control plane never change"
    system = engine.one("aws:eks/nodeGroup:NodeGroup", "system-nodes").inputs
    assert set(system["subnetIds"]) == set(subnets.values())


def gpu_groups(engine: Engine) -> list[Registration]:
    return [one for one in engine.all("aws:eks/nodeGroup:NodeGroup") if one.inputs.get("taints")]


def test_gpu_pods_fit_the_nodes_of_their_pool_and_no_others(engine: Engine) -> None:
    template = engine.one("kubernetes:ray.io/v1:RayJob").inputs["spec"]["rayClusterSpec"]
    groups = {one.inputs["labels"]["slipway/pool"] for one in gpu_groups(engine)}
    assert groups, "the control: there are GPU pools"
    for worker in template.get("workerGroupSpecs", []):
        pod = worker["template"]["spec"]
        wanted = pod.get("nodeSelector", {}).get("slipway/pool")
        limits = pod["containers"][0]["resources"].get("limits", {})
        assert ("nvidia.com/gpu" in limits) == (wanted is not None)
        assert wanted is None or wanted in groups
