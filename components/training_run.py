"""TrainingRun: one training of one model on one version of the data, a resource with an identity.

It owns what the identity is made of and what `gate.on_failure` means; how the run is executed is the runtime's
business, and run, metrics, verdict and versions belong to the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pulumi
from pulumi import ComponentResource, Output, ResourceOptions
from pydantic import AfterValidator, Field

from components import cron
from components.code import TRAINING_PACKAGE, package_code
from components.data_version import DataVersion, data_version
from components.ray_cluster import RayCluster
from components.seam import Code, Place, RunHandle, RunSpec
from components.settings import Settings
from components.tracking_server import TrackingServer
from training.identity import digest_of, file_digest, identity

_LONGEST_PART = 500  # characters; the state of a run stays small whatever its parameters


class DataSettings(Settings):
    """`slipway:data`."""

    uri: str = Field(min_length=1, description="sklearn:NAME, a local path, file:, or s3:; CSV or Parquet")
    version: str | None = Field(default=None, description="pins remote data: a version id, ETag or DVC md5")
    target: str = Field(min_length=1, description="the column to predict")
    key: str | None = Field(default=None, description="the column that decides a row's side of the split")
    format: Literal["auto", "csv", "parquet"] = "auto"


class ResourceSettings(Settings):
    """`slipway:training.resources`, per worker."""

    workers: int = Field(default=1, ge=1)
    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    memory_gib: float | None = Field(
        default=None,
        gt=0,
        description="where workers are pods: memory of one; a share of its node or of its CPUs if absent",
    )


class TrainingSettings(Settings):
    """`slipway:training`."""

    model_name: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    entrypoint: str = Field(default="training.train:train", pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto"
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the learner")
    rounds: int = Field(default=50, ge=1)
    seed: int = Field(default=7, ge=0)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    resources: ResourceSettings = ResourceSettings()
    wait: bool = True
    timeout: float = Field(default=3600, gt=0, description="seconds")
    retries: int = Field(
        default=1,
        ge=0,
        le=10,
        description="where a run has a cluster of its own: how often a failed one starts again on a new cluster",
    )
    schedule: Annotated[str, AfterValidator(cron.checked)] | None = Field(
        default=None, description="cron, UTC: when the cluster itself looks for newer data and trains on it"
    )


class GateSettings(Settings):
    """`slipway:gate`."""

    floors: dict[str, float] = Field(default_factory=dict, description="metric: the least a candidate must reach")
    tolerance: float | None = Field(default=None, ge=0, description="how much worse than the champion is accepted")
    on_failure: Literal["keep-champion", "fail"] = "keep-champion"


class TrainingRun(ComponentResource):
    """A training run that is replaced when, and only when, its identity changes."""

    identity: str
    run_id: Output[str | None]
    model_version: Output[str | None]
    verdict: Output[str]
    metrics: Output[Mapping[str, float]]
    reasons: Output[Sequence[str]]
    candidate: Output[str | None]

    def __init__(
        self,
        name: str,
        ray: RayCluster,
        tracking: TrackingServer,
        data: DataSettings,
        training: TrainingSettings,
        gate: GateSettings,
        *,
        place: Place,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("slipway:index:TrainingRun", name, None, opts)
        spec = run_spec(place, tracking.uri, data, training, gate)
        self.identity = spec.identity
        self.model_name = training.model_name
        child = ResourceOptions(parent=self, depends_on=[tracking.resource])
        handle = ray.runtime.run(name, spec, ray.handle, child)
        self._publish(handle, gate)
        self.register_outputs({"identity": self.identity, "run_id": self.run_id, "verdict": self.verdict})

    def _publish(self, handle: RunHandle, gate: GateSettings) -> None:
        """Expose the run's results; with `on_failure: fail` a rejected verdict fails the program at its end."""
        self.run_id, self.model_version = handle.run_id, handle.model_version
        self.metrics, self.reasons = handle.metrics, handle.reasons
        self.verdict, self.candidate = handle.verdict, handle.candidate
        if gate.on_failure == "fail":
            Output.all(handle.verdict, handle.reasons, handle.model_version).apply(_refuse_rejected)


def _refuse_rejected(result: list[Any]) -> None:
    verdict, reasons, version = result
    if verdict == "rejected":
        listed = "\n".join(f"  - {reason}" for reason in reasons)
        raise pulumi.RunError(
            f"the gate rejected model version {version}, and gate.on_failure is `fail`:\n{listed}\n"
            "The champion is untouched and nothing is trained again by another `up`. "
            "Change the data, the parameters or slipway:gate, or set slipway:gate.on_failure to keep-champion."
        )


def run_spec(
    place: Place,
    tracking_url: Output[str],
    data: DataSettings,
    training: TrainingSettings,
    gate: GateSettings,
) -> RunSpec:
    """Say what the run is, with its identity; reads the code and the data, starts nothing."""
    code = package_code(place.root, TRAINING_PACKAGE, training.entrypoint)
    version = data_version(place.root, data.uri, data.version)
    if not version.pinned and training.schedule is None:
        pulumi.log.warn(
            f"slipway:data.uri {data.uri} is not pinned: a change of the data is not noticed here. "
            "Set slipway:data.version (a version id, ETag or DVC md5)."
        )
    parts = identity_parts(place, code, version, data, training)
    return RunSpec(
        identity=identity(parts),
        identity_parts=parts,
        code=code,
        model_name=training.model_name,
        tracking_url=tracking_url,
        data={**data.model_dump(), "uri": version.uri},
        training={
            **training.model_dump(include={"entrypoint", "task", "params", "rounds", "seed", "test_fraction"}),
            "resources": training.resources.model_dump(exclude={"memory_gib"}),
        },
        gate=gate.model_dump(),
        resources=training.resources.model_dump(exclude={"memory_gib"}),
        memory_gib=training.resources.memory_gib,
        timeout_s=training.timeout,
        retries=training.retries,
        wait=training.wait,
        schedule=training.schedule,
    )


def identity_parts(
    place: Place, code: Code, version: DataVersion, data: DataSettings, training: TrainingSettings
) -> dict[str, str]:
    """Return the parts of the identity; each is text that a person can compare in a preview."""
    parameters = training.model_dump(include={"entrypoint", "task", "params", "rounds", "model_name"})
    return {
        "code": code.digest,
        "lock": file_digest(place.root / code.lock),
        "data": f"{version.identity} target={data.target} format={data.format}",
        "parameters": _readable(parameters),
        "seed": str(training.seed),
        "split": f"test_fraction={training.test_fraction} key={data.key or 'row'}",
    }


def _readable(parameters: Mapping[str, Any]) -> str:
    text = " ".join(f"{key}={value}" for key, value in sorted(parameters.items()))
    return text if len(text) <= _LONGEST_PART else digest_of(parameters)
