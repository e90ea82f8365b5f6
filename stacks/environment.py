"""An environment: the one program, the same on every substrate.

`SUBSTRATES` is the only place that knows which substrates there are.
"""

from __future__ import annotations

from components.artifact_store import ArtifactStore
from components.model_service import ModelService
from components.ray_cluster import RayCluster
from components.seam import Place
from components.tracking_server import TrackingServer
from components.training_run import TrainingRun
from infra.local.foundation import LocalFoundation
from infra.local.settings import LocalConfig
from stacks.config import EnvironmentConfig
from stacks.outputs import EnvironmentOutputs

SUBSTRATES = {LocalConfig: LocalFoundation}


def deploy(place: Place, env: EnvironmentConfig) -> EnvironmentOutputs:
    """Declare the environment `env` at `place`: store, tracking, Ray, training and serving."""
    foundation = SUBSTRATES[type(env.substrate)](place, env.substrate)
    artifacts = ArtifactStore("artifacts", foundation, env.artifacts)
    tracking = TrackingServer("tracking", foundation.runtime, artifacts, env.tracking)
    ray = RayCluster("ray", foundation.runtime, env.ray, env.gpu_pools, ingress=env.serving)
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
    return EnvironmentOutputs(
        substrate=env.substrate.kind,
        artifacts=artifacts,
        tracking=tracking,
        ray=ray,
        run=run,
        service=service,
    )
