"""What an environment is doing right now: reads its outputs, then asks what runs.  It changes nothing."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import RegistryUnavailable
from serving.registry import Registry
from stacks.ground import ROOT, Reached, Unreached

STATE_TAG = "slipway.release.state"
_TIMEOUT_S = 5


class NoEnvironment(Exception):
    """The stack has no outputs to read."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One line of the status: a part of the environment and how it is."""

    name: str
    healthy: bool | None
    """None where there is nothing that could be up or down."""
    state: str
    version: str
    url: str


def outputs(stack: str) -> dict[str, Any]:
    """Return the stack's outputs.

    Raises:
        NoEnvironment: there is no such stack, or nothing was deployed.
    """
    command = [str(ROOT / "pulumiw"), "stack", "output", "--json", "--stack", stack]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        told = done.stderr.strip()
        if "no stack named" in told:
            raise NoEnvironment(
                f"there is no stack {stack} yet. Make it: make up STACK={stack}, or name another with -s "
                "(./pulumiw stack ls)"
            )
        raise NoEnvironment(f"cannot read the stack {stack}:\n{told}")
    found: dict[str, Any] = json.loads(done.stdout)
    if "serving" not in found:
        raise NoEnvironment(f"nothing is deployed in the stack {stack}. Deploy it: make up STACK={stack}")
    if found["tracking"]["uri"] is None:
        raise NoEnvironment(
            f"only the ground of {stack} is made: nothing runs there without an image. "
            f"make push STACK={stack}, then ./pulumiw up -s {stack}"
        )
    return found


def release_state(registry: Registry, model_name: str) -> dict[str, Any]:
    """Return the release controller's own record; empty when it has not written one."""
    model = registry.model(model_name)
    return json.loads(model.tags.get(STATE_TAG, "{}")) if model else {}


def observe(found: Mapping[str, Any], reached: Reached) -> list[Part]:
    """Return every part of the environment as it is now; URLs are the environment's own, not those of a tunnel."""
    return [
        _artifacts(found, reached),
        _tracking(found, reached),
        _ray(found, reached),
        _training(found),
        _serving(found, reached),
    ]


def _artifacts(found: Mapping[str, Any], reached: Reached) -> Part:
    uri = str(found["artifact_store"]["uri"])
    missing = reached.folders_here and uri.startswith("/") and not Path(uri).is_dir()
    return Part(
        name="artifact store", healthy=not missing, state="folder is gone" if missing else "there", version="", url=uri
    )


def _tracking(found: Mapping[str, Any], reached: Reached) -> Part:
    uri = found["tracking"]["uri"]
    healthy, text = answers(reached, "tracking", "/health")
    known, mlflow = answers(reached, "tracking", "/version")
    return Part(
        name="tracking",
        healthy=healthy,
        state="up" if healthy else text,
        version=f"MLflow {mlflow}" if known else "",
        url=uri,
    )


def _ray(found: Mapping[str, Any], reached: Reached) -> Part:
    healthy, state, version = reached.ray()
    return Part(name="ray", healthy=healthy, state=state, version=version, url=found["ray"]["dashboard_url"] or "")


def _training(found: Mapping[str, Any]) -> Part:
    training = found["training"]
    verdict, number = training["verdict"], training["model_version"]
    best = ", ".join(f"{name} {value:.4g}" for name, value in list((training["metrics"] or {}).items())[:2])
    run = f"{found['tracking']['uri']}/#/runs/{training['run_id']}" if training["run_id"] else ""
    return Part(
        name="training",
        healthy=None if verdict == "pending" else True,
        state=f"{verdict} {best}".strip(),
        version=f"{training['model_name']} {number}" if number else training["model_name"],
        url=run,
    )


def _serving(found: Mapping[str, Any], reached: Reached) -> Part:
    serving = found["serving"]
    url, model = serving["url"], serving["model_name"]
    healthy, text = answers(reached, "serving", "/v2/health/ready")
    try:
        registry = reached.registry(timeout_s=_TIMEOUT_S)
        champion = registry.alias(model, "champion")
        state = release_state(registry, model)
    except (RegistryUnavailable, Unreached):
        champion, state = None, {}
    release = f", candidate {state['candidate']} {state['phase']}" if state.get("candidate") else ""
    stuck = _stuck(reached, model) if healthy else ""
    return Part(
        name="serving",
        healthy=healthy and not stuck,
        state=stuck or ("ready" if healthy else text) + release,
        version=f"champion: {model} {champion}" if champion else "no champion",
        url=url,
    )


def _stuck(reached: Reached, model: str) -> str:
    """Return why a service that is ready does not answer with the champion; empty when it does."""
    known, text = answers(reached, "serving", f"/v2/models/{model}")
    served = json.loads(text).get("slipway", {}) if known and text.startswith("{") else {}
    return f"answers with version {served['version']}: {served['problem']}" if served.get("problem") else ""


def answers(reached: Reached, service: str, path: str) -> tuple[bool, str]:
    """Return whether a GET is answered with 200, and the text, or why not in a few words."""
    try:
        request = urllib.request.Request(reached.url(service) + path, headers=dict(reached.headers(service)))  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310  http URLs from the outputs
            return True, response.read().decode().strip()
    except urllib.error.HTTPError as error:
        return False, f"answers {error.code}"
    except (OSError, ValueError, Unreached) as error:
        return False, f"down ({getattr(error, 'reason', error)})"
