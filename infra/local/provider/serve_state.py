"""What the live details of a Serve application mean. Pure."""

from __future__ import annotations

from typing import Any

MARKER = "SLIPWAY_DEPLOYMENT"
"""Environment variable of the replicas: which deployment they are of, as DIGEST.ATTEMPT."""


def marker_of(application: dict[str, Any] | None) -> str:
    """Return the marker that an application was deployed with; empty when there is none."""
    config = (application or {}).get("deployed_app_config") or {}
    return str(((config.get("runtime_env") or {}).get("env_vars") or {}).get(MARKER, ""))


def next_marker(application: dict[str, Any] | None, digest: str) -> str:
    """Return the marker to deploy with.

    Serve takes an unchanged configuration for nothing to do, even after it failed: a failed deployment of the same
    digest is tried again under the next attempt.
    """
    former, _, attempt = marker_of(application).partition(".")
    if former != digest:
        return f"{digest}.1"
    failed = application is not None and application["status"] == "DEPLOY_FAILED"
    return f"{digest}.{int(attempt) + 1}" if failed else f"{digest}.{attempt}"


def settled(application: dict[str, Any], *, since: float | None) -> bool:
    """Tell whether what was deployed is up.

    The status alone says DEPLOYING for as long as old replicas drain, so new replicas count as soon as they run.

    Args:
        application: live details.
        since: epoch seconds at which the replicas were asked to be replaced; None when they were not.
    """
    if application["status"] == "RUNNING":
        return True
    deployments = list(application["deployments"].values())
    if application["status"] != "DEPLOYING" or not deployments:
        return False
    return all(_is_up(deployment, since) for deployment in deployments)


def failure_text(application: dict[str, Any]) -> str:
    """Return what Serve says about an application that does not come up, each message once."""
    texts = [application.get("message", "")]
    texts += [f"{name}: {found.get('message', '')}" for name, found in application["deployments"].items()]
    return "\n".join(dict.fromkeys(text.strip() for text in texts if text.strip(": ")))


def progress_text(application: dict[str, Any]) -> str:
    """Return one line about where a deployment stands."""
    parts = [f"{name} {found['status'].lower()}" for name, found in application["deployments"].items()]
    return f"{application['status'].lower()} ({', '.join(parts) or 'building'})"


def _is_up(deployment: dict[str, Any], since: float | None) -> bool:
    running = [replica for replica in deployment["replicas"] if replica["state"] == "RUNNING"]
    coming = [replica for replica in deployment["replicas"] if replica["state"] not in ("RUNNING", "STOPPING")]
    new = [replica for replica in running if since is None or replica["start_time_s"] >= since]
    return not coming and len(new) == len(running) >= max(1, deployment["target_num_replicas"])
