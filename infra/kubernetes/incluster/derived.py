"""The run that follows from a stack's own when its data have changed: its identity, its specification, its RayJob.

Pure but for the look into the tracking server.  The program renders the RayJob with the marks below in it, so that a
scheduled run is the stack's own run in everything but its data.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from training import spec
from training.identity import identity
from training.lineage import STACK_IDENTITY_TAG

OBJECT_MARK = "@object@"
"""In the RayJob as it is rendered: the name of the ConfigMap with the specification, which is the RayJob's own."""
SPEC_MARK = "@spec@"
"""The specification itself, where it is no file; the program writes it base64, and so it is replaced."""
RUN_LABEL = "slipway/run"
SCHEDULED_LABEL = "slipway/scheduled"
_ID_LENGTH = 20

Document = dict[str, Any]


def document(stack: Mapping[str, Any], digest: str) -> Document:
    """Return the specification of the stack's run on the data with this digest (sha256, hex)."""
    data = f"{stack['identity_parts']['data']} @ sha256:{digest}"
    parts = {**stack["identity_parts"], "data": data}
    return {
        **stack,
        "identity": identity(parts),
        "identity_parts": parts,
        "data": {**stack["data"], "sha256": digest},
        "lineage": {**stack["lineage"], "stack_identity": stack["identity"]},
    }


def run_name(found: Mapping[str, Any]) -> str:
    """Return what objects of a run are named after, as `infra.kubernetes.names.training_name` does."""
    return f"training-{found['identity'][:_ID_LENGTH]}"


def ray_job(template: Mapping[str, Any], found: Mapping[str, Any], name: str) -> Document:
    """Return the RayJob of a specification under a name."""
    text = json.dumps(template)
    text = text.replace(OBJECT_MARK, name).replace(_encoded(SPEC_MARK), _encoded(json.dumps(found, sort_keys=True)))
    made: Document = json.loads(text)
    metadata = made["metadata"]
    labels = {**metadata["labels"], RUN_LABEL: run_name(found), SCHEDULED_LABEL: "true"}
    parts = {f"slipway/identity-{part}": value for part, value in found["identity_parts"].items()}
    return {**made, "metadata": {**metadata, "name": name, "labels": labels, "annotations": parts}}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def needs_file(template: Mapping[str, Any]) -> bool:
    """Tell whether the RayJob mounts its specification."""
    return OBJECT_MARK in json.dumps(template["spec"])


def finished(found: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return the tags of the finished run of a specification's identity, if there is one."""
    from training.tracking import Tracking, result_of  # noqa: PLC0415  imports MLflow, which reads the environment

    return next((run.data.tags for run in Tracking(spec.parse(found)).runs() if result_of(run)), None)


def newest(stack: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the specification of the newest finished run that a schedule made of the stack's; the stack's if none."""
    from training.tracking import DATA_TAG, Tracking, result_of  # noqa: PLC0415  as above

    there = Tracking(spec.parse(stack))
    wanted = f"tags.`{STACK_IDENTITY_TAG}` = '{stack['identity']}'"
    runs = there.client.search_runs([there.experiment_id], wanted, order_by=["attributes.start_time DESC"])
    digests = [run.data.tags[DATA_TAG] for run in runs if result_of(run) and DATA_TAG in run.data.tags]
    return document(stack, digests[0]) if digests else stack
