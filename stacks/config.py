"""What an environment is, as the stack file says it: one pure `load()` from settings to a frozen config.

It reads no files, clock, network or credentials.  Every problem is reported at once, by `stacks.problems`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from components.artifact_store import ArtifactSettings
from components.limits import BudgetSettings, LifetimeSettings
from components.model_service import ReleaseSettings
from components.ray_cluster import GpuPool, RaySettings
from components.seam import GroundSpec
from components.settings import Ability, ServingSettings, Settings
from components.tracking_server import TrackingSettings
from components.training_run import DataSettings, GateSettings, TrainingSettings
from infra.aws.settings import AwsConfig
from infra.kubernetes.settings import KubernetesConfig
from infra.local.settings import LocalConfig
from stacks.problems import ConfigError, Problem, explain

Substrate = Annotated[
    LocalConfig | KubernetesConfig | AwsConfig, Field(discriminator="kind", description="where the environment runs")
]
SECRETS = ("artifacts_credentials", "database_url")
"""Keys whose values are encrypted in the stack file (`pulumi config set --secret`); they are no part of the config."""


class EnvironmentConfig(Settings):
    """Everything under `slipway:` in a stack file."""

    substrate: Substrate
    artifacts: ArtifactSettings = ArtifactSettings()
    tracking: TrackingSettings = TrackingSettings()
    ray: RaySettings = RaySettings()
    gpu_pools: tuple[GpuPool, ...] = ()
    data: DataSettings
    training: TrainingSettings = TrainingSettings()
    gate: GateSettings = GateSettings()
    serving: ServingSettings = ServingSettings()
    release: ReleaseSettings = ReleaseSettings()
    budget: BudgetSettings | None = Field(default=None, description="what it may cost, where the ground is billed")
    lifetime: LifetimeSettings | None = Field(default=None, description="makes the environment an ephemeral one")

    def ground(self) -> GroundSpec:
        """Return what the environment asks of its ground besides what its substrate's own settings say."""
        return GroundSpec(
            gpu_pools=self.gpu_pools,
            retain=self.artifacts.retain,
            budget=self.budget,
            lifetime=self.lifetime,
            scheduled=self.training.schedule is not None,
        )


def load(
    settings: Mapping[str, Any], secrets: Collection[str] = (), *, now: datetime | None = None
) -> EnvironmentConfig:
    """Turn the settings of a stack file into a config.

    Args:
        settings: the keys under `slipway:` without that prefix, with plain JSON values.
        secrets: the names of the encrypted keys that are set.
        now: when an ephemeral environment must not have ended yet; None does not look.

    Raises:
        ConfigError: with every problem: path, value, rule and fix.
    """
    try:
        config = EnvironmentConfig.model_validate_json(json.dumps(settings))
    except ValidationError as error:
        raise ConfigError(explain(error, EnvironmentConfig)) from None
    problems = [
        *config.substrate.problems(secrets, config.gpu_pools),
        *_refusals(config),
        *_contradictions(config),
        *_ephemeral(config, now),
    ]
    if problems:
        raise ConfigError(problems)
    return config


def _ports(config: EnvironmentConfig) -> dict[str, int | None]:
    return {
        "tracking.port": config.tracking.port,
        "ray.dashboard_port": config.ray.dashboard_port,
        "serving.port": config.serving.port,
    }


def _wants(config: EnvironmentConfig) -> Iterator[tuple[Ability, str, Any]]:
    """List what the environment asks of its substrate, with the setting that asks."""
    if config.gpu_pools:
        yield "gpu_pools", "gpu_pools", [pool.name for pool in config.gpu_pools]
    for path, port in _ports(config).items():
        if port is not None:
            yield "fixed_ports", path, port
    if urlsplit(config.data.uri).scheme in ("", "file"):
        yield "local_data", "data.uri", config.data.uri
    uri = config.artifacts.uri
    if uri is None:
        yield "own_store", "artifacts.uri", None
    else:
        yield "given_store", "artifacts.uri", uri
        if urlsplit(uri).scheme != "s3":
            yield "folder_store", "artifacts.uri", uri
    if config.training.schedule is not None:
        yield "schedule", "training.schedule", config.training.schedule
    if config.artifacts.retain:
        yield "retained_store", "artifacts.retain", True
    yield from _billed(config)


def _billed(config: EnvironmentConfig) -> Iterator[tuple[Ability, str, Any]]:
    """List what only a ground that is billed can do."""
    if config.budget is not None:
        yield "budget", "budget", config.budget.model_dump()
    if config.lifetime is not None:
        yield "lifetime", "lifetime", config.lifetime.model_dump(mode="json")


def _refusals(config: EnvironmentConfig) -> Iterator[Problem]:
    """Find what the environment asks for and its substrate does not have."""
    for ability, path, value in _wants(config):
        refusal = config.substrate.refuses(ability)
        if refusal is not None:
            yield Problem(path, value, refusal.rule, refusal.fix)


def _contradictions(config: EnvironmentConfig) -> Iterator[Problem]:
    """Find settings that are fine alone and cannot hold together."""
    replicas = config.serving.replicas
    if replicas.min > replicas.max:
        yield Problem(
            "serving.replicas",
            replicas.model_dump(),
            "min must not be above max",
            f"set max to {replicas.min} or more",
        )
    ports = _ports(config)
    for path, port in ports.items():
        clashes = [other for other, value in ports.items() if other < path and port is not None and value == port]
        if clashes:
            yield Problem(
                path,
                port,
                f"is also the value of slipway:{clashes[0]}",
                "give each service a port of its own",
            )
    if config.release.wait == "done" and not config.training.wait:
        yield Problem(
            "release.wait",
            config.release.wait,
            "`up` cannot wait for the release of a model whose training it does not wait for",
            "set slipway:release.wait to started, or slipway:training.wait to true",
        )
    if config.artifacts.endpoint and not (config.artifacts.uri or "").startswith("s3://"):
        yield Problem(
            "artifacts.endpoint",
            config.artifacts.endpoint,
            "belongs to an s3:// store",
            "set artifacts.uri to s3://BUCKET/PREFIX",
        )


def _ephemeral(config: EnvironmentConfig, now: datetime | None) -> Iterator[Problem]:
    """Find what an environment with an end cannot have."""
    lifetime = config.lifetime
    if lifetime is None:
        return
    if now is not None and lifetime.expired(now):
        yield Problem(
            "lifetime.expires_at",
            str(lifetime.expires_at),
            "is past: this environment has ended",
            "destroy it (./pulumiw destroy), or set a later time",
        )
    if config.artifacts.retain:
        yield Problem(
            "artifacts.retain", config.artifacts.retain, "an ephemeral environment keeps nothing", "remove one of both"
        )
    for pool in config.gpu_pools:
        if pool.min:
            yield Problem(
                f"gpu_pools.{pool.name}.min",
                pool.min,
                "GPU nodes of an ephemeral environment come when they are needed, and go",
                "set it to 0",
            )


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a stack file's `config:` section, for editors."""
    schema = EnvironmentConfig.model_json_schema()
    keys = {f"slipway:{name}": value for name, value in schema.pop("properties").items()}
    required = [f"slipway:{name}" for name in schema.pop("required", [])]
    config = {"type": "object", "properties": keys, "required": required}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Slipway stack file",
        "type": "object",
        "properties": {"config": config},
        "$defs": schema.get("$defs", {}),
    }
