"""Components on the seam: which children they have, and what flows from one into the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.artifact_store import ArtifactSettings, ArtifactStore
from components.seam import GroundSpec, Place
from components.tracking_server import TrackingServer, TrackingSettings
from infra.local.foundation import LocalFoundation
from infra.local.settings import LocalConfig
from tests.mock_engine import Engine, run

PLACE = Place(project="slipway", stack="dev", root=Path("/checkout"))


def tracking_on(artifacts: dict[str, Any], **local: Any) -> Engine:
    """Declare a store and a tracking server on this machine."""

    def program() -> None:
        foundation = LocalFoundation(PLACE, LocalConfig(kind="local", **local), GroundSpec())
        store = ArtifactStore("artifacts", foundation, ArtifactSettings(**artifacts))
        TrackingServer("tracking", foundation.runtime, store, TrackingSettings())

    return run(program)


def test_the_tracking_server_proxies_the_folder_that_the_store_made() -> None:
    engine = tracking_on({})
    folder = engine.one("slipway:local:DataFolder", "artifacts-folder")
    server = engine.one("slipway:local:Process", "tracking-process")
    assert server.inputs["environment"]["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] == folder.inputs["path"]
    assert "artifacts-folder" in server.dependencies, "destroy must stop the server before its artifacts go"


def test_no_placeholder_reaches_the_process() -> None:
    server = tracking_on({}).one("slipway:local:Process", "tracking-process")
    text = json.dumps(server.inputs["command"]) + json.dumps(server.inputs["environment"])
    assert not any(placeholder in text for placeholder in ("{host}", "{port}", "{state}"))
    assert "127.0.0.1" in server.inputs["command"]


def test_the_server_counts_as_ready_only_when_its_database_answers() -> None:
    ready = tracking_on({}).one("slipway:local:Process", "tracking-process").inputs["ready"]
    assert [check["method"] for check in ready] == ["GET", "POST"], "/health answers before the database exists"


@pytest.mark.parametrize("retain", [True, False])
def test_the_registry_is_kept_when_and_only_when_the_artifacts_are(retain: bool) -> None:  # noqa: FBT001
    folders = {
        item.name: item.inputs["retain"] for item in tracking_on({"retain": retain}).all("slipway:local:DataFolder")
    }
    assert folders["artifacts-folder"] is retain
    assert folders["tracking-state"] is retain, "versions without artifacts, or the reverse, are of no use"
    assert folders["foundation-state"] is False


def test_an_existing_bucket_is_used_and_no_folder_made() -> None:
    engine = tracking_on({"uri": "s3://bucket/models", "endpoint": "http://127.0.0.1:9"})
    environment = engine.one("slipway:local:Process", "tracking-process").inputs["environment"]
    assert environment["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] == "s3://bucket/models"
    assert environment["MLFLOW_S3_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert "artifacts-folder" not in {item.name for item in engine.all("slipway:local:DataFolder")}


def test_a_given_port_block_moves_every_port() -> None:
    first = tracking_on({}, port_block=12000).one("slipway:local:Process", "tracking-process").inputs["ports"]
    assert first == {"slipway:tracking.port": 12016}


def test_every_component_registers_what_it_promises() -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        foundation = LocalFoundation(PLACE, LocalConfig(kind="local"), GroundSpec())
        store = ArtifactStore("artifacts", foundation, ArtifactSettings())
        server = TrackingServer("tracking", foundation.runtime, store, TrackingSettings())
        pulumi.Output.all(store.uri, server.uri).apply(lambda both: seen.update(store=both[0], tracking=both[1]))

    run(program)
    assert seen["store"] == "/checkout/.slipway/dev/artifacts"
    assert seen["tracking"].startswith("http://127.0.0.1:")
