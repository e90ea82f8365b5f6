"""Who reaches whom in an environment's namespace, computed from the rendered NetworkPolicies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.kubernetes.network_policies import AUTOSCALES, ROLE_LABEL, Paths, manifest, render
from components.kubernetes.platforms import PLATFORMS, Endpoint, PlatformName
from tests.network_policy import Host, Pod, Policies, Port, allows

DOCUMENT = Path(__file__).parents[2] / "docs" / "reachability.md"
HOME = "slipway-prod"


def pod(name: str, role: str, number: int, **labels: str) -> Pod:
    return Pod(name, HOME, f"10.244.0.{number}", {ROLE_LABEL: role, **labels})


HEAD, WORKER = {"ray.io/node-type": "head"}, {"ray.io/node-type": "worker"}
OURS = [
    pod("tracking", "tracking", 1),
    pod("database", "database", 2),
    pod("training head", "training", 3, **HEAD),
    pod("training worker", "training", 4, **WORKER),
    pod("serving head", "serving", 5, **HEAD),
    pod("serving worker", "serving", 6, **WORKER),
    pod("setup job", "setup", 7),
    Pod("unlabelled pod", HOME, "10.244.0.8"),
    pod("autoscaling head", "serving", 9, **HEAD, **AUTOSCALES),
]
OTHERS = [
    Pod("KubeRay", "kuberay-operator", "10.244.1.1"),
    Pod("gateway", "gateway", "10.244.1.2"),
    Pod("Prometheus", "monitoring", "10.244.1.3"),
    Pod("stranger", "default", "10.244.1.4", {ROLE_LABEL: "training"}),  # a label does not help from elsewhere
]
ELSEWHERE: list[Pod | Host] = [
    Pod("DNS", "kube-system", "10.244.2.1", {"k8s-app": "kube-dns"}),
    Pod("store in cluster", "minio", "10.244.2.2"),
    Host("API server", "172.30.0.1"),
    Host("private host", "10.0.0.5"),
    Host("internet", "93.184.216.34"),
    Host("metadata", "169.254.169.254"),
    Host("node agent", "169.254.170.23"),
]
PORTS = [
    Port(22),
    Port(53),
    Port(53, "UDP"),
    Port(80),
    Port(443),
    Port(5000),
    Port(5432),
    Port(6379),
    Port(6443),
    Port(8000),
    Port(8080),
    Port(8265),
    Port(9000),
    Port(10001),
    Port(44217),
]
LEAST = Paths()
MOST = Paths(
    api_server=Endpoint(cidr="172.30.0.1/32", ports=[6443]),
    object_store=[],
    store_in={"minio": [9000]},
    identity=PLATFORMS["eks"].identity.endpoints,
    dns=PLATFORMS["eks"].dns,
    database=[Endpoint(cidr="10.0.0.5/32", ports=[5432])],
    ingress_from=["gateway"],
    scrape_from=["monitoring"],
)
Matrix = dict[tuple[str, str], tuple[Port, ...]]


def policies(paths: Paths, without: str = "") -> Policies:
    return [manifest(name, spec, HOME) for name, spec in render(paths).items() if name != without]


def matrix(rendered: Policies) -> Matrix:
    """Every source, every destination, and the ports of `PORTS` that are open between them."""
    targets: list[Pod | Host] = [*OURS, *ELSEWHERE, *OTHERS]
    return {
        (source.name, target.name): tuple(port for port in PORTS if allows(rendered, source, target, port))
        for source in [*OURS, *OTHERS]
        for target in targets
        if source != target and (source in OURS or target in OURS)
    }


def callers(found: Matrix, target: str, port: int) -> set[str]:
    return {source for (source, other), ports in found.items() if other == target and Port(port) in ports}


def test_only_tracking_reaches_the_database() -> None:
    found = matrix(policies(LEAST))
    assert callers(found, "database", 5432) == {"tracking"}
    assert not any(ports for (source, _), ports in found.items() if source == "database")


def test_tracking_is_called_by_those_that_log_or_read_models() -> None:
    ray = {"training head", "training worker", "serving head", "serving worker", "autoscaling head"}
    assert callers(matrix(policies(LEAST)), "tracking", 5000) == {*ray, "setup job"}


def test_the_model_endpoint_is_closed_until_a_namespace_is_named() -> None:
    ray = {"serving head", "serving worker", "autoscaling head"}
    assert callers(matrix(policies(LEAST)), "serving worker", 8000) - ray == set()
    assert callers(matrix(policies(MOST)), "serving worker", 8000) - ray == {"gateway"}


def test_dashboards_answer_their_own_cluster_and_the_operator_alone() -> None:
    assert callers(matrix(policies(MOST)), "training head", 8265) == {"training worker", "KubeRay"}


def test_training_and_serving_do_not_reach_each_other() -> None:
    found = matrix(policies(MOST))
    assert not any(ports for pair, ports in found.items() if {name[:7] for name in pair} == {"trainin", "serving"})


@pytest.mark.parametrize("paths", [LEAST, MOST])
def test_nothing_reaches_the_identity_of_the_node(paths: Paths) -> None:
    found = matrix(policies(paths))
    assert not any(ports for (_, target), ports in found.items() if target == "metadata")


def test_an_identity_endpoint_is_open_to_the_users_of_the_store_alone() -> None:
    assert callers(matrix(policies(MOST)), "node agent", 80) == {"tracking", "training head", "training worker"}
    assert callers(matrix(policies(LEAST)), "node agent", 80) == set()


def test_the_api_server_is_for_jobs_and_for_heads_that_ask_for_workers() -> None:
    assert callers(matrix(policies(MOST)), "API server", 6443) == {"autoscaling head", "setup job"}


def test_where_models_run_nothing_leaves_the_cluster() -> None:
    """Loading a model is running its code; it gets there through tracking."""
    found = matrix(policies(LEAST))
    for name in ("serving head", "serving worker"):
        assert not [target.name for target in ELSEWHERE[1:] if found[name, target.name]]


def test_an_unlabelled_pod_reaches_nothing_and_nothing_reaches_it() -> None:
    found = matrix(policies(MOST))
    assert not any(ports for pair, ports in found.items() if "unlabelled pod" in pair)


def test_strangers_reach_nothing_whatever_their_labels() -> None:
    found = matrix(policies(MOST))
    assert not any(ports for (source, _), ports in found.items() if source == "stranger")


def test_names_are_looked_up_by_the_cache_on_the_node_where_there_is_one() -> None:
    """Cilium hands what is sent to `kube-dns` to the cache's pod, which is what the policy then sees."""
    cache = Pod("cache", "kube-system", "10.244.2.3", {"k8s-app": "node-local-dns"})
    other = Pod("other", "kube-system", "10.244.2.4", {"k8s-app": "metrics-server"})
    impostor = Pod("impostor", "default", "10.244.2.5", {"k8s-app": "node-local-dns"})
    for source in OURS[2:7]:
        for port in (Port(53), Port(53, "UDP")):
            assert allows(policies(LEAST), source, cache, port)
            assert not allows(policies(LEAST), source, other, port)
            assert not allows(policies(LEAST), source, impostor, port)
    assert not allows(policies(LEAST), OURS[1], cache, Port(53)), "the database looks nothing up"


