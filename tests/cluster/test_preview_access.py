"""What a preview of a pull request may do, before a real API server: look, and write as a dry run alone."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

import pytest

from components.kubernetes.preview_access import PreviewAccessArgs, manifests
from infra.engine.layout import StopError
from tests.cluster.node.cluster import Cluster

NAME = f"preview-{uuid.uuid4().hex[:8]}"
GROUP = f"slipway:{NAME}"
AS = ("--as=somebody", f"--as-group={GROUP}", "--as-group=system:authenticated")
_PATIENCE_S = 60


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[str]:
    """A namespace, and the group's rights with the policy that bounds them, active."""
    cluster.kubectl("create", "namespace", NAME)
    objects = [manifest for _, manifest in manifests(PreviewAccessArgs(group=GROUP, name=NAME))]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=listed)
    try:
        _until_bounded(cluster)
        yield NAME
    finally:
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=listed)
        cluster.kubectl("delete", "namespace", NAME, "--wait=false")


def _until_bounded(cluster: Cluster) -> None:
    """A new policy holds a moment after it is made: the API server compiles it first."""
    end = time.monotonic() + _PATIENCE_S
    while "may write only as a dry run" not in refusal(cluster, "create", "configmap", uuid.uuid4().hex):
        assert time.monotonic() < end, "the admission policy never took hold"
        time.sleep(0.5)


def refusal(cluster: Cluster, *arguments: str) -> str:
    """Return why the group is refused; nothing when it is not."""
    try:
        cluster.kubectl(*arguments, "-n", NAME, *AS)
    except StopError as error:
        return str(error)
    return ""


def test_previews_write_as_a_dry_run(cluster: Cluster, home: str) -> None:
    assert refusal(cluster, "create", "configmap", "tried", "--dry-run=server") == ""
    assert "tried" not in cluster.kubectl("get", "configmaps", "-n", home)


def test_a_real_write_is_refused_with_the_reason(cluster: Cluster, home: str) -> None:
    assert "may write only as a dry run" in refusal(cluster, "create", "configmap", "real")
    cluster.kubectl("create", "configmap", "given", "-n", home)
    patch = '{"data": {"a": "b"}}'
    assert "may write only as a dry run" in refusal(cluster, "patch", "configmap", "given", "--patch", patch)
    assert "a" not in (
        json.loads(cluster.kubectl("get", "configmap", "given", "-n", home, "-o", "json")).get("data") or {}
    )


def test_previews_read_what_environments_declare_and_no_secret(cluster: Cluster, home: str) -> None:
    assert refusal(cluster, "get", "deployments,services,jobs") == ""
    assert "cannot" in refusal(cluster, "get", "secrets")
    assert "cannot" in refusal(cluster, "delete", "configmap", "given")


def test_others_write_as_before(cluster: Cluster, home: str) -> None:
    cluster.kubectl("create", "configmap", "others", "-n", home)
    assert "others" in cluster.kubectl("get", "configmaps", "-n", home)
