"""The default entrypoint: XGBoost by Ray Train, one worker in this process or several with a shard of rows each.

One worker without a GPU, whose storage is this machine's own, runs the same loop in the driver (`num_workers=0`), which
saves the ten seconds that a worker group takes to start.  Any other keeps checkpoints in the storage, and goes on from
them when it is run again under the same name.  Same data, settings and number of workers give the same model, to the
byte, wherever it runs and however often it was killed.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from training import boosting
from training.console import Refused, names, say
from training.contracts import Trained, TrainingData, TrainSettings
from training.identity import digest_of
from training.store import open_store, outlives_this_machine, prove
from training.tabular import Task

OBJECTIVES: dict[Task, tuple[str, ...]] = {
    "binary": ("binary:logistic",),
    "multiclass": ("multi:softprob",),
    "regression": (
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:squaredlogerror",
        "reg:gamma",
        "reg:tweedie",
        "count:poisson",
    ),
}
"""Per task, the objectives whose output means what serving says it means; the first is the default."""

_METRICS: dict[Task, str] = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}
_DEFAULTS = {"tree_method": "hist", "learning_rate": 0.15, "max_depth": 4, "subsample": 0.8, "colsample_bytree": 0.8}
"""Better than XGBoost's own on small tables, where those learn by heart in 50 rounds."""
_ALIASES = {"eta": "learning_rate", "gamma": "min_split_loss", "lambda": "reg_lambda", "alpha": "reg_alpha"}
_OWNED = ("seed", "nthread", "num_class", "device", "n_jobs", "random_state")

_MOST_LOST = 3
"""How often a lost worker group is made again within one job; a job that is lost is the runtime's to start again."""

# Ray Train reads these when it is imported; the defaults wait seconds for things that no run here needs (ADR 3)
_RAY_TRAIN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
}
# nodes may have to be made first; how long that may take is for the deadline of the whole run to say
_RAY_TRAIN_DURABLE = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "900"}


def train(data: TrainingData, settings: TrainSettings) -> Trained:
    """Train gradient-boosted trees.

    Raises:
        Refused: a parameter that the job sets itself, an objective that does not fit the task, or a store that takes
            no checkpoints.
    """
    params = parameters(data, settings)
    durable = outlives_this_machine(settings.storage)
    if durable:
        prove(settings.storage, settings.name)
    for name, value in (_RAY_TRAIN | (_RAY_TRAIN_DURABLE if durable else {})).items():
        os.environ.setdefault(name, value)
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # noqa: PLC0415  reads the variables above
    from ray.train.xgboost import XGBoostTrainer  # noqa: PLC0415

    logging.getLogger("ray.train").setLevel(logging.WARNING)
    in_driver = settings.workers == 1 and not settings.gpus and not durable
    scaling = ScalingConfig(num_workers=0) if in_driver else _scaling(settings)
    fingerprint = None if in_driver else _fingerprint(data, settings, params)
    loop = {"data": _handed_over(data, in_driver=in_driver), "params": params, "rounds": settings.rounds}
    # by default workers that cannot be placed are waited for without end
    failures = FailureConfig(max_failures=_MOST_LOST if durable else 0, controller_failure_limit=2)  # type: ignore[call-arg]  # annotated as Train v1
    run = RunConfig(name=settings.name, failure_config=failures, **_storage(settings.storage))
    trainer: Any = XGBoostTrainer  # annotated as v1 too, whose loop returns nothing
    result = trainer(
        _loop, train_loop_config={**loop, "fingerprint": fingerprint}, scaling_config=scaling, run_config=run
    ).fit()
    if result.error is not None:
        raise result.error
    return _trained(result.return_value, params)


def _storage(storage: str) -> dict[str, Any]:
    """Return where Ray Train keeps its state; an endpoint of S3 reaches it by the file system alone."""
    from ray.train import CheckpointConfig  # noqa: PLC0415

    # two: the one before is whole while the last is being written
    kept = {"checkpoint_config": CheckpointConfig(num_to_keep=2)}
    if not outlives_this_machine(storage):
        return {**kept, "storage_path": storage or None}
    system, path = open_store(storage)
    return {**kept, "storage_path": path, "storage_filesystem": system}


def _fingerprint(data: TrainingData, settings: TrainSettings, params: Mapping[str, Any]) -> str:
    """Name what a checkpoint was made from: with other rows, settings or workers, training begins anew."""
    content = hashlib.sha256(data.matrix.tobytes())
    content.update(data.target.tobytes())
    told = {"params": dict(params), "rounds": settings.rounds, "workers": settings.workers}
    return digest_of({"rows": content.hexdigest(), **told})