@pytest.mark.parametrize(
    ("platform", "address"),
    [
        ("generic", "169.254.20.10"),
        ("generic", "169.254.25.10"),
        ("gke", "169.254.169.254"),
        ("gke", "169.254.20.10"),
        ("aks", "169.254.10.10"),
        ("aks", "169.254.10.11"),
        ("eks", "169.254.20.10"),
    ],
)
def test_a_platform_s_own_cache_answers_names_and_nothing_else(platform: PlatformName, address: str) -> None:
    rendered = policies(Paths(dns=PLATFORMS[platform].dns))
    cache = Host("cache", address)
    assert {port for port in PORTS if allows(rendered, OURS[0], cache, port)} == {Port(53), Port(53, "UDP")}


def test_a_load_balancer_that_is_no_pod_calls_the_model_where_its_range_is_named() -> None:
    proxy, elsewhere = Host("proxy", "35.191.0.7"), Host("elsewhere", "35.190.0.7")
    named = policies(Paths(ingress_networks=PLATFORMS["gke"].gateway_networks))
    assert {port.number for port in PORTS if allows(named, proxy, OURS[5], port)} == {8000}
    assert not any(allows(named, elsewhere, OURS[5], port) for port in PORTS)
    assert not any(allows(named, proxy, OURS[0], port) for port in PORTS), "MLflow is not routed outside"
    assert not any(allows(policies(LEAST), proxy, OURS[5], port) for port in PORTS)


