"""The object store refuses connections, then has no room: `up` says so, and completes when that is put right."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.chaos.faults import Store
from tests.cluster.project import STORE_PORT, TRAINING, ClusterProject

# one attempt: a second one would meet the same store
ONCE = {**TRAINING, "retries": 0}


def test_up_names_a_store_that_does_not_answer(
    project: ClusterProject, store: Store, tell: Callable[[str], None]
) -> None:
    project.configure(training={**ONCE, "seed": 41})
    store.tell("stop")
    begin = time.time()
    answer = project.up("--skip-preview").must_fail()
    tell(f"`up` failed after {time.time() - begin:.0f} s")
    tell(f"it said: {reasons(answer.output)}")
    assert f":{STORE_PORT}" in answer.output, f"the store is named:\n{answer.output}"
    store.tell("start")


def test_up_names_a_store_without_room_and_completes_when_there_is_some(
    project: ClusterProject, store: Store, tell: Callable[[str], None]
) -> None:
    project.configure(training={**ONCE, "seed": 42})
    store.tell("full")
    begin = time.time()
    answer = project.up("--skip-preview").must_fail()
    tell(f"`up` failed after {time.time() - begin:.0f} s")
    tell(f"it said: {reasons(answer.output)}")
    assert "minimum free drive threshold" in answer.output, f"the store's own words:\n{answer.output}"
    store.tell("room")
    begin = time.time()
    project.up("--skip-preview").must_succeed()
    tell(f"the `up` after it took {time.time() - begin:.0f} s")
    outputs = project.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == outputs["training"]["model_version"]


def reasons(output: str) -> list[str]:
    """Return the lines that name the trouble."""
    words = ("error", "failed", "storage", "connect")
    return [line.strip()[:400] for line in output.splitlines() if any(word in line.lower() for word in words)][-8:]
