"""What the application is told at deployment: the ``args`` of ``serving.app:build``, checked and frozen.

It must not read the environment, the network or a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTRACT = 1
_TOP = {"contract", "project", "stack", "model_name", "tracking_uri", "code_digest", "poll_s", "replicas", "limits"}
_REQUIRED = ("project", "stack", "model_name", "tracking_uri", "code_digest")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The arguments of the application; durations in seconds."""

    project: str
    stack: str
    model_name: str
    tracking_uri: str
    code_digest: str
    poll_s: float = 1.0
    """How often a replica looks at the alias it follows, and the controller at its inputs."""
    min_replicas: int = 1
    max_replicas: int = 1
    request_timeout_s: float = 30.0
    max_body_bytes: int = 10 * 1024 * 1024
    max_queued: int = 256
    """Predictions that may wait or run in one replica; one more is answered 503."""


def parse(args: Mapping[str, Any]) -> Settings:
    """Return the settings in the JSON arguments of the application.

    Raises:
        ValueError: a key is unknown or missing, or a value is out of its range; every fault is named.
    """
    limits, replicas = dict(args.get("limits") or {}), dict(args.get("replicas") or {})
    faults = [f"{key}: unknown key" for key in sorted(set(args) - _TOP)]
    faults += [f"{key}: a non-empty string is required" for key in _REQUIRED if not _is_text(args.get(key))]
    faults += [
        f"limits.{key}: unknown key"
        for key in sorted(set(limits) - {"request_timeout_s", "max_body_bytes", "max_queued"})
    ]
    faults += [f"replicas.{key}: unknown key" for key in sorted(set(replicas) - {"min", "max"})]
    if args.get("contract") != CONTRACT:
        faults.append(f"contract: {args.get('contract')!r} is not {CONTRACT}, deploy code and stack of one version")
    minimum = int(replicas.get("min", 1))
    numbers: dict[str, Any] = {
        "poll_s": float(args.get("poll_s", Settings.poll_s)),
        "min_replicas": minimum,
        "max_replicas": int(replicas.get("max", minimum)),
        "request_timeout_s": float(limits.get("request_timeout_s", Settings.request_timeout_s)),
        "max_body_bytes": int(limits.get("max_body_bytes", Settings.max_body_bytes)),
        "max_queued": int(limits.get("max_queued", Settings.max_queued)),
    }
    faults += [f"{name}: {value} must be above zero" for name, value in numbers.items() if value <= 0]
    if numbers["max_replicas"] < minimum:
        faults.append(f"replicas.max: {numbers['max_replicas']} is below replicas.min {minimum}")
    if faults:
        raise ValueError("arguments of the serving application: " + "; ".join(faults))
    return Settings(**{key: args[key] for key in _REQUIRED}, **numbers)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
