"""What requests see when the head of the serving cluster is lost, and when the whole node is."""

from __future__ import annotations

import time
from collections.abc import Callable

import yaml

from tests.chaos import faults
from tests.cluster.project import ClusterProject

_SEEN_S = 90
"""Raylets give up a lost head after a minute: what comes of that must have been seen."""


def test_a_killed_head_pod_is_replaced_and_the_champion_answers_again(
    environment: ClusterProject, tell: Callable[[str], None]
) -> None:
    champion = environment.outputs()["serving"]["champion"]
    with faults.load(environment) as load:
        (head,) = faults.pods(environment, component="serving", node_type="head")
        before = {pod["metadata"]["name"] for pod in faults.pods(environment, component="serving")}
        moment = faults.kill(environment, head)

        def whole() -> bool:
            found = faults.pods(environment, component="serving")
            heads = [pod for pod in found if pod["metadata"]["labels"][faults.RAY] == "head"]
            replaced = heads and head["metadata"]["name"] not in {pod["metadata"]["name"] for pod in heads}
            return bool(replaced) and all(faults.ready(pod) for pod in found)

        faults.until(
            lambda: time.time() - moment > _SEEN_S and whole() and load.well_for(15, moment),
            "the service is whole and answers",
            420,
            2,
        )
        tell(load.told(moment))
        after = {pod["metadata"]["name"] for pod in faults.pods(environment, component="serving")}
        tell(f"pods that went: {len(before - after)} of {len(before)}")
    assert load.versions == {champion}, "nothing but the champion answered, before and after"
    assert f"champion: default {champion}" in environment.slipway("status").must_succeed().output
    environment.up("--expect-no-changes").must_succeed()


def test_a_lost_node_that_comes_back_serves_on_and_an_up_meanwhile_rides_it_out(
    environment: ClusterProject, tell: Callable[[str], None]
) -> None:
    cluster = environment.cluster
    assert cluster is not None
    champion, runs = environment.outputs()["serving"]["champion"], len(environment.objects("rayjobs"))
    gate = {"slipway:gate": {"floors": {"accuracy": 0.81}}}
    file = environment.root / f"Pulumi.{environment.stack}.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "config": {**content["config"], **gate}}))
    with faults.load(environment) as load:
        with faults.no_kubelet(cluster):
            moment = time.time()
            faults.until(lambda: faults.node_is(cluster, "Unknown"), "the node is lost", 180)
            tell(f"the node was lost {time.time() - moment:.0f} s after the kubelet stopped")
            up = environment.start("up", "--skip-preview")
            time.sleep(20)  # what is measured: an outage of some length after the loss was noticed
            running = up.poll() is None
            back = time.time()
        faults.until(lambda: faults.node_is(cluster, "True"), "the node is back")
        answer = environment.finish(up)
        faults.until(lambda: load.well_for(10, back), "the model answers again", 180)
        tell(f"requests: {load.told(moment)}; the kubelet went on {back - moment:.0f} s after it stopped")
        tell(f"`up` meanwhile: {'waited' if running else 'ended at once'}, exit {answer.code}")
    assert load.versions == {champion}
    environment.up().must_succeed()
    outputs = environment.outputs()
    assert outputs["training"]["verdict"] == "passed"
    assert outputs["serving"]["champion"] == champion
    assert len(environment.objects("rayjobs")) == runs, "nothing was trained again"
