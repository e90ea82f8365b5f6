"""What an environment tells the outside: the same keys on every substrate, exported in one place.

The keys are an API: a removed or renamed one is a changelog entry and a new `CONTRACT`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pulumi

from components.artifact_store import ArtifactStore
from components.model_service import ModelService
from components.ray_cluster import RayCluster
from components.seam import Foundation
from components.tracking_server import TrackingServer
from components.training_run import TrainingRun

CONTRACT = 1
_PLACE = ("context", "kubeconfig", "namespace", "region", "cluster", "registry", "endpoint_url")
_TRAINING = ("model_name", "model_version", "run_id", "identity", "verdict", "metrics", "reasons")
_SERVING = ("url", "candidate", "champion", "challenger")


@dataclass(frozen=True, kw_only=True)
class EnvironmentOutputs:
    """The parts of an environment whose outputs are exported; those that are None are not there yet."""

    substrate: str
    foundation: Foundation
    artifacts: ArtifactStore
    tracking: TrackingServer | None = None
    ray: RayCluster | None = None
    run: TrainingRun | None = None
    service: ModelService | None = None

    def having(
        self, tracking: TrackingServer, ray: RayCluster, run: TrainingRun, service: ModelService
    ) -> EnvironmentOutputs:
        """Return these outputs with those of the workloads."""
        return dataclasses.replace(self, tracking=tracking, ray=ray, run=run, service=service)

    def as_dict(self) -> dict[str, Any]:
        """Return every output by its key; what an environment does not have is None, never missing."""
        run, service = self.run, self.service
        address = self.foundation.address
        return {
            "contract": CONTRACT,
            "substrate": {"kind": self.substrate, **{key: address.get(key) for key in _PLACE}},
            "artifact_store": {"uri": self.artifacts.uri},
            "tracking": {"uri": self.tracking and self.tracking.uri},
            "ray": {"dashboard_url": self.ray and self.ray.dashboard_url.apply(lambda url: url or None)},
            "training": {key: run and getattr(run, key) for key in _TRAINING},
            "serving": {
                "model_name": run and run.model_name,
                **{key: service and getattr(service, key) for key in _SERVING},
            },
            # the engine drops an output that is None at the top, so what is absent stands one level deeper
            "monitoring": {"url": None},
            "cost": {"per_hour": self.foundation.usd_per_hour},
            "secrets": pulumi.Output.secret(dict(self.foundation.secrets)),
        }

    def export(self) -> None:
        """Export every output of the stack, and say what is still missing."""
        for key, value in self.as_dict().items():
            pulumi.export(key, value)
        if self.foundation.missing is not None:
            pulumi.log.warn(self.foundation.missing)