def parameters(data: TrainingData, settings: TrainSettings) -> dict[str, Any]:
    """Return XGBoost's parameters: defaults, then `training.params`, then what makes the run repeatable."""
    taken = sorted(set(settings.params) & set(_OWNED))
    if taken:
        raise Refused(
            f"slipway:training.params may not set {names(taken)}: "
            "seed, threads and device come from slipway:training, the classes from the data"
        )
    chosen = {_ALIASES.get(name, name): value for name, value in settings.params.items()}
    allowed = OBJECTIVES[settings.task]
    objective = chosen.get("objective", allowed[0])
    if objective not in allowed:
        raise Refused(
            f"slipway:training.params.objective {objective!r} does not fit a {settings.task} task: use {names(allowed)}"
        )
    defaults = {"objective": allowed[0], "eval_metric": _METRICS[settings.task], **_DEFAULTS}
    fixed: dict[str, Any] = {
        "seed": settings.seed,
        "nthread": max(1, int(settings.cpus)),
        "device": "cuda" if settings.gpus else "cpu",
    }
    if settings.task == "multiclass":
        fixed["num_class"] = len(data.features.classes or ())
    return {**defaults, **chosen, **fixed}


def _scaling(settings: TrainSettings) -> Any:
    from ray.train import ScalingConfig  # noqa: PLC0415

    say("train", f"{settings.workers} workers with {settings.cpus:g} CPU and {settings.gpus:g} GPU each")
    resources = {"CPU": settings.cpus, **({"GPU": settings.gpus} if settings.gpus else {})}
    return ScalingConfig(num_workers=settings.workers, use_gpu=bool(settings.gpus), resources_per_worker=resources)


def _handed_over(data: TrainingData, *, in_driver: bool) -> Any:
    """Return the arrays for the loop, through the object store where it runs in other processes."""
    kinds = ["c" if column.kind == "categorical" else "q" for column in data.features.columns]
    arrays = (data.matrix, data.target, kinds)
    if in_driver:
        return arrays
    import ray  # noqa: PLC0415

    if not ray.is_initialized():
        ray.init(log_to_driver=True)
    return [ray.put(arrays)]  # wrapped: a bare reference in the configuration would be resolved by nobody


def _loop(config: dict[str, Any]) -> dict[str, Any]:
    """Train on this worker's shard (every n-th row); runs in the driver or in a Ray Train worker.

    The model goes back as the return value: with workers, metrics reported without a checkpoint are lost.
    """
    import ray.train  # noqa: PLC0415
    import xgboost as xgb  # noqa: PLC0415

    logging.getLogger("ray.train").setLevel(logging.WARNING)  # a worker's own: a line for every report
    shared, fingerprint = config["data"], config["fingerprint"]
    matrix, target, kinds = ray.get(shared[0]) if isinstance(shared, list) else shared
    context = ray.train.get_context()
    shard = slice(context.get_world_rank(), None, context.get_world_size())
    rows = xgb.DMatrix(matrix[shard], label=target[shard], feature_types=kinds, enable_categorical=True)
    resumed = boosting.restore(ray.train.get_checkpoint(), fingerprint) if fingerprint else None
    grown = resumed
    for grown in boosting.grow(config["params"], rows, config["rounds"], resumed):
        if fingerprint:
            _report(grown, fingerprint, first=context.get_world_rank() == 0)
    if grown is None:  # zero rounds are refused by the configuration
        raise ValueError("no round of boosting was asked for")
    return {"model": grown.model, "metrics": dict(grown.metrics), "resumed": resumed.rounds if resumed else 0}


def _report(grown: boosting.Grown, fingerprint: str, *, first: bool) -> None:
    """Hand a checkpoint to Ray Train; every worker must call it equally often, and the first one has the files."""
    from ray.train import Checkpoint, report  # noqa: PLC0415

    metrics = {"rounds": grown.rounds, **grown.metrics}
    if not first:
        report(metrics)
        return
    boosting.keep(grown, fingerprint, lambda folder: report(metrics, checkpoint=Checkpoint.from_directory(folder)))


def _trained(returned: Mapping[str, Any], params: dict[str, Any]) -> Trained:
    import xgboost as xgb  # noqa: PLC0415

    if returned["resumed"]:
        say("resume", f"went on from a checkpoint after {returned['resumed']} rounds")
    booster = xgb.Booster()
    booster.load_model(bytearray(returned["model"]))
    return Trained(booster, returned["metrics"], params)
