"""The model card: what a person should know of a model before relying on it, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from training.gate import Verdict
from training.metrics import primary
from training.spec import RunSpec

_SLICES = 12


def render(spec: RunSpec, evidence: Mapping[str, Any], verdict: Verdict) -> str:
    """Return the card, with YAML front matter as model hubs read it."""
    parts = [_front(spec, evidence), _about(spec, evidence), _measured(evidence), _judged(verdict)]
    parts += [_weakest(evidence), _calibrated(evidence), _limits(evidence), _origin(spec, evidence)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(spec: RunSpec, evidence: Mapping[str, Any]) -> str:
    kind = "tabular-regression" if evidence["task"] == "regression" else "tabular-classification"
    return f"---\nmodel_name: {spec.model_name}\npipeline_tag: {kind}\nlibrary_name: {evidence['model']}\n---"


def _about(spec: RunSpec, evidence: Mapping[str, Any]) -> str:
    rows = evidence["rows"]
    return (
        f"# {spec.model_name}\n\n"
        f"Predicts `{spec.data.target}` ({evidence['task']}) from {len(evidence['features'])} columns of "
        f"`{spec.data.uri}`; trained on {rows['train']:,} rows, measured on {rows['held_out']:,} others."
    )


def _measured(evidence: Mapping[str, Any]) -> str:
    trivial = evidence["baseline"]
    champion = evidence["champion"] or {}
    rows = [
        (name, _number(value), _number(trivial["metrics"].get(name)), _number(_of(champion, "champion", name)))
        for name, value in evidence["metrics"].items()
    ]
    note = f"Baseline: {trivial['kind']}."
    if champion.get("comparable"):
        note += f" Champion: version {champion['version']}, on the {champion['rows']} rows held out from both."
    latency = evidence["latency_ms"]
    note += f" One row takes {latency['p50']:.2f} ms (p99 {latency['p99']:.2f} ms) in the training process."
    return "## Quality\n\n" + "\n".join(_table(("metric", "this model", "baseline", "champion"), rows)) + f"\n\n{note}"


def _of(champion: Mapping[str, Any], whose: str, name: str) -> float | None:
    found: float | None = champion.get(f"{whose}_metrics", {}).get(name)
    return found


def _judged(verdict: Verdict) -> str:
    lines = [f"- {'passed' if check.passed else '**failed**'}: {check.text}" for check in verdict.checks]
    return f"## Gate: {verdict.word}\n\n" + "\n".join(lines)


def _weakest(evidence: Mapping[str, Any]) -> str:
    name = primary(evidence["task"])
    found = sorted(evidence["slices"], key=lambda one: one[name], reverse=name == "mae")[:_SLICES]
    rows = [(one["column"], one["value"], f"{one['rows']:,}", _number(one[name])) for one in found]
    return "## Weakest parts\n\n" + "\n".join(_table(("column", "part", "rows", name), rows)) if rows else ""


def _calibrated(evidence: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{one['from']:.1f} to {one['to']:.1f}",
            f"{one['rows']:,}",
            _number(one["predicted"]),
            _number(one["observed"]),
        )
        for one in evidence["calibration"]
    ]
    heading = ("probability", "rows", "predicted", "came true")
    return "## Calibration\n\n" + "\n".join(_table(heading, rows)) if rows else ""


def _limits(evidence: Mapping[str, Any]) -> str:
    lines = [f"- {note}" for note in evidence["notes"]]
    lines.append("- A category that training never saw counts as missing.")
    return "## Know before use\n\n" + "\n".join(lines)


def _origin(spec: RunSpec, evidence: Mapping[str, Any]) -> str:
    commit = spec.lineage.commit or "unknown"
    dirty = " with uncommitted changes" if spec.lineage.dirty else ""
    parts = spec.identity_parts
    lines = [
        f"- identity `{spec.identity}`",
        f"- commit `{commit}`{dirty}, code `{parts['code'][:12]}`, lock `{parts['lock'][:12]}`",
        f"- data sha256 `{evidence['data_sha256']}`",
        f"- {parts['parameters']}, seed {parts['seed']}, {parts['split']}",
    ]
    return "## Origin\n\n" + "\n".join(lines)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heading) + " |"
    yield "|" + "---|" * len(heading)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
