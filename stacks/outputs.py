"""What an environment tells the outside: the same keys on every substrate, exported in one place.

The keys are an API: a removed or renamed one is a changelog entry and a new `CONTRACT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.artifact_store import ArtifactStore
from components.model_service import ModelService
from components.ray_cluster import RayCluster
from components.tracking_server import TrackingServer
from components.training_run import TrainingRun

CONTRACT = 1


@dataclass(frozen=True, kw_only=True)
class EnvironmentOutputs:
    """The parts of an environment whose outputs are exported."""

    substrate: str
    address: Mapping[str, str | None]
    artifacts: ArtifactStore
    tracking: TrackingServer
    ray: RayCluster
    run: TrainingRun
    service: ModelService
    secrets: Mapping[str, pulumi.Input[str]]

    def as_dict(self) -> dict[str, Any]:
        """Return every output by its key; what an environment does not have is None, never missing."""
        run, service = self.run, self.service
        return {
            "contract": CONTRACT,
            "substrate": {
                "kind": self.substrate,
                **{key: self.address.get(key) for key in ("context", "kubeconfig", "namespace")},
            },
            "artifact_store": {"uri": self.artifacts.uri},
            "tracking": {"uri": self.tracking.uri},
            "ray": {"dashboard_url": self.ray.dashboard_url.apply(lambda url: url or None)},
            "training": {
                "model_name": run.model_name,
                "model_version": run.model_version,
                "run_id": run.run_id,
                "identity": run.identity,
                "verdict": run.verdict,
                "metrics": run.metrics,
                "reasons": run.reasons,
            },
            "serving": {
                "url": service.url,
                "model_name": run.model_name,
                "candidate": service.candidate,
                "champion": service.champion,
                "challenger": service.challenger,
            },
            # the engine drops an output that is None at the top, so what is absent stands one level deeper
            "monitoring": {"url": None},
            "cost": {"per_hour": None},
            "secrets": pulumi.Output.secret(dict(self.secrets)),
        }

    def export(self) -> None:
        """Export every output of the stack."""
        for key, value in self.as_dict().items():
            pulumi.export(key, value)
