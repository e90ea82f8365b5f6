"""Boosting in segments of rounds, and their checkpoints: a run that was killed goes on where it was, to the same model.

A segment begins from the bytes of the model before it and from a seed of its own, in a run that is never disturbed
too. So what it makes depends on nothing else, and no state of XGBoost's random numbers has to be kept.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST_SEGMENTS = 10
_LEAST_ROUNDS = 10
_MODEL, _PROGRESS = "model.ubj", "progress.json"


@dataclass(frozen=True)
class Grown:
    """A model after some rounds, with what was measured on the training rows."""

    model: bytes
    rounds: int
    metrics: Mapping[str, float]


def segment_length(rounds: int) -> int:
    """Return after how many rounds a segment ends: it follows from the rounds alone."""
    return max(_LEAST_ROUNDS, -(-rounds // _MOST_SEGMENTS))


def grow(params: Mapping[str, Any], rows: Any, rounds: int, grown: Grown | None = None) -> Iterator[Grown]:
    """Yield the model after each segment, from the first or from `grown` on."""
    import xgboost as xgb  # noqa: PLC0415  seconds, and not needed to adopt a run

    done = grown.rounds if grown else 0
    while done < rounds:
        seeded = {**params, "seed": params["seed"] + done}
        booster = xgb.Booster(seeded, [rows])
        if grown is not None:
            booster.load_model(bytearray(grown.model))
            booster.set_param(seeded)  # those of the model's file include its former seed
        end = min(done + segment_length(rounds), rounds)
        for number in range(done, end):
            booster.update(rows, number)
        measured = booster.eval_set([(rows, "train")], end - 1)
        grown = Grown(bytes(booster.save_raw("ubj")), end, _metrics(measured))
        done = end
        yield grown


def _metrics(text: str) -> dict[str, float]:
    """Return the numbers in XGBoost's line, such as `[9]  train-logloss:0.25`."""
    pairs = (part.rsplit(":", 1) for part in text.split()[1:])
    return {name.removeprefix("train-"): float(value) for name, value in pairs}


def restore(checkpoint: Any, fingerprint: str) -> Grown | None:
    """Return what a checkpoint of Ray Train holds, or None when it is of other rows, settings or workers."""
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        progress = json.loads(Path(folder, _PROGRESS).read_text())
        if progress["fingerprint"] != fingerprint:
            return None
        return Grown(Path(folder, _MODEL).read_bytes(), progress["rounds"], progress["metrics"])


def keep(grown: Grown, fingerprint: str, report: Callable[[str], object]) -> None:
    """Write a checkpoint to a folder that is there while `report` hands it to Ray Train."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, _MODEL).write_bytes(grown.model)
        progress = {"rounds": grown.rounds, "metrics": dict(grown.metrics), "fingerprint": fingerprint}
        Path(folder, _PROGRESS).write_text(json.dumps(progress))
        report(folder)