def test_metrics_are_read_only_where_that_was_asked_for() -> None:
    assert "Prometheus" not in callers(matrix(policies(LEAST)), "serving worker", 8080)
    assert "Prometheus" in callers(matrix(policies(MOST)), "serving worker", 8080)
    assert callers(matrix(policies(MOST)), "tracking", 8080) == set()


@pytest.mark.parametrize("paths", [LEAST, MOST], ids=["least", "most"])
def test_every_policy_makes_a_difference(paths: Paths) -> None:
    whole = matrix(policies(paths))
    for name in render(paths):
        assert matrix(policies(paths, without=name)) != whole, f"{name} could go: nothing would notice"


def test_without_the_default_a_stranger_reaches_an_unlabelled_pod() -> None:
    found = matrix(policies(LEAST, without="default-deny"))
    assert Port(22) in found["stranger", "unlabelled pod"], "the control: the evaluator does see what is open"


@pytest.mark.parametrize(
    ("spec", "open_ports"),
    [
        ({"podSelector": {}}, ()),
        ({"podSelector": {}, "ingress": [{}]}, (22, 80)),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}, (80,)),
        ({"podSelector": {}, "ingress": [{"ports": [{"port": 20, "endPort": 30}]}]}, (22,)),
        ({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}, ()),
        ({"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]}, (22, 80)),
        ({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.244.1.0/24"}}]}]}, (22, 80)),
        (
            {
                "podSelector": {},
                "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.244.1.4/32"]}}]}],
            },
            (),
        ),
        ({"podSelector": {"matchLabels": {"other": "pod"}}}, (22, 80)),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, (22, 80)),
    ],
)
def test_the_evaluator_follows_the_semantics_of_the_api(spec: dict[str, Any], open_ports: tuple[int, ...]) -> None:
    policy = {"metadata": {"namespace": HOME}, "spec": spec}
    stranger, target = OTHERS[3], OURS[0]
    assert tuple(n for n in (22, 80) if allows([policy], stranger, target, Port(n))) == open_ports


def table(found: Matrix) -> str:
    """The matrix as Markdown: sources down, destinations across."""
    targets = [target.name for target in (*OURS, *ELSEWHERE, *OTHERS)]
    lines = ["| from \\ to | " + " | ".join(targets) + " |", "|---" * (len(targets) + 1) + "|"]
    for source in dict.fromkeys(source for source, _ in found):
        cells = [_cell(found, source, target) for target in targets]
        lines.append(f"| **{source}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: Mapping[tuple[str, str], tuple[Port, ...]], source: str, target: str) -> str:
    if (source, target) not in found:
        return ""
    ports = found[source, target]
    return "all" if len(ports) == len(PORTS) else " ".join(str(port) for port in ports) or "-"


def document() -> str:
    probed = ", ".join(str(port) for port in PORTS)
    return f"""# Who reaches whom

Computed by `tests/unit/test_reachability.py` from the NetworkPolicies that `components/kubernetes/network_policies.py`
renders; the test fails when this page and the policies differ. To renew it, delete it and run the test.

Enforcement was not run: the network plugin of the test cluster ignores NetworkPolicies, as some do. On yours, check
that it does not (Calico, Cilium and the plugins of GKE, AKS and EKS enforce them once that is turned on).

Ports tried between every two: {probed}.
A cell lists those that are open; `-` means that every one is denied, an empty cell that the path does not concern
the environment's namespace. A node always reaches the pods it runs (probes, port-forwards): no policy can forbid that.
The autoscaling head is one of serving with `replicas.max` above `min`; of a shared cluster, which is training's, the
head asks the API server too. No other Ray pod does.
An address range is taken to cover pods too, as some plugins do: with the defaults, "anywhere by HTTPS" includes pods.

## With no more than the defaults

Artifacts, data and the API server anywhere by HTTPS (but never at a link-local address of the node), PostgreSQL in the
namespace, nobody may call the model.

{table(matrix(policies(LEAST)))}

## With everything named

The API server's address, an object store in the namespace `minio`, a database at 10.0.0.5, EKS Pod Identity, callers in
the namespace `gateway`, metrics for the namespace `monitoring`.

{table(matrix(policies(MOST)))}
"""


def test_the_page_in_the_docs_is_what_the_policies_say() -> None:
    text = document()
    if not DOCUMENT.exists():
        DOCUMENT.write_text(text)
        pytest.fail(f"{DOCUMENT.name} did not exist and was written: read it, commit it")
    assert text == DOCUMENT.read_text(), f"if the change is meant, delete {DOCUMENT} and run again"
