"""A training that `up` does not wait for, and artifacts that outlive their environment."""

from __future__ import annotations

from tests.stacks.project import Project, status_of, wait_until

UNWAITED = {"training": {"wait": False}, "release": {"wait": "started"}, "artifacts": {"retain": True}}


def test_a_training_that_up_did_not_wait_for_is_released_by_the_next_up(project: Project) -> None:
    project.configure(**UNWAITED)
    project.up().must_succeed()
    assert project.outputs()["training"]["verdict"] == "pending", "`up` returned while it trains"
    wait_until(lambda: any(run["info"]["status"] == "FINISHED" for run in project.runs()), "the training finished")
    project.up("--refresh").must_succeed()
    outputs = project.outputs()
    assert outputs["training"]["verdict"] == "passed"
    wait_until(lambda: status_of(f"{outputs['serving']['url']}/v2/health/ready") == 200, "the model is served")
    project.up("--refresh", "--expect-no-changes").must_succeed()


def test_destroy_names_what_it_keeps_and_the_next_up_trains_nothing(project: Project) -> None:
    champion = project.outputs()["serving"]
    told = project.pulumi("destroy").must_succeed().output
    assert project.left() == {}
    for folder in ("artifacts", "tracking"):
        kept = project.home / folder
        assert kept.is_dir()
        assert str(kept) in told, f"destroy must name what it keeps:\n{told}"
    project.configure(artifacts={"retain": True})
    project.up().must_succeed()
    assert len(project.runs()) == 1, "the run that was kept is adopted"
    assert champion["model_name"] == project.outputs()["serving"]["model_name"]
    assert project.outputs()["serving"]["champion"] == "1"
