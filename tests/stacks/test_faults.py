"""What happens when something is killed: nothing acknowledged is lost, nothing is trained or started twice."""

from __future__ import annotations

import os
import re
import shutil
import signal

import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from components.seam import Place
from infra.local.layout import Layout
from infra.local.ports import derived_block
from infra.local.provider.procfs import command_of
from serving.registry import Registry
from tests.stacks.project import Project, call, status_of, wait_until

pytestmark = pytest.mark.chaos


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
    shown = environment.pulumi("refresh", "--diff", "--preview-only").must_succeed().output
    assert re.search(r"running\s*: true => false", shown), f"refresh must show running: true => false:\n{shown}"
    assert re.search(r"live\s*: true => false", shown), f"and that the model is not served:\n{shown}"
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
    shutil.rmtree(Layout(Place(project="slipway", stack=environment.stack, root=environment.root)).sockets)
    environment.up("--refresh").must_succeed()
    assert serves(environment)
    assert environment.outputs()["serving"]["champion"] == before["serving"]["champion"]
    assert environment.outputs()["training"] == before["training"]


@pytest.mark.parametrize("killed", [["ServeReplica"], ["Serve", "HAProxy", "haproxy"]])
def test_a_killed_replica_or_all_of_serve_comes_back_by_itself(environment: Project, killed: list[str]) -> None:
    before = environment.outputs()
    head = int(environment.record("ray")["pid"])
    victims = [
        process
        for process in psutil.process_iter()
        if _session(process.pid) == head and any(name in command_of(process.pid) for name in killed)
    ]
    assert len(victims) >= len(killed), f"the control: there is something to kill: {victims}"
    for victim in victims:
        victim.kill()
    wait_until(lambda: not any(map(_runs, victims)), "they are dead")
    wait_until(lambda: serves(environment), "the model is served again")
    environment.up("--refresh").must_succeed()
    assert environment.outputs()["serving"]["champion"] == before["serving"]["champion"]
    environment.up("--expect-no-changes").must_succeed()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:  # it ended while it was looked at
        return False


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


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


def measurements() -> pa.Table:
    """Return rows with numbers, text and missing values, and a number to predict."""
    rows = range(300)
    return pa.table(
        {
            "size": [None if row % 11 == 0 else row * 37 % 101 / 10 for row in rows],
            "colour": [None if row % 13 == 0 else ("red", "green", "blue")[row % 3] for row in rows],
            "price": [row * 37 % 101 + (50.0 if row % 3 == 0 else 0.0) for row in rows],
        }
    )


def test_two_stacks_live_side_by_side_the_other_with_a_regression_on_a_parquet_file(environment: Project) -> None:
    root = environment.root
    ours_at = derived_block(root, environment.stack)  # one name in 176 has the same ports; the folder's is by chance
    name = next(name for name in ("other", "another") if derived_block(root, name) != ours_at)
    other = Project(root, name)
    file = environment.root / "measurements.parquet"
    parquet.write_table(measurements(), file)
    other.configure(data={"uri": file.as_uri(), "target": "price"}, gate={"floors": {"rmse": 15}})
    try:
        other.up().must_succeed()
        ours, theirs = environment.outputs(), other.outputs()
        for part, key in (("tracking", "uri"), ("ray", "dashboard_url"), ("serving", "url")):
            assert ours[part][key] != theirs[part][key]
        assert serves(environment)
        assert serves(other)
        assert theirs["training"]["verdict"] == "passed"
        rows = {"dataframe_records": [{"size": 5.0, "colour": "red"}, {"size": None, "colour": None}]}
        answer = call(f"{theirs['serving']['url']}/invocations", rows)
        assert all(isinstance(price, float) for price in answer["predictions"])
    finally:
        other.pulumi("destroy").must_succeed()
    assert serves(environment), "destroying one stack leaves the other alone"


def test_a_damaged_champion_is_named_by_up_and_a_restored_one_is_served(environment: Project) -> None:
    outputs = environment.outputs()
    root = Registry(outputs["tracking"]["uri"]).artifact_root("default", outputs["serving"]["champion"])
    (booster,) = (environment.home / "artifacts" / root.removeprefix("mlflow-artifacts:/")).rglob("model.ubj")
    content = booster.read_bytes()
    booster.write_bytes(b"damaged")
    kill_session(environment, "ray")
    said = environment.up("--refresh").must_fail().output
    assert f"version {outputs['serving']['champion']}, which cannot be served" in said
    assert "model.ubj is no XGBoost model" in said
    assert "Restore the artifacts" in said
    booster.write_bytes(content)
    environment.up("--refresh").must_succeed()
    assert serves(environment)
    assert environment.outputs()["serving"]["champion"] == outputs["serving"]["champion"]
