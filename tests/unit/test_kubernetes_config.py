"""Settings of the Kubernetes substrate: what it lacks is refused by name, contradictions are told with their fix."""

from __future__ import annotations

from typing import Any

import pytest

from components.seam import Place
from infra.kubernetes.foundation import kubeconfig, namespace_of
from infra.kubernetes.settings import KubernetesConfig
from stacks.config import json_schema, load
from stacks.problems import ConfigError
from tests.programs.kubernetes_program import ROOT, deployed, settings

IMAGE = f"registry.example/slipway@sha256:{'1' * 64}"


def problems_of(secrets: tuple[str, ...] = (), **changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(settings(**changes), secrets)
    return [str(problem) for problem in caught.value.problems]


def test_the_example_stack_file_is_accepted() -> None:
    config = load(settings()).substrate
    assert isinstance(config, KubernetesConfig)
    assert config.operators == "external", "nothing is installed into a cluster unless that is asked for"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"substrate": {"contxt": "a"}}, ["slipway:substrate.contxt", "did you mean context?"]),
        ({"substrate": {"image": "slipway:latest"}}, ["slipway:substrate.image", "slipway:latest", "sha256"]),
        ({"substrate": {"platform": "moon"}}, ["slipway:substrate.platform", "gke"]),
        ({"substrate": {"quota": {"gpus": -1}}}, ["slipway:substrate.quota.gpus", "-1"]),
        ({"substrate": {"quota": {"cpu": "many"}}}, ["slipway:substrate.quota.cpu", "many"]),
        ({"substrate": {"api_server_cidr": "here"}}, ["slipway:substrate.api_server_cidr", "here"]),
        ({"substrate": {"namespace": "Upper"}}, ["slipway:substrate.namespace", "Upper"]),
        ({"substrate": {"database": {}}}, ["slipway:substrate.database", "one PostgreSQL database", "database_url"]),
        (
            {"substrate": {"database": {"image": IMAGE, "url_secret": "given"}}},
            ["slipway:substrate.database", "there are 2"],
        ),
        ({"substrate": {"operators": "managed"}}, ["operator_images.kuberay", "required", "external"]),
        ({"tracking": {"port": 5000}}, ["slipway:tracking.port", "5000", "no ports to choose", "remove it"]),
        ({"data": {"uri": "data/x.csv", "target": "y"}}, ["slipway:data.uri", "files of this machine", "s3://"]),
        ({"artifacts": {}}, ["slipway:artifacts.uri", "makes no bucket", "substrate.volume"]),
        ({"artifacts": {"uri": "/tmp/x"}}, ["slipway:artifacts.uri", "folders of this machine"]),  # noqa: S108
        ({"artifacts": {"uri": "s3://b/p", "retain": True}}, ["slipway:artifacts.retain", "namespace goes"]),
        ({"substrate": {"volume": {}, "nodes": 1}}, ["slipway:artifacts.uri", "one store"]),
        ({"artifacts": None, "substrate": {"volume": {}}}, ["slipway:substrate.volume", "one node", "s3://"]),
        ({"artifacts": None, "substrate": {"volume": {}, "nodes": 3}}, ["slipway:substrate.volume", "one node"]),
    ],
)
def test_a_wrong_setting_is_named_with_rule_and_fix(changes: dict[str, Any], told: list[str]) -> None:
    (message,) = problems_of(**changes)
    for text in told:
        assert text in message, f"the message must contain {text!r}"
    assert "fix: " in message
    assert "substrate.kubernetes" not in message, "that is pydantic's path; nobody wrote it"


def test_all_problems_are_reported_together() -> None:
    found = problems_of(substrate={"database": {}, "operators": "managed"}, serving={"port": 8000})
    assert len(found) == 3, found


def test_a_kind_that_is_missing_or_unknown_is_told_by_its_key() -> None:
    plain = {"data": {"uri": "sklearn:iris", "target": "target"}}
    for substrate, told in (({}, "is required"), ({"kind": "moon"}, "'local', 'kubernetes'")):
        with pytest.raises(ConfigError) as caught:
            load({**plain, "substrate": substrate})
        (problem,) = caught.value.problems
        assert problem.path == "substrate.kind"
        assert told in str(problem)


