"""The training job, step by step: prepare, train, evaluate, gate, register.

Each step is a module of its own; this one is their order, and what happens when a job of the same identity was here
before.  Killed anywhere and run again, it ends with one finished run and one version.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model as MlflowModel

from training import artifact, card, champion, evaluate, gate, lineage, metrics, prepare, register, store, tracking
from training.console import Refused, Stopped, say
from training.contracts import Trained, TrainSettings
from training.entrypoint import EntrypointFailed, call
from training.evaluate import Foreign, Model, Native
from training.gate import Verdict
from training.prepare import Prepared
from training.spec import RunSpec
from training.tabular import TabularModel
from training.tracking import Tracking

CONTRACT = 1
_MOST_REASONS = 8
_LONGEST_REASON = 300


def ensure(spec: RunSpec) -> None:
    """Make sure that there is one finished run of this identity, trained now or earlier.

    Raises:
        Refused: spec, code or data must be changed.
        EntrypointFailed: the code that trains raised.
    """
    lineage.verify(spec)
    _ensure(Tracking(spec))
    _clean(spec)


def _ensure(there: Tracking) -> None:
    runs, version = there.runs(), there.version()
    finished = next((run for run in runs if tracking.result_of(run)), None)
    if finished is not None and version is not None:
        _adopt(there, finished, version)
        return
    if version is not None and _complete(there, version):
        return
    for run in runs:
        if run.info.status == "RUNNING":
            say("resume", f"run {run.info.run_id} was killed before its model was registered: running again")
            there.abandon(run.info.run_id, "KILLED", "superseded: its job ended without a result")
    _attempt(there)


def regate(spec: RunSpec) -> None:
    """Draw the verdict of a finished run again, from its evidence and with the floors and tolerance of this spec.

    Raises:
        Refused: there is no finished run of this identity, or a floor names an unknown metric.
    """
    there = Tracking(spec)
    finished, version = _finished(there)
    _judge_again(there, finished.info.run_id, version)


def judge(spec: RunSpec) -> dict[str, Any]:
    """Return the result of the finished run of this identity, by this spec's gate; nothing is trained.

    Raises:
        Refused: the code is another, there is no finished run, or a floor names an unknown metric.
    """
    lineage.verify(spec)
    there = Tracking(spec)
    finished, version = _finished(there)
    result = tracking.result_of(finished)
    if result is not None and result.get("gate") == spec.gate.digest:
        return result
    return _judge_again(there, finished.info.run_id, version)


def _finished(there: Tracking) -> tuple[Run, ModelVersion]:
    runs, version = there.runs(), there.version()
    finished = next((run for run in runs if tracking.result_of(run)), None)
    if finished is not None and version is not None:
        return finished, version
    why = next((run.data.tags["slipway.error"] for run in runs if "slipway.error" in run.data.tags), "")
    last = f"; its last attempt ended with: {why.strip().splitlines()[-1]}" if why.strip() else ""
    raise Refused(f"there is no finished run of identity {there.spec.identity[:12]} to judge{last}; run `up` again")


def _adopt(there: Tracking, finished: Run, version: ModelVersion) -> None:
    result = tracking.result_of(finished) or {}
    if result.get("gate") != there.spec.gate.digest:
        _judge_again(there, finished.info.run_id, version)
    say("adopted", f"run {finished.info.run_id} of this identity is finished: version {version.version}")


def _judge_again(there: Tracking, run_id: str, version: ModelVersion) -> dict[str, Any]:
    evidence = there.evidence(run_id)
    verdict = _judge(there.spec, evidence)
    register.retag(there, version, verdict)
    there.save(run_id, _papers(there.spec, evidence, verdict))
    result = _result(there.spec, run_id, version, evidence, verdict)
    there.conclude(run_id, result)
    return result


def _complete(there: Tracking, version: ModelVersion) -> bool:
    """Finish the run whose job was killed after it had registered its version; False when its evidence is gone."""
    run_id = version.run_id
    if not run_id:
        return False
    try:
        result = _judge_again(there, run_id, version)
    except MlflowException:
        return False
    there.finish(run_id, result)
    say(
        "adopted",
        f"version {version.version} of this identity was registered by a job that was killed: finished its run",
    )
    return True


def _attempt(there: Tracking) -> None:
    """Train in a run of its own, which ends FINISHED, or FAILED or KILLED with the reason."""
    run_id = there.open()
    try:
        _train_and_register(there, run_id)
    except Stopped:
        there.abandon(run_id, "KILLED", "the job was stopped")
        raise
    except EntrypointFailed as error:
        there.abandon(run_id, "FAILED", error.report)
        raise
    except Exception as error:
        there.abandon(run_id, "FAILED", f"{type(error).__name__}: {error}")
        raise


def _train_and_register(there: Tracking, run_id: str) -> None:
    spec = there.spec
    data = prepare.prepare(spec)
    settings = _settings(spec, data)
    trained = call(spec.training.entrypoint, data.train, settings)
    say("train", f"{spec.training.entrypoint}, {metrics.rounded(trained.metrics) or 'no metrics'} on the training rows")
    model = _model(trained, data)
    evidence = _evidence(there, data, model)
    verdict = _judge(spec, evidence)
    model_id = register.upload(there, run_id, partial(_save, spec, data, model))
    there.record(run_id, _logged(evidence, trained), _params(spec, trained), model_id)
    there.record_data(run_id, data.digest, evidence["rows"])
    there.save(run_id, {**_papers(spec, evidence, verdict), tracking.EVIDENCE: tracking.as_json(evidence)})
    version = register.register(there, run_id, model_id, verdict)
    say("register", f"{spec.model_name} version {version.version}, {version.tags[register.RELEASE_TAG]}")
    there.finish(run_id, _result(spec, run_id, version, evidence, verdict))


def _settings(spec: RunSpec, data: Prepared) -> TrainSettings:
    training, resources = spec.training, spec.training.resources
    return TrainSettings(
        task=data.features.task,
        params=training.params,
        rounds=training.rounds,
        seed=training.seed,
        workers=resources.workers,
        cpus=resources.cpus,
        gpus=resources.gpus,
        storage=spec.storage,
        name=_storage_name(spec),
    )


def _storage_name(spec: RunSpec) -> str:
    """Return the name of the run in the storage, from the identity alone: the next attempt finds the checkpoints."""
    return f"training-{spec.identity[:20]}"


def _clean(spec: RunSpec) -> None:
    """Remove the checkpoints of a run that is finished."""
    try:
        store.remove(spec.storage, _storage_name(spec))
    except OSError as error:
        say("note", f"the checkpoints in {spec.storage}/{_storage_name(spec)} could not be removed: {error}")


def _model(trained: Trained, data: Prepared) -> Model:
    import xgboost as xgb  # noqa: PLC0415  loaded by now, and not needed to adopt a run

    if not isinstance(trained.model, xgb.Booster):
        return Foreign(trained.model)
    # through its bytes: what is measured is what is stored
    return Native(TabularModel.load(bytes(trained.model.save_raw("ubj")), data.features.to_json()))


def _evidence(there: Tracking, data: Prepared, model: Model) -> dict[str, Any]:
    measured, scored = evaluate.evaluate(model, data.train, data.test)
    say("evaluate", f"{metrics.rounded(measured['metrics'])} on {data.test.rows:,} held-out rows")
    latency = measured["latency_ms"]
    say("evaluate", f"one row takes {latency['p50']:.2f} ms (p99 {latency['p99']:.2f} ms)")
    reigning = champion.version(there.client, there.spec.model_name)
    compared = reigning and champion.compare(reigning, data.rows, data.held, data.test, scored)
    return {
        "contract": CONTRACT,
        "identity": there.spec.identity,
        "model_name": there.spec.model_name,
        "model": "xgboost" if isinstance(model, Native) else "pyfunc",
        "features": data.features.names,
        "data_sha256": data.digest,
        "notes": list(data.notes),
        **measured,
        "champion": compared,
    }


def _judge(spec: RunSpec, evidence: Mapping[str, Any]) -> Verdict:
    verdict = gate.decide(evidence, spec.gate)
    for check in verdict.checks:
        say("gate", f"{'passed' if check.passed else 'failed'}: {check.text}")
    say("gate", f"verdict: {verdict.word}")
    return verdict


def _save(spec: RunSpec, data: Prepared, model: Model, shell: MlflowModel, folder: Path) -> None:
    split = {
        "seed": spec.training.seed,
        "test_fraction": spec.training.test_fraction,
        "key": spec.data.key,
        "columns": list(data.rows.everything),
    }
    if isinstance(model, Native):
        artifact.save_tabular(model.model, data.train, split, shell, folder)
    elif isinstance(model, Foreign):
        artifact.save_foreign(model.model, data.train, split, shell, folder, spec.code.files)


def _papers(spec: RunSpec, evidence: Mapping[str, Any], verdict: Verdict) -> dict[str, str]:
    checks = [{"name": check.name, "passed": check.passed, "text": check.text} for check in verdict.checks]
    limits = {"floors": dict(spec.gate.floors), "tolerance": spec.gate.tolerance}
    judged = {"verdict": verdict.word, "checks": checks, "gate": limits}
    return {tracking.VERDICT: tracking.as_json(judged), tracking.CARD: card.render(spec, evidence, verdict)}


def _logged(evidence: Mapping[str, Any], trained: Trained) -> dict[str, float]:
    baseline = {f"baseline.{name}": value for name, value in evidence["baseline"]["metrics"].items()}
    latency = {f"latency_{name}_ms": value for name, value in evidence["latency_ms"].items()}
    training = {f"training.{name}": float(value) for name, value in trained.metrics.items()}
    return {**evidence["metrics"], **baseline, **latency, **training}


def _params(spec: RunSpec, trained: Trained) -> dict[str, Any]:
    training = spec.training
    fixed = {"rounds": training.rounds, "seed": training.seed, "test_fraction": training.test_fraction}
    return {**dict(trained.params), **fixed, "entrypoint": training.entrypoint, "data": spec.data.uri}


def _result(
    spec: RunSpec, run_id: str, version: ModelVersion, evidence: Mapping[str, Any], verdict: Verdict
) -> dict[str, Any]:
    """Return what the program reads: small, and the same for the same evidence and gate."""
    reasons = [reason[:_LONGEST_REASON] for reason in verdict.reasons]
    return {
        "contract": CONTRACT,
        "identity": spec.identity,
        "run_id": run_id,
        "model_name": spec.model_name,
        "model_version": str(version.version),
        "verdict": verdict.word,
        "metrics": evidence["metrics"],
        "reasons": reasons[:_MOST_REASONS],
        "champion": evidence["champion"] and evidence["champion"]["version"],
        "evidence": tracking.EVIDENCE,
        "gate": spec.gate.digest,
    }
