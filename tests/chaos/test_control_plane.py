"""The API server is killed while `up` trains, and the tracking server is while a later run trains."""

from __future__ import annotations

import time
from collections.abc import Callable

from infra.engine.layout import StopError
from tests.chaos import faults
from tests.chaos.faults import Store
from tests.chaos.test_training import long_training
from tests.chaos.tracking import history
from tests.cluster.project import TRAINING, ClusterProject

_OUTAGE_S = 20


def any_environment(project: ClusterProject) -> bool:
    """Tell whether an earlier test has brought the environment up."""
    assert project.cluster is not None
    return bool(project.cluster.kubectl("get", "namespace", project.namespace, "--ignore-not-found"))


def trains(project: ClusterProject) -> bool:
    """Tell whether there is a RayJob that has not ended."""
    try:
        return any(not (job.get("status") or {}).get("endTime") for job in project.objects("rayjobs"))
    except StopError:
        return False  # neither the kind nor the namespace need be there yet


def test_an_up_whose_api_server_is_killed_is_completed_by_the_next_and_trains_once(
    project: ClusterProject, tell: Callable[[str], None]
) -> None:
    assert project.cluster is not None
    known = history(project) if any_environment(project) else ([], [])
    project.configure(training={**TRAINING, "seed": 31})
    begin = time.time()
    up = project.start("up", "--skip-preview")
    faults.until(lambda: trains(project) or up.poll() is not None, "the training began", 400)
    assert up.poll() is None, project.finish(up).output
    with faults.no_api_server(project.cluster):
        moment = time.time()
        time.sleep(_OUTAGE_S)  # what is measured: an outage of this length
    tell(f"killed {moment - begin:.0f} s after `up` began; answered again after {time.time() - moment:.0f} s")
    answer = project.finish(up)
    tell(f"that `up` ended with status {answer.code}, {time.time() - moment:.0f} s after the kill")
    if answer.code:
        tell(f"it said: {[line.strip() for line in answer.output.splitlines() if 'error' in line.lower()][:5]}")
    again = time.time()
    project.up().must_succeed()
    tell(f"the next `up` took {time.time() - again:.0f} s")
    statuses, versions = history(project)
    tell(f"runs: {statuses}, versions: {versions}")
    assert len(versions) == len(known[1]) + 1, "nothing was trained twice"
    assert statuses.count("FINISHED") == known[0].count("FINISHED") + 1
    outputs = project.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"] == versions[-1]


def test_a_run_goes_on_when_its_tracking_server_is_killed(
    environment: ClusterProject, store: Store, tell: Callable[[str], None]
) -> None:
    project = environment
    known = history(project)
    project.configure(training=long_training(seed=21, workers=1))
    up = project.start("up", "--skip-preview")
    faults.until(lambda: len(store.checkpoints()) >= 1 or up.poll() is not None, "there are checkpoints", 400, 0.2)
    assert up.poll() is None, project.finish(up).output
    (tracking,) = faults.pods(project, component="tracking")
    moment = faults.kill(project, tracking)
    faults.until(
        lambda: any(
            faults.ready(pod) and pod["metadata"]["name"] != tracking["metadata"]["name"]
            for pod in faults.pods(project, component="tracking")
        ),
        "another pod answers",
        200,
    )
    tell(f"another tracking pod was ready after {time.time() - moment:.0f} s")
    project.finish(up).must_succeed()
    tell(f"`up` ended {time.time() - moment:.0f} s after the kill")
    statuses, versions = history(project)
    tell(f"runs: {statuses}, versions: {versions}")
    assert versions[:-1] == known[1], "one version more"
    assert statuses[: len(known[0])] == known[0], "what was acknowledged is still there"
    assert statuses.count("FINISHED") == known[0].count("FINISHED") + 1
    assert project.outputs()["serving"]["champion"] == versions[-1]
