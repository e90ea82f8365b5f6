"""An environment: the one program, the same on every substrate.

`SUBSTRATES` is the only place that knows which substrates there are.
"""

from __future__ import annotations

import importlib

from components.artifact_store import ArtifactStore
from components.model_service import ModelService
from components.ray_cluster import RayCluster
from components.seam import Foundation, Place
from components.settings import SubstrateSettings
from components.tracking_server import TrackingServer
from components.training_run import TrainingRun
from infra.aws.settings import AwsConfig
from infra.kubernetes.settings import KubernetesConfig
from infra.local.settings import LocalConfig
from stacks.config import EnvironmentConfig
from stacks.outputs import EnvironmentOutputs

SUBSTRATES: dict[type[SubstrateSettings], str] = {
    LocalConfig: "infra.local.foundation:LocalFoundation",
    KubernetesConfig: "infra.kubernetes.foundation:KubernetesFoundation",
    AwsConfig: "infra.aws.foundation:AwsFoundation",
}
"""By name: a stack pays for the SDK of its own substrate alone."""


def deploy(place: Place, env: EnvironmentConfig) -> EnvironmentOutputs:
    """Declare the environment `env` at `place`: store, tracking, Ray, training and serving."""
    foundation = foundation_for(place, env)
    artifacts = ArtifactStore("artifacts", foundation, env.artifacts)
    outputs = EnvironmentOutputs(substrate=env.substrate.kind, foundation=foundation, artifacts=artifacts)
    if foundation.missing is not None:  # such as the image, whose registry the first `up` makes
        return outputs
    tracking = TrackingServer("tracking", foundation.runtime, artifacts, env.tracking)
    workers = env.training.resources
    ray = RayCluster("ray", foundation.runtime, env.ray, env.gpu_pools, ingress=env.serving, workers=workers)
    run = TrainingRun("training", ray, tracking, env.data, env.training, env.gate, place=place)
    service = ModelService(
        "serving",
        ray,
        tracking,
        model_name=run.model_name,
        candidate=run.candidate,
        serving=env.serving,
        release=env.release,
        place=place,
    )
    return outputs.having(tracking, ray, run, service)


def foundation_for(place: Place, env: EnvironmentConfig) -> Foundation:
    """Lay the foundation that the environment's substrate asks for."""
    module, name = SUBSTRATES[type(env.substrate)].split(":")
    foundation: Foundation = getattr(importlib.import_module(module), name)(place, env.substrate, env.ground())
    return foundation
