"""Following a run: each line once, each trouble once, and never a reason to fail."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from components.seam import Place
from infra.kubernetes.connection import Answer, Cluster, ClusterUnusable
from infra.kubernetes.follow import Follower, ServiceFollower
from infra.kubernetes.names import Context
from infra.kubernetes.settings import KubernetesConfig

RUN = "training-1"
CONFIG = KubernetesConfig.model_validate(
    {"kind": "kubernetes", "context": "nowhere", "kubeconfig": "/nonexistent", "image": f"r/x@sha256:{'a' * 64}"}
)
CONTEXT = Context(
    place=Place(project="slipway", stack="dev", root=Path("/checkout")),
    config=CONFIG,
    namespace="ns",
    provider=cast("Any", None),
    ready=[],
)
PENDING = {
    "metadata": {"name": "worker"},
    "status": {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "Insufficient cpu"}]},
}
SUBMITTER = {"metadata": {"name": "submitter"}, "status": {}}


class Api:
    """A cluster with one run, whose log grows."""

    def __init__(self) -> None:
        self.status: dict[str, Any] | None = {"rayClusterName": "c1"}
        self.pods: dict[str, list[dict[str, Any]]] = {}
        self.log: list[str] = []
        self.allowed = True

    def get(self, path: str) -> Answer:
        if path.endswith(f"/rayjobs/{RUN}"):
            return Answer(status=200 if self.status is not None else 404, body={"status": self.status})
        if path.endswith("/rayservices/serving"):
            return Answer(status=200, body={"status": self.status})
        selector = parse_qs(urlsplit(path).query)["labelSelector"][0]
        return Answer(status=200 if self.allowed else 403, body={"items": self.pods.get(selector, [])})

    def text(self, path: str) -> str | None:
        since = parse_qs(urlsplit(path).query).get("sinceTime", [""])[0]
        # whole seconds, as the API counts
        return "\n".join(line for line in self.log if line[:19] >= since[:19]) if self.allowed else None


@pytest.fixture
def api() -> Api:
    return Api()


def follower(context: Context = CONTEXT) -> tuple[Follower, list[str], list[str]]:
    told: list[str] = []
    warned: list[str] = []
    return Follower(context, RUN, told.append, warned.append), told, warned


def look(watcher: Follower, api: Api) -> None:
    watcher.look(cast("Cluster", api))


def test_each_line_is_told_once(api: Api) -> None:
    watcher, told, _ = follower()
    api.pods["job-name=training-1"] = [SUBMITTER]
    api.log = ["2026-01-01T00:00:01.100Z epoch 1", "2026-01-01T00:00:01.200Z epoch 2"]
    look(watcher, api)
    look(watcher, api)
    api.log.append("2026-01-01T00:00:01.300Z epoch 3")
    look(watcher, api)
    assert told == ["epoch 1", "epoch 2", "epoch 3"]
    assert list(watcher.lines) == told


def test_a_trouble_is_told_once_and_kept(api: Api) -> None:
    watcher, _, warned = follower()
    api.pods["ray.io/cluster=c1"] = [PENDING]
    look(watcher, api)
    look(watcher, api)
    assert len(warned) == 1
    assert "cannot be scheduled" in warned[0]
    assert watcher.seen == warned, "KubeRay deletes the pods that knew why"


def test_another_attempt_is_told(api: Api) -> None:
    watcher, _, warned = follower()
    look(watcher, api)
    api.status = {"rayClusterName": "c2", "failed": 1, "message": "lost node"}
    look(watcher, api)
    look(watcher, api)
    assert warned == ["the run failed and is started again (1): lost node"]
    api.status = {"rayClusterName": "c2", "failed": 2, "jobDeploymentStatus": "Failed", "message": "lost node"}
    look(watcher, api)
    assert len(warned) == 1, "nothing is started again after the last attempt"


def test_a_spec_that_the_operator_refuses_is_told_at_once(api: Api) -> None:
    watcher, _, warned = follower()
    api.status = {"jobDeploymentStatus": "ValidationFailed", "message": "wrong"}
    look(watcher, api)
    assert len(warned) == 1


def test_without_rights_or_run_it_is_quiet(api: Api) -> None:
    watcher, told, warned = follower()
    api.allowed = False
    look(watcher, api)
    api.status = None
    look(watcher, api)
    assert (told, warned) == ([], [])


def test_what_serve_says_of_a_broken_application_is_told_once(api: Api) -> None:
    warned: list[str] = []
    watcher = ServiceFollower(CONTEXT, "serving", warned.append, warned.append)
    healthy = {"slipway": {"status": "RUNNING"}}
    broken = {"slipway": {"status": "DEPLOY_FAILED", "message": "the image holds other code"}}
    api.status = {
        "activeServiceStatus": {"rayClusterName": "old", "applicationStatuses": healthy},
        "pendingServiceStatus": {"rayClusterName": "new", "applicationStatuses": broken},
    }
    api.pods["ray.io/cluster=new"] = [PENDING]
    look(watcher, api)
    look(watcher, api)
    assert len(warned) == 2
    assert "the image holds other code" in warned[1]


def test_a_cluster_that_cannot_be_reached_is_told_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("infra.kubernetes.follow._POLL_S", 0)
    watcher, told, _ = follower(with_kubeconfig(tmp_path, "apiVersion: v1\nkind: Config\n"))
    watcher._run()
    assert len(told) == 1
    assert "cannot be shown" in told[0]


def test_a_cluster_that_is_only_being_made_is_waited_for_without_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its kubeconfig is written in the middle of `up`, long after the follower was started."""
    monkeypatch.setattr("infra.kubernetes.follow._POLL_S", 0.01)
    context = with_kubeconfig(tmp_path, None)
    watcher, told, warned = follower(context)
    watcher.start()
    time.sleep(0.1)
    assert (told, warned) == ([], [])
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\nkind: Config\n")
    deadline = time.monotonic() + 120
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "there is no such context" in told[0], "it looked as soon as the file was there"


def test_a_follower_whose_cluster_never_came_ends_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("infra.kubernetes.follow._POLL_S", 0.01)
    watcher, told, _ = follower(with_kubeconfig(tmp_path, None))
    watcher.stop()
    watcher._run()
    assert told == []


def with_kubeconfig(folder: Path, text: str | None) -> Context:
    path = folder / "kubeconfig"
    if text is not None:
        path.write_text(text)
    return dataclasses.replace(CONTEXT, config=CONFIG.model_copy(update={"kubeconfig": str(path)}))


def test_an_api_server_that_was_away_is_followed_again_and_its_absence_told_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.kubernetes.follow._POLL_S", 0)
    monkeypatch.setattr("infra.kubernetes.follow.shared", lambda _context, _file: api)
    monkeypatch.setattr("infra.kubernetes.follow._is_there", lambda _: True)
    watcher, told, _ = follower()
    api.pods["job-name=training-1"] = [SUBMITTER]
    api.log = ["2026-01-01T00:00:01.100Z epoch 1"]
    looked = []

    def look(_: Cluster) -> None:
        looked.append(1)
        if len(looked) < 3:
            raise ClusterUnusable("it does not answer")
        Follower.look(watcher, cast("Cluster", api))
        watcher.stop()

    monkeypatch.setattr(watcher, "look", look)
    watcher._run()
    assert told == ["the run's output cannot be shown while it runs: it does not answer", "epoch 1"]
