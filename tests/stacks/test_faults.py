"""What happens when something is killed: nothing acknowledged is lost, nothing is trained or started twice."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.stacks.project import Project, call, status_of, wait_until


def kill_session(environment: Project, name: str) -> None:
    """Kill -9 a supervised process and all of its session, by the provider's record."""
    leader = int(environment.record(name)["pid"])
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (OSError, psutil.Error):
            continue
    wait_until(lambda: not psutil.pid_exists(leader), f"{name} is dead")


def serves(environment: Project) -> bool:
    return status_of(f"{environment.outputs()['serving']['url']}/v2/health/ready") == 200


def test_killed_mlflow_is_shown_by_refresh_and_healed_by_up_while_the_model_answers(environment: Project) -> None:
    runs = len(environment.runs())
    kill_session(environment, "tracking")
    assert serves(environment), "serving does not need the tracking server to answer"
    shown = environment.pulumi("refresh", "--diff").must_succeed().output
    assert "running" in shown, f"refresh must show running: true -> false:\n{shown}"
    environment.up().must_succeed()
    assert len(environment.runs()) == runs, "nothing is trained again"
    environment.up("--expect-no-changes").must_succeed()


def test_killed_ray_is_healed_with_the_same_model(environment: Project) -> None:
    before, runs = environment.outputs(), len(environment.runs())
    kill_session(environment, "ray")
    assert not serves(environment)
    environment.up("--refresh").must_succeed()
    after = environment.outputs()
    assert serves(environment)
    assert after["serving"]["champion"] == before["serving"]["champion"]
    assert after["training"] == before["training"]
    assert len(environment.runs()) == runs


def test_a_reboot_is_healed_with_the_same_models(environment: Project) -> None:
    before = environment.outputs()
    for name in ("ray", "tracking"):
        kill_session(environment, name)
    environment.up("--refresh").must_succeed()
    assert serves(environment)
    assert environment.outputs()["serving"]["champion"] == before["serving"]["champion"]
    assert environment.outputs()["training"] == before["training"]


def test_a_killed_replica_comes_back_by_itself(environment: Project) -> None:
    head = int(environment.record("ray")["pid"])
    replicas = [
        process
        for process in psutil.process_iter()
        if _session(process.pid) == head and "ServeReplica" in " ".join(process.cmdline())
    ]
    assert replicas, "the control: there are replicas to kill"
    for replica in replicas:
        replica.kill()
    url = environment.outputs()["serving"]["url"]
    wait_until(lambda: status_of(f"{url}/v2/health/ready") == 200, "the replica is back")
    environment.up("--expect-no-changes").must_succeed()


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_an_up_that_is_ended_while_it_trains_is_completed_by_the_next(
    environment: Project, blow: signal.Signals
) -> None:
    runs = len(environment.runs())
    environment.configure(training={"rounds": 41 if blow == signal.SIGKILL else 42})
    up = environment.start("up")
    jobs = environment.home / "state" / "runs"
    known = set(jobs.iterdir())
    wait_until(lambda: len(set(jobs.iterdir()) - known) > 0, "the training was submitted")
    os.kill(up.pid, blow)
    environment.finish(up)
    completed = environment.up().must_succeed()
    assert len(environment.runs()) == runs + 1, f"trained exactly once:\n{completed.output}"
    assert environment.outputs()["training"]["verdict"] in {"passed", "rejected"}
    environment.up("--expect-no-changes").must_succeed()


def test_an_up_that_is_killed_while_everything_starts_is_completed_by_the_next(scratch: Project) -> None:
    up = scratch.start("up")
    wait_until((scratch.home / "state" / "records" / "ray.json").exists, "Ray is being started")
    os.kill(up.pid, signal.SIGKILL)
    scratch.finish(up)
    scratch.up().must_succeed()
    heads = [command for command in scratch.processes().values() if "ray.scripts.scripts start" in command]
    servers = [command for command in scratch.processes().values() if "mlflow.server.fastapi_app" in command]
    assert len(heads) == 1, f"one Ray head, not two: {heads}"
    assert len(servers) == 1, f"one tracking server, not two: {servers}"
    assert serves(scratch)
    assert len(scratch.runs()) == 1


def test_the_lock_of_a_live_update_is_named_and_that_of_a_dead_one_cleared(environment: Project) -> None:
    environment.configure(training={"rounds": 43})
    first = environment.start("up")
    locks = environment.root / ".slipway" / "state" / ".pulumi" / "locks"
    wait_until(lambda: any(locks.rglob("*.json")), "the first `up` holds the lock")
    refused = environment.up().must_fail().output
    assert str(first.pid) in refused, f"the holder must be named by pid {first.pid}:\n{refused}"
    os.kill(first.pid, signal.SIGKILL)
    environment.finish(first)
    environment.up().must_succeed()


def test_a_deleted_run_is_drift_and_an_unreachable_server_is_not(environment: Project) -> None:
    outputs = environment.outputs()
    tracking, run = outputs["tracking"]["uri"], outputs["training"]["run_id"]
    kill_session(environment, "tracking")
    environment.pulumi("refresh").must_succeed()
    assert environment.outputs()["training"]["run_id"] == run, "unreachable is not gone"
    environment.up().must_succeed()
    call(f"{tracking}/api/2.0/mlflow/runs/delete", {"run_id": run})
    environment.up("--refresh").must_succeed()
    assert environment.outputs()["training"]["run_id"] != run, "a deleted run is trained again"


def test_the_engine_killed_leaves_no_plugin_behind(environment: Project) -> None:
    environment.configure(training={"rounds": 44})
    up = environment.start("up")
    wait_until(lambda: len(_plugins(environment)) > 0, "the provider runs")
    os.kill(up.pid, signal.SIGKILL)
    environment.finish(up)
    wait_until(lambda: not _plugins(environment), "the provider and the language host end with the engine")
    environment.up().must_succeed()


def _plugins(environment: Project) -> list[str]:
    return [
        command
        for command in environment.processes().values()
        if "infra/local/provider" in command or "language_host" in command
    ]


def test_two_stacks_live_side_by_side(environment: Project) -> None:
    other = Project(environment.root, "other")
    other.configure(data={"uri": "sklearn:iris", "target": "target"})
    try:
        other.up().must_succeed()
        ours, theirs = environment.outputs(), other.outputs()
        for part, key in (("tracking", "uri"), ("ray", "dashboard_url"), ("serving", "url")):
            assert ours[part][key] != theirs[part][key]
        assert serves(environment)
        assert serves(other)
    finally:
        other.pulumi("destroy").must_succeed()
    assert serves(environment), "destroying one stack leaves the other alone"