def test_a_volume_is_accepted_on_one_node() -> None:
    load(settings(artifacts=None, substrate={"volume": {}, "nodes": 1}))


def test_what_is_given_may_be_retained_because_it_is_never_deleted() -> None:
    load(settings(artifacts={"uri": "s3://b/p", "retain": True}, substrate={"database": {"url_secret": "given"}}))


def test_encrypted_keys_count_as_settings() -> None:
    load(settings(substrate={"database": {}}), ["database_url"])
    (twice,) = problems_of(secrets=("artifacts_credentials",))
    assert "slipway:substrate.store_secret" in twice
    with pytest.raises(ConfigError, match="artifacts_credentials"):
        load(
            {"substrate": {"kind": "local"}, "data": {"uri": "sklearn:iris", "target": "target"}},
            ["artifacts_credentials"],
        )


@pytest.mark.parametrize(
    ("stack", "namespace"),
    [("dev", "slipway-dev"), ("pr-12", "slipway-pr-12"), ("a.b", "slipway-a-b-"), ("A_B", "slipway-a-b-")],
)
def test_the_namespace_is_a_dns_label_and_no_other_stack_has_it(stack: str, namespace: str) -> None:
    config = load(settings()).substrate
    assert isinstance(config, KubernetesConfig)
    found = namespace_of(Place(project="slipway", stack=stack, root=ROOT), config)
    assert found.startswith(namespace)
    assert found == namespace or len(found) == len(namespace) + 8, "told apart by a digest of what was changed"


def test_a_long_stack_name_still_makes_a_label() -> None:
    config = load(settings()).substrate
    assert isinstance(config, KubernetesConfig)
    names = {namespace_of(Place(project="slipway", stack="x" * 70 + end, root=ROOT), config) for end in "ab"}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_a_relative_kubeconfig_means_the_folder_of_the_project() -> None:
    config = load(settings(substrate={"kubeconfig": "admin.conf"})).substrate
    assert isinstance(config, KubernetesConfig)
    assert kubeconfig(Place(project="slipway", stack="dev", root=ROOT), config) == str(ROOT / "admin.conf")


def test_the_schema_for_editors_knows_every_substrate() -> None:
    kinds = json_schema()["properties"]["config"]["properties"]["slipway:substrate"]
    assert set(kinds["discriminator"]["mapping"]) == {"local", "kubernetes", "aws"}


POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
GATEWAY = {"name": "public", "namespace": "gateways", "hostname": "models.example.com", "tls": {}}


def peers(policy: str, direction: str, **substrate: Any) -> list[Any]:
    """Return whom a policy lets through, with these settings of the substrate."""
    engine, _ = deployed(substrate=substrate)
    (found,) = [item for item in engine.all(POLICY) if item.inputs["metadata"]["name"] == policy]
    (rule,) = found.inputs["spec"][direction]
    return list(rule["to" if direction == "egress" else "from"])


def blocks(found: list[Any]) -> set[str]:
    return {peer["ipBlock"]["cidr"] for peer in found if "ipBlock" in peer}


@pytest.mark.parametrize(
    ("platform", "ranges"), [("gke", {"35.191.0.0/16", "130.211.0.0/22", "10.9.0.0/23"}), ("generic", {"10.9.0.0/23"})]
)
def test_a_gateway_reaches_the_model_from_where_it_really_is(platform: str, ranges: set[str]) -> None:
    found = peers("serving-callers", "ingress", platform=platform, gateway=GATEWAY, ingress_networks=["10.9.0.0/23"])
    assert blocks(found) == ranges
    assert any("namespaceSelector" in peer for peer in found), "others are pods in the Gateway's namespace"


def test_a_platform_s_load_balancers_do_not_call_a_model_that_no_gateway_leads_to() -> None:
    found = peers("serving-callers", "ingress", platform="gke", gateway=None, ingress_from=["callers"])
    assert blocks(found) == set()


def test_name_servers_elsewhere_are_reached_when_the_stack_file_names_them() -> None:
    assert "10.96.0.10/32" in blocks(peers("dns", "egress", egress={"dns": ["10.96.0.10/32"]}))
    assert "10.96.0.10/32" not in blocks(peers("dns", "egress"))
