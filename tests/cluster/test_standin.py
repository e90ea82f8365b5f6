"""The stand-in of the Kubernetes plugin under the real engine, against a real cluster.

Everything here is what the official plugin documents; where it is installed, the same tests run on it when it comes
first on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.engine.find import built_engine
from tests.cluster.node.cluster import Cluster

ROOT = Path(__file__).parents[2]
PROJECT = "name: standin\nruntime: {{name: python, options: {{toolchain: pip, virtualenv: {}}}}}\n"
STACK = 'config:\n  pulumi:disable-default-providers: ["*"]\n'
MERGE = "--type=merge"


@dataclass
class Stack:
    """A stack of its own, in a namespace of its own."""

    cluster: Cluster
    folder: Path
    namespace: str
    switches: dict[str, Any] = field(default_factory=dict)

    def pulumi(self, *arguments: str, succeeds: bool = True, **switches: Any) -> str:
        """Run one verb to its end and return all that it said."""
        self.switches |= switches
        (self.folder / "switches.json").write_text(json.dumps(self.switches))
        command = [str(built_engine()), "-C", str(self.folder), "--non-interactive", *arguments]
        ended = self.cluster.run(command, env=self._environment(), timeout_s=400)
        said = ended.stdout + ended.stderr
        assert (ended.returncode == 0) is succeeds, said
        return said

    def up(self, *, succeeds: bool = True, **switches: Any) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", succeeds=succeeds, **switches)

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json"))
        return found

    def objects(self, *arguments: str) -> Any:
        return json.loads(self.cluster.kubectl("get", "-n", self.namespace, "-o", "json", *arguments))

    def _environment(self) -> dict[str, str]:
        folders = [ROOT / "tests/standins/bin", ROOT / ".venv/bin", built_engine().parent]
        return {
            "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "SLIPWAY_ROOT": str(ROOT),
            "NO_COLOR": "1",
        }


def made(cluster: Cluster, folder: Path) -> Iterator[Stack]:
    """Yield an empty stack in `folder`; whatever is left of it goes with its namespace."""
    if not built_engine().exists():
        pytest.skip("the engine is not installed: ./pulumiw setup")
    namespace = f"standin-{uuid.uuid4().hex[:8]}"
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text(PROJECT.format(ROOT / ".venv"))
    (folder / "Pulumi.dev.yaml").write_text(STACK)
    shutil.copy(ROOT / "tests/cluster/standin_program.py", folder / "__main__.py")
    given = {
        "namespace": namespace,
        "image": cluster.image("toolbox"),
        "kubeconfig": str(cluster.kubeconfig),
        "context": cluster.context,
    }
    stack = Stack(cluster, folder, namespace, given)
    stack.pulumi("stack", "init", "dev")
    yield stack
    cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def stack(cluster: Cluster, tmp_path: Path) -> Iterator[Stack]:
    yield from made(cluster, tmp_path)


@pytest.fixture(scope="module")
def shared(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for stack in made(cluster, tmp_path_factory.mktemp("shared")):
        stack.up(deployment=False)
        yield stack


@pytest.fixture
def small(shared: Stack) -> Iterator[Stack]:
    """The stack without its Deployment; each test leaves it such that the next `up` repairs whatever it did."""
    switches = dict(shared.switches)
    yield shared
    shared.switches = switches


def test_objects_are_made_kept_changed_replaced_and_gone(stack: Stack) -> None:
    previewed = stack.pulumi("preview")
    assert "stand-in for the Kubernetes plugin" in previewed, "the output names the plugin that answered"
    stack.up()
    assert stack.objects("deployment", "app")["status"]["availableReplicas"] == 1
    first = stack.outputs()
    assert first.get("result") is None
    assert first["secret"] == "[secret]"
    assert "hunter2" not in stack.pulumi("stack", "export")

    fill = json.dumps({"data": {"verdict": "passed"}})
    stack.cluster.kubectl("patch", "configmap", "result", "-n", stack.namespace, MERGE, "-p", fill)
    again = stack.up()
    assert "unchanged" in again
    for changed in (" updated", " replaced", " created", " deleted"):
        assert changed not in again
    filled, before = stack.outputs(), stack.objects("configmap", "named")
    assert filled["result"] == {"verdict": "passed"}

    said = stack.up(value="2", replicas=2)
    assert "2 replaced" in said
    assert "1 updated" in said
    assert stack.objects("deployment", "app")["status"]["availableReplicas"] == 2
    assert stack.objects("configmap", "named")["metadata"]["uid"] != before["metadata"]["uid"]
    last = stack.outputs()
    assert last["automatic"] != filled["automatic"], "the new object was made before the old one went"
    assert last["result"] == {"verdict": "passed"}, "a job's result is left alone"

    stack.pulumi("destroy", "--yes", "--skip-preview")
    with pytest.raises(Exception, match="not found"):
        stack.cluster.kubectl("get", "namespace", stack.namespace)


def test_the_api_server_s_objections_appear_in_the_preview(small: Stack) -> None:
    said = small.pulumi("preview", succeeds=False, deployment=True, container={"bogus": 1})
    assert 'unknown field "spec.template.spec.containers[0].bogus"' in said


def test_an_object_that_exists_is_not_taken_over(small: Stack) -> None:
    small.pulumi("state", "delete", "--yes", "urn:pulumi:dev::standin::kubernetes:core/v1:ConfigMap::named")
    assert 'configmaps "named" already exists' in small.up(succeeds=False)
    small.cluster.kubectl("delete", "configmap", "named", "-n", small.namespace)
    small.up()


def test_what_was_deleted_by_hand_is_made_again(small: Stack) -> None:
    small.cluster.kubectl("delete", "configmap", "named", "-n", small.namespace)
    assert "1 deleted" in small.pulumi("refresh", "--yes", "--skip-preview")
    assert "1 created" in small.up()


def test_a_foreign_api_server_is_refused(small: Stack) -> None:
    foreign = small.folder / "foreign"
    foreign.write_text(small.cluster.kubeconfig.read_text().replace("https://", "https://192.0.2.1/"))
    said = small.pulumi("preview", succeeds=False, kubeconfig=str(foreign))
    assert "stand-in for the Kubernetes plugin refuses the API server" in said


def test_a_failed_job_tells_its_reason_and_another_one_repairs_the_state(small: Stack) -> None:
    said = small.up(succeeds=False, job="job-1", script="echo boom >&2; exit 3")
    assert "[BackoffLimitExceeded]" in said
    assert "completed with exit code 3" in said
    assert f"kubectl logs --namespace {small.namespace} job/job-1" in said
    small.up(job="job-2", script="true")
    assert [job["metadata"]["name"] for job in small.objects("jobs")["items"]] == ["job-2"]
    assert "unchanged" in small.up()


def test_a_failed_job_is_done_again_when_it_asks_for_that_and_otherwise_never(small: Stack) -> None:
    variable = {"name": "VALUE", "valueFrom": {"configMapKeyRef": {"name": "named", "key": "value"}}}
    small.up(succeeds=False, script='test "$VALUE" = mended', value="broken", container={"env": [variable]})
    mended = json.dumps({"data": {"value": "mended"}})
    small.cluster.kubectl("patch", "configmap", "named", "-n", small.namespace, MERGE, "-p", mended)
    assert "[BackoffLimitExceeded]" in small.up(succeeds=False), "the control: the Job itself is as it was"
    assert "replaced" in small.up(annotations={"pulumi.com/replaceUnready": "true"})
    assert small.objects("jobs", "job")["status"]["succeeded"] == 1
    assert "unchanged" in small.up()


def test_a_deployment_that_cannot_start_tells_why_and_is_kept(small: Stack) -> None:
    said = small.up(succeeds=False, deployment=True, app_image=f"localhost:1/none@sha256:{'0' * 64}", patience="15s")
    assert "timed out waiting to be Ready" in said
    assert "ErrImagePull" in said or "ImagePullBackOff" in said
    kept = json.loads(small.pulumi("stack", "export"))["deployment"]["resources"]
    assert any(resource.get("initErrors") for resource in kept if resource["type"].endswith(":Deployment"))


def test_drift_is_seen_and_a_conflict_names_manager_and_field(small: Stack) -> None:
    small.up(deployment=True)
    scale = json.dumps({"spec": {"replicas": 0}})
    small.cluster.kubectl(
        "patch", "deployment", "app", "-n", small.namespace, "--field-manager=alien", MERGE, "-p", scale
    )
    assert "replicas: 1 => 0" in small.pulumi("refresh", "--yes", "--skip-preview", "--diff")
    said = small.up(succeeds=False)
    assert 'conflict with "alien"' in said
    assert ".spec.replicas" in said
