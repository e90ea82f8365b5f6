"""A registry in memory and a service around models that were never registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.batching import Batcher
from serving.errors import ModelUnusable, RegistryUnavailable
from serving.follower import Follower, Served
from serving.loading import smoke
from serving.models import Model, NativeModel, Outputs
from serving.registry import RegisteredModel, Registry
from serving.service import Service
from serving.settings import Settings, parse
from serving.signature import Column, Signature
from tests.serving import small_models

KINDS = {"int64": "long", "float64": "double", "bool": "boolean", "string": "string"}
ARGS: dict[str, Any] = {
    "contract": 1, "project": "slipway", "stack": "test", "model_name": "default", "code_digest": "code",
    "tracking_uri": "http://127.0.0.1:1", "poll_s": 0.01,
}  # fmt: skip


@dataclass
class FakeRegistry(Registry):
    """A registry in memory; set ``down`` and it does not answer."""

    registered: bool = True
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    down: bool = False
    uri: str = "http://127.0.0.1:1"

    def alias(self, name: str, alias: str) -> str | None:
        self._answer()
        return self.aliases.get(alias)

    def model(self, name: str) -> RegisteredModel | None:
        self._answer()
        return RegisteredModel(dict(self.tags), dict(self.aliases)) if self.registered else None

    def version_tags(self, name: str, version: str) -> dict[str, str] | None:
        self._answer()
        return self.versions.get(version)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        self._answer()
        self.aliases[alias] = version

    def set_model_tag(self, name: str, key: str, value: str) -> None:
        self._answer()
        self.tags[key] = value

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self._answer()
        self.versions[version][key] = value

    def _answer(self) -> None:
        if self.down:
            raise RegistryUnavailable("tracking server http://127.0.0.1:1: connection refused")


class Constant:
    """A model of one number column that always answers the same, after ``wait`` returned."""

    platform = "test"
    native = False

    def __init__(self, value: Any = 1.0, wait: Callable[[], object] = bool, column: str = "x0") -> None:
        self.signature = Signature(columns=(Column(column, "double"),))
        self._value, self._wait = value, wait

    def prepare(self, rows: Any) -> Any:
        return rows.count

    def predict(self, prepared: int) -> Outputs:
        self._wait()
        return Outputs({"predict": np.array([self._value] * prepared)})


def native(**more: Any) -> NativeModel:
    described = small_models.features(**more)
    columns = tuple(Column(c.name, KINDS[c.dtype], required=not c.optional) for c in described.columns)
    return NativeModel(small_models.tabular(described), Signature(columns=columns))


def served(model: Model, version: str = "1") -> Served:
    batcher = Batcher(model) if isinstance(model, NativeModel) else None
    return Served(version, model, smoke(model).describe(), batcher)


def service(model: Model | None, previous: Model | None = None, **limits: Any) -> Service:
    """Return a service whose champion is version 2 and whose previous champion is version 1."""
    settings = parse({**ARGS, "limits": limits})
    follower = Follower(FakeRegistry(), settings.model_name, settings.poll_s)
    follower.champion = None if model is None else served(model, "2")
    follower.previous = None if previous is None else served(previous, "1")
    return Service(settings, follower)


def settings() -> Settings:
    return parse(ARGS)


def unusable(registry: Registry, name: str, version: str) -> tuple[Model, Outputs]:
    raise ModelUnusable(f"version {version}: model.ubj is no XGBoost model")
