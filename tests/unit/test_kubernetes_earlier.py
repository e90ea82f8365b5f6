"""What the cluster says of earlier runs: one question, the next attempt of a failed run, what makes a run another."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from components.seam import Place
from infra.kubernetes.connection import shared
from infra.kubernetes.earlier import PART_ANNOTATION, Earlier, attempt_after, attempt_name, difference, look
from infra.kubernetes.findings import OFFLINE, Needs
from infra.kubernetes.names import Context
from infra.kubernetes.preflight import examine
from infra.kubernetes.settings import KubernetesConfig
from tests.unit.fake_cluster import CONTEXT, FakeCluster, fake_cluster

RUN = "training-1"
JOBS = "/apis/ray.io/v1/namespaces/ns/rayjobs?labelSelector=slipway/run"
PLUGIN = """
import json, pathlib, sys
with pathlib.Path(sys.argv[1]).open("a") as runs:
    runs.write("run ")
kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
print(json.dumps({**kind, "status": {"token": "of-the-plugin"}}))
"""


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with fake_cluster() as fake:
        yield fake


def context(kubeconfig: str) -> Context:
    image = f"r/x@sha256:{'a' * 64}"
    settings = {"kind": "kubernetes", "context": CONTEXT, "kubeconfig": kubeconfig, "image": image}
    config = KubernetesConfig.model_validate(settings)
    place = Place(project="slipway", stack="dev", root=Path("/checkout"))
    return Context(place=place, config=config, namespace="ns", provider=cast("Any", None), ready=[])


def ray_job(
    name: str, run: str, made: str, *, failed: bool = False, labels: Any = None, **parts: str
) -> dict[str, Any]:
    annotations = {f"{PART_ANNOTATION}{part}": value for part, value in parts.items()}
    metadata = {
        "name": name,
        "labels": {"slipway/run": run, **(labels or {})},
        "creationTimestamp": made,
        "annotations": annotations,
    }
    return {"metadata": metadata, "status": {"jobDeploymentStatus": "Failed" if failed else "Running"}}


def test_one_question_tells_the_next_attempt_and_what_is_different(cluster: FakeCluster, tmp_path: Path) -> None:
    asked = context(cluster.kubeconfig(tmp_path))
    cluster.answers[JOBS] = {"items": [ray_job("a", "a", "2026-01-01", failed=True, seed="1")]}
    found = look(asked, "b", {"seed": "3"})
    assert found.job_name == "b", "what failed was another run"
    assert found.difference is not None
    assert "seed: 1 -> 3" in found.difference
    assert look(asked, "a", {"seed": "1"}) == Earlier("a-1", None)
    assert [path for _, path, _ in cluster.asked] == [JOBS] * 2, "one question a look"


def test_a_cluster_that_cannot_be_asked_has_no_earlier_runs(cluster: FakeCluster, tmp_path: Path) -> None:
    assert look(context("/nonexistent"), RUN, {"seed": "1"}) == Earlier(RUN, None)
    cluster.statuses[JOBS] = 403
    assert look(context(cluster.kubeconfig(tmp_path)), RUN, {"seed": "1"}) == Earlier(RUN, None)


def test_offline_no_cluster_is_asked(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.answers[JOBS] = {"items": [ray_job(RUN, RUN, "2026-01-01", failed=True)]}
    asked = context(cluster.kubeconfig(tmp_path))
    assert look(asked, RUN, {}) == Earlier(f"{RUN}-1", None), "the control: online it is asked"
    before = len(cluster.asked)
    monkeypatch.setenv(OFFLINE, "1")
    assert look(asked, RUN, {}) == Earlier(RUN, None)
    assert len(cluster.asked) == before


def test_a_credential_plugin_runs_once_for_preflight_and_program(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OFFLINE, raising=False)
    script, runs = tmp_path / "plugin.py", tmp_path / "runs"
    script.write_text(PLUGIN)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(script), str(runs)],
        "interactiveMode": "Never",
    }
    asked = context(cluster.kubeconfig(tmp_path, {"exec": plugin}))
    kubeconfig = asked.config.kubeconfig
    examine(
        Needs(config=asked.config, kubeconfig=kubeconfig, namespace="ns", environment="e", pods=[], surge=[], pools=[])
    )
    assert look(asked, RUN, {}) == Earlier(RUN, None)
    assert shared(CONTEXT, kubeconfig).get("/version").ok
    assert {token for _, _, token in cluster.asked} == {"Bearer of-the-plugin"}, "the control: it is used"
    assert runs.read_text().split() == ["run"]


@pytest.mark.parametrize(
    ("jobs", "attempt"),
    [
        ([], 0),
        ([("training-1", None)], 0),
        ([("training-1", {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"})], 0),
        ([("training-1", {"jobDeploymentStatus": "Failed"})], 1),
        ([("training-1", {"jobDeploymentStatus": "Failed"}), ("training-1-1", {"jobDeploymentStatus": "Running"})], 1),
        ([("training-1-1", {"jobDeploymentStatus": "Failed"}), ("training-1", {"jobDeploymentStatus": "Failed"})], 2),
        ([("training-1-11", {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"})], 11),
    ],
)
def test_a_failed_run_is_tried_again_under_another_name_and_no_other_is(
    jobs: list[tuple[str, dict[str, Any] | None]], attempt: int
) -> None:
    assert attempt_after(jobs, RUN) == attempt
    assert attempt_name(RUN, attempt) == (RUN if attempt == 0 else f"{RUN}-{attempt}")


def test_what_makes_a_run_another_one_is_told_against_the_latest_on_the_cluster() -> None:
    jobs = [ray_job("b", "b", "2026-01-02", seed="2"), ray_job("a", "a", "2026-01-01", seed="1")]
    said = difference(jobs, "c", {"seed": "3"})
    assert said is not None
    assert "seed: 2 -> 3" in said
    assert difference(jobs, "a", {"seed": "1"}) is None, "a run that is there is made by nobody"


def test_a_scheduled_run_is_not_what_a_stack_s_run_is_compared_with() -> None:
    scheduled = ray_job("b", "b", "2026-01-02", labels={"slipway/scheduled": "true"}, seed="2")
    assert difference([scheduled], "c", {"seed": "3"}) is None
    said = difference([scheduled, ray_job("a", "a", "2026-01-01", seed="1")], "c", {"seed": "3"})
    assert said is not None
    assert "seed: 1 -> 3" in said


def test_a_first_run_is_compared_with_nothing() -> None:
    assert difference([], "a", {"seed": "1"}) is None
