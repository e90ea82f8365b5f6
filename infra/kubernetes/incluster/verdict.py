"""The verdict on a finished training run, put where the stack reads it; nothing is trained here.

`python -m infra.kubernetes.incluster.verdict --spec FILE --gate JSON --result NAMESPACE/CONFIGMAP`: adopts the finished
run of the spec's identity, judges it again when the gate is another one, and patches the result into the ConfigMap.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.kubernetes.incluster import derived
from infra.kubernetes.incluster.api import Api, write_result
from infra.kubernetes.incluster.ending import Failure, run, say
from training import environment, spec
from training.console import Refused

_KEYS = ("run_id", "model_version", "verdict", "metrics", "reasons")


def main(arguments: Sequence[str]) -> None:
    """Judge, and write the result."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.kubernetes.incluster.verdict", description="judge a finished run; nothing is trained"
    )
    parser.add_argument("--spec", type=Path, required=True, help="the run spec, a JSON file")
    parser.add_argument("--gate", required=True, help="floors and tolerance, as in the stack file, as JSON")
    parser.add_argument("--result", required=True, metavar="NAMESPACE/CONFIGMAP", help="where the result goes")
    given = parser.parse_args(arguments)
    api = Api.of_this_pod()
    result = judge(given.spec, given.gate)
    write_result(api, given.result, result)
    say(f"version {result['model_version']}: {result['verdict']}")


def judge(file: Path, gate: str) -> dict[str, Any]:
    """Return what the stack reads of the run.

    Raises:
        Failure: the spec or the gate is malformed, the image holds other code, or no run of the identity is finished.
    """
    environment.prepare()
    from training import job  # noqa: PLC0415  imports MLflow, which reads the environment

    try:
        wanted = spec.read(file)
        if wanted.data.uri.startswith("s3:") and wanted.data.version is None:
            # a run of the schedule is newer than the stack's own: another gate must not go back behind it
            wanted = spec.parse(derived.newest(json.loads(file.read_text(encoding="utf-8"))))
        return shown(job.judge(dataclasses.replace(wanted, gate=_gate(gate))))
    except Refused as refused:
        raise Failure(str(refused)) from refused


def _gate(text: str) -> spec.Gate:
    try:
        found = json.loads(text)
        return spec.Gate(**found)
    except (ValueError, TypeError) as error:
        raise Failure(f"--gate {text!r}: {error}") from None


def shown(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a run's result that the stack keeps; a rejected version is no candidate."""
    candidate = result["model_version"] if result["verdict"] == "passed" else None
    return {**{key: result[key] for key in _KEYS}, "candidate": candidate}


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
